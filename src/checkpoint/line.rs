//! The checkpoint's lines: eight hex digits of a CRC-32, a space, JSON, a newline.
//!
//! The first line names the version. A line that the disk spoiled is known by its checksum, and the lines after it
//! can still be read.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::saved::Saved;
use crate::event::{GenerationKey, Record, SourceKey, Stream};

/// The version that is written. It grows when an older agent would misread the file.
const VERSION: u32 = 1;

/// `a1b2c3d4 `: the checksum and a space.
const PREFIX: usize = 9;

/// What stands in a line; the format of the file, and so kept apart from [`Record`], which may change freely.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'a> {
    Checkpoint {
        version: u32,
    },
    Generation {
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(with = "key")]
        key: GenerationKey,
        head_len: u32,
        head: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        device: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        inode: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        start: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        size: u64,
    },
    Size {
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(with = "key")]
        key: GenerationKey,
        size: u64,
    },
    Position {
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(with = "key")]
        key: GenerationKey,
        offset: u64,
        #[serde(default, skip_serializing_if = "is_zero")]
        anchor: u64,
    },
    Cut {
        #[serde(borrow)]
        source: Cow<'a, str>,
        #[serde(with = "key")]
        key: GenerationKey,
        offset: u64,
        #[serde(with = "stream")]
        stream: Stream,
    },
    Stream {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        indices: Vec<Cow<'a, str>>,
    },
    Forget {
        #[serde(borrow)]
        source: Cow<'a, str>,
    },
}

/// What a checkpoint's bytes say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The sum of all lines that could be read.
    pub saved: Saved,
    /// Bytes up to the end of the last line that has a newline. What follows was never promised: a write that a
    /// crash cut short.
    pub whole: u64,
    /// Lines that have a newline but could not be read.
    pub damaged: u64,
}

/// A newer agent wrote the checkpoint, and this one would misread it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint has version {found}, and this agent knows versions up to {VERSION}")]
pub struct Newer {
    /// The version it says.
    pub found: u32,
}

/// Reads a checkpoint. Any bytes will do: what makes no sense is counted and left out.
///
/// # Errors
/// [`Newer`] when the first line names a version that this agent does not know.
pub fn read(bytes: &[u8]) -> Result<Reading, Newer> {
    let mut reading = Reading::default();
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    if let Some(first) = lines.next() {
        reading.whole += first.len() as u64 + 1;
        match decode(first) {
            Some(Entry::Checkpoint { version }) if version > VERSION => return Err(Newer { found: version }),
            Some(Entry::Checkpoint { .. }) => {}
            _ => reading.damaged += 1,
        }
    }
    for line in lines {
        reading.whole += line.len() as u64 + 1;
        match decode(line).and_then(Entry::into_record) {
            Some(record) => reading.saved.apply(&record),
            None => reading.damaged += 1,
        }
    }
    Ok(reading)
}

/// Writes the first line.
pub(super) fn write_header(out: &mut Vec<u8>) {
    encode(&Entry::Checkpoint { version: VERSION }, out);
}

/// Writes one record's line.
pub(super) fn write(record: &Record, out: &mut Vec<u8>) {
    encode(&Entry::of(record), out);
}

fn encode(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let line = out.len();
    out.extend_from_slice(b"00000000 ");
    // Writing to memory cannot fail, nor can these types; were it otherwise, the line would be read as damaged.
    let _ = serde_json::to_writer(&mut *out, entry);
    let sum = crc32fast::hash(&out[line + PREFIX..]);
    out[line..line + PREFIX - 1].copy_from_slice(&hex(sum));
    out.push(b'\n');
}

fn decode(line: &[u8]) -> Option<Entry<'_>> {
    let (prefix, json) = line.split_at_checked(PREFIX)?;
    let sum = prefix.strip_suffix(b" ")?;
    if sum != hex(crc32fast::hash(json)) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn hex(sum: u32) -> [u8; 8] {
    std::array::from_fn(|digit| b"0123456789abcdef"[(sum >> (28 - 4 * digit) & 0xf) as usize])
}

impl<'a> Entry<'a> {
    fn of(record: &'a Record) -> Self {
        let name = |source: &'a SourceKey| Cow::Borrowed(&*source.0);
        match record {
            Record::Generation { source, key, head_len, head, device, inode, start, size } => {
                Self::Generation {
                    source: name(source),
                    key: *key,
                    head_len: *head_len,
                    head: *head,
                    device: *device,
                    inode: *inode,
                    start: *start,
                    size: *size,
                }
            }
            Record::Size { source, key, size } => Self::Size { source: name(source), key: *key, size: *size },
            Record::Position { source, key, offset, anchor } => {
                Self::Position { source: name(source), key: *key, offset: *offset, anchor: *anchor }
            }
            Record::Cut { source, key, offset, stream } => {
                Self::Cut { source: name(source), key: *key, offset: *offset, stream: *stream }
            }
            Record::Stream { name, indices } => {
                let indices = indices.iter().map(|index| Cow::Borrowed(&**index)).collect();
                Self::Stream { name: Cow::Borrowed(name), indices }
            }
            Record::Forget { source } => Self::Forget { source: name(source) },
        }
    }

    /// `None` for a first line where a record should be.
    fn into_record(self) -> Option<Record> {
        let name = |source: Cow<'_, str>| SourceKey(Arc::from(source));
        Some(match self {
            Self::Checkpoint { .. } => return None,
            Self::Generation { source, key, head_len, head, device, inode, start, size } => {
                Record::Generation { source: name(source), key, head_len, head, device, inode, start, size }
            }
            Self::Size { source, key, size } => Record::Size { source: name(source), key, size },
            Self::Position { source, key, offset, anchor } => {
                Record::Position { source: name(source), key, offset, anchor }
            }
            Self::Cut { source, key, offset, stream } => {
                Record::Cut { source: name(source), key, offset, stream }
            }
            Self::Stream { name, indices } => Record::Stream {
                name: Arc::from(name),
                indices: indices.into_iter().map(Arc::from).collect(),
            },
            Self::Forget { source } => Record::Forget { source: name(source) },
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

mod key {
    use super::{Deserialize, Deserializer, GenerationKey, Serializer, de};

    pub fn serialize<S: Serializer>(key: &GenerationKey, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(key)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<GenerationKey, D::Error> {
        let text = <&str>::deserialize(from)?;
        GenerationKey::parse(text).ok_or_else(|| de::Error::custom("no generation's key"))
    }
}

mod stream {
    use super::{Deserialize, Deserializer, Serializer, Stream, de};

    pub fn serialize<S: Serializer>(stream: &Stream, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(stream.name())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Stream, D::Error> {
        let text = <&str>::deserialize(from)?;
        Stream::parse(text).ok_or_else(|| de::Error::custom("no stream's name"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::seed;
    use super::*;

    fn lines(records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_header(&mut bytes);
        records.iter().for_each(|record| write(record, &mut bytes));
        bytes
    }

    fn records() -> Vec<Record> {
        let source = SourceKey(Arc::from("file//var/log/odd \"name\"\n\u{fffd}.log"));
        let key = GenerationKey([0xff; 9]);
        vec![
            Record::Stream { name: Arc::from("logs-a-b"), indices: vec![Arc::from(".ds-logs-a-b-000001")] },
            Record::Generation {
                source: source.clone(),
                key,
                head_len: u32::MAX,
                head: u64::MAX,
                device: u64::MAX,
                inode: u64::MAX,
                start: u64::MAX,
                size: u64::MAX,
            },
            Record::Position { source: source.clone(), key, offset: u64::MAX - 1, anchor: u64::MAX },
            Record::Cut { source, key, offset: u64::MAX, stream: Stream::None },
        ]
    }

    #[test]
    fn reads_what_it_writes() {
        let bytes = lines(&records());
        let reading = read(&bytes).unwrap();
        assert_eq!((reading.whole, reading.damaged), (bytes.len() as u64, 0));
        assert_eq!(reading.saved.records().collect::<Vec<_>>(), records());
    }

    #[test]
    fn the_format_stays_as_it_is() {
        let source = SourceKey(Arc::from("pod/0a1b/web/0"));
        let key = GenerationKey([7; 9]);
        let records = [
            Record::Generation {
                source: source.clone(),
                key,
                head_len: 120,
                head: 1,
                device: 2,
                inode: 3,
                start: 0,
                size: 9,
            },
            Record::Position { source: source.clone(), key, offset: 4, anchor: 5 },
            Record::Cut { source: source.clone(), key, offset: 6, stream: Stream::Stderr },
            Record::Stream { name: Arc::from("logs-a-b"), indices: Vec::new() },
            Record::Stream { name: Arc::from("logs-a-b"), indices: vec![Arc::from("x-1"), Arc::from("x-2")] },
            Record::Forget { source },
        ];
        let text = String::from_utf8(lines(&records)).unwrap();
        let json: Vec<_> = text.lines().map(|line| &line[PREFIX..]).collect();
        assert_eq!(
            json,
            [
                r#"{"checkpoint":{"version":1}}"#,
                r#"{"generation":{"source":"pod/0a1b/web/0","key":"BwcHBwcHBwcH","head_len":120,"head":1,"device":2,"inode":3,"size":9}}"#,
                r#"{"position":{"source":"pod/0a1b/web/0","key":"BwcHBwcHBwcH","offset":4,"anchor":5}}"#,
                r#"{"cut":{"source":"pod/0a1b/web/0","key":"BwcHBwcHBwcH","offset":6,"stream":"stderr"}}"#,
                r#"{"stream":{"name":"logs-a-b"}}"#,
                r#"{"stream":{"name":"logs-a-b","indices":["x-1","x-2"]}}"#,
                r#"{"forget":{"source":"pod/0a1b/web/0"}}"#,
            ]
        );
        assert_eq!(&text[..PREFIX], format!("{:08x} ", crc32fast::hash(json[0].as_bytes())));
    }

    #[test]
    fn nothing_is_an_empty_checkpoint() {
        assert_eq!(read(b""), Ok(Reading::default()));
    }

    #[test]
    fn any_bytes_will_do() {
        let seed = seed();
        let mut random = fastrand::Rng::with_seed(seed);
        let good = lines(&records());
        for _ in 0..2_000 {
            let mut bytes = good.clone();
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..bytes.len());
                match random.u8(..3) {
                    0 => bytes[at] = random.u8(..),
                    1 => drop(bytes.drain(at..)),
                    _ => bytes.extend_from_within(at..),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            if let Ok(reading) = read(&bytes) {
                let again: Vec<_> = reading.saved.records().collect();
                assert_eq!(read(&lines(&again)).map(|again| again.saved), Ok(reading.saved));
            }
        }
    }
}
