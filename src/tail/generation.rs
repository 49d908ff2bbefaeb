//! One generation of a log: one file's life between two rotations.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use super::held::Copying;
use super::identity::{Head, Naming, first_bytes, mint, name_from_first_line};
use super::lines::{Lines, after_hole};
use super::place::{Anchor, Filled, Packed, Place};
use crate::event::{GenerationKey, Position, RawLine, Record, Rest, SourceKey, Span};

/// Where a generation is in its life.
///
/// ```text
///           a younger generation is there            closed by its writer, or quiet
///   Live ────────────────────────────────▶ Rotated ─────────────────────────────────▶ Closed ──read to its end──▶ gone
///    │                                        ▲
///    └── unlinked, nothing younger ───────────┘
///    └── truncated ──▶ Truncated ──a copy found──▶ Closed, or lost
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its writer appends to it.
    Live,
    /// A younger one was first seen then, or it was seen to be unlinked; late writes may still reach it.
    Rotated {
        /// When that was seen.
        since: Instant,
    },
    /// Nobody writes to it any more.
    Closed,
    /// It lost its bytes; a copy may hold them.
    Truncated,
}

/// What names a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its name in document ids.
    pub key: GenerationKey,
    /// How to know it again.
    pub head: Head,
}

/// One generation of a log.
pub struct Generation {
    /// Its number within the log, in this process.
    pub ordinal: u32,
    /// Its name; `None` while its first line is not whole.
    pub name: Option<Name>,
    /// Where it is in its life.
    pub state: State,
    /// Where its file lies, as last seen.
    pub path: PathBuf,
    /// The file's device.
    pub device: u64,
    /// The file's inode.
    pub inode: u64,
    /// Whether the file is packed.
    pub packed: bool,
    /// Where its bytes are read from.
    pub place: Place,
    /// Its first line, where reading did not begin with it.
    pub first_line: Vec<u8>,
    /// From where it is to be read while nothing of it is acknowledged.
    pub start: u64,
    /// The next byte to read.
    pub offset: u64,
    /// The bytes before `offset`.
    pub anchor: Anchor,
    /// A line that is longer than a block, of which a part was read.
    pub long: Option<LongLine>,
    /// The end of the file at the last read, when nothing whole was left to read; else 0.
    pub end_seen: u64,
    /// When it was first seen without a name.
    pub unlinked: Option<Instant>,
    /// The copy of its rest, as it was when the copy was made.
    pub copy: Option<Rest>,
    /// Whether a copy is being made.
    pub copying: Copying,
    /// Its size, as the checkpoint was last told.
    pub noted: u64,
}

/// A line that is longer than a block.
#[derive(Debug)]
pub struct LongLine {
    /// Where it begins.
    start: u64,
    /// Its first bytes, as many as are kept.
    head: Vec<u8>,
    /// Bytes of it that are not kept.
    cut: u64,
}

/// What a turn at one generation gave.
pub enum Got<'b> {
    /// Whole lines.
    Lines(Lines<'b>),
    /// Progress without a line: a part of a long one.
    Part,
    /// A line that was longer than a block has come to its end.
    Long(Span, LongLine),
    /// Nothing more for now.
    End,
    /// Its bytes are gone.
    Truncated,
}

impl LongLine {
    /// The line.
    pub fn as_raw(&self, span: Span) -> RawLine<'_> {
        RawLine { bytes: &self.head, span, utf8: false, truncated: self.cut }
    }

    /// Where it begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The memory it holds.
    pub fn held_bytes(&self) -> usize {
        self.head.capacity()
    }

    fn extend(&mut self, bytes: &[u8], max_line: usize) {
        let text = if self.head.is_empty() { after_hole(bytes) } else { bytes };
        let kept = text.len().min(max_line - self.head.len());
        self.head.extend_from_slice(&text[..kept]);
        self.cut += (bytes.len() - kept) as u64;
    }
}

impl Generation {
    /// A live generation of which nothing is known yet and nothing read.
    pub fn of(place: Place) -> Self {
        Self {
            ordinal: 0,
            name: None,
            state: State::Live,
            path: PathBuf::new(),
            device: 0,
            inode: 0,
            packed: false,
            place,
            first_line: Vec::new(),
            start: 0,
            offset: 0,
            anchor: Anchor::NONE,
            long: None,
            end_seen: 0,
            unlinked: None,
            copy: None,
            copying: Copying::NotYet,
            noted: 0,
        }
    }

    /// What of it is not read, as far as that is known: how much a packed file holds is not, so its size counts.
    pub fn unread_at_least(&self) -> u64 {
        match &self.place {
            Place::Packed { file: Packed::Gzip { file, .. }, .. } => {
                file.metadata().map_or(0, |meta| meta.len())
            }
            place => place.stat().map_or(0, |stat| stat.size.saturating_sub(self.low())),
        }
    }

    /// The lowest byte that is not given out.
    pub fn low(&self) -> u64 {
        self.long.as_ref().map_or(self.offset, |long| long.start)
    }

    /// The name's key.
    pub fn key(&self) -> Option<GenerationKey> {
        self.name.map(|name| name.key)
    }

    /// A name from what it holds by now; `None` while that does not suffice.
    ///
    /// # Errors
    /// When the file cannot be read, or the system has no randomness for a mark.
    pub fn find_name(&self, source: &SourceKey, naming: Naming) -> io::Result<Option<Name>> {
        let Place::Plain(file) = &self.place else { return Ok(None) };
        let mut first = first_bytes(file, false)?;
        if first.is_empty() {
            return Ok(None);
        }
        let head = Head::of(&first);
        Ok(match naming {
            Naming::Mark => Some(Name { key: mint()?, head }),
            Naming::FirstLine => {
                if self.state == State::Closed && !first.contains(&b'\n') {
                    // All that there will ever be of it: the unfinished line is its first.
                    first.push(b'\n');
                }
                name_from_first_line(source, &first).map(|key| Name { key, head })
            }
        })
    }

    /// The head of a plain file as it is by now.
    ///
    /// # Errors
    /// When the file cannot be read, or is no plain file.
    pub fn find_head(&self) -> io::Result<Head> {
        match &self.place {
            Place::Plain(file) => Ok(Head::of(&first_bytes(file, false)?)),
            Place::Packed { .. } | Place::Stream(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// What the checkpoint is told of its size.
    pub fn size_record(&self, source: &SourceKey, name: Name) -> Record {
        Record::Size { source: source.clone(), key: name.key, size: self.noted }
    }

    /// What the checkpoint is told of it.
    pub fn record(&self, source: &SourceKey, name: Name) -> Record {
        Record::Generation {
            source: source.clone(),
            key: name.key,
            head_len: name.head.len,
            head: name.head.hash,
            device: self.device,
            inode: self.inode,
            start: self.start,
            size: self.noted,
        }
    }

    /// Reads the next lines. With `last`, nothing will ever be appended, so an unfinished line is whole.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read<'b>(&mut self, buffer: &'b mut [u8], max_line: usize, last: bool) -> io::Result<Got<'b>> {
        let (from, to, at_end) = match self.place.fill(self.offset, &self.anchor, buffer)? {
            Filled::Bytes { from, to, at_end } => (from, to, at_end),
            Filled::Truncated => return Ok(Got::Truncated),
        };
        let bytes = &buffer[from..to];
        if self.offset == 0 && self.has_another_head(bytes, at_end) {
            return Ok(Got::Truncated);
        }
        if self.long.is_some() {
            return Ok(self.read_long(bytes, max_line, at_end, last));
        }
        let whole = match memchr::memrchr(b'\n', bytes) {
            Some(newline) if !(last && at_end) => newline + 1,
            _ if last && at_end => bytes.len(),
            None if !at_end => return Ok(self.begin_long(bytes, max_line)),
            _ => 0,
        };
        self.end_seen = if at_end { self.offset + bytes.len() as u64 } else { 0 };
        if whole == 0 {
            self.place.used(bytes, 0);
            return Ok(Got::End);
        }
        let start = Position { generation: self.ordinal, offset: self.offset };
        self.advance(bytes, whole);
        Ok(Got::Lines(Lines::new(&bytes[..whole], start, max_line)))
    }

    /// At its first byte, where there is nothing before it to be compared: whether a plain file begins otherwise than
    /// when it got its name. A buffer that is smaller than the head tells nothing.
    fn has_another_head(&self, bytes: &[u8], at_end: bool) -> bool {
        let shorter = |name: &Name| bytes.len() < name.head.len as usize;
        let begins_otherwise = |name: Name| if shorter(&name) { at_end } else { !name.head.begins(bytes) };
        !self.packed
            && matches!(self.place, Place::Plain(_))
            && self.long.is_none()
            && self.name.is_some_and(begins_otherwise)
    }

    fn advance(&mut self, bytes: &[u8], count: usize) {
        self.place.used(bytes, count);
        self.anchor = self.anchor.after(&bytes[..count]);
        self.offset += count as u64;
    }

    fn begin_long<'b>(&mut self, bytes: &[u8], max_line: usize) -> Got<'b> {
        let mut long = LongLine { start: self.offset, head: Vec::new(), cut: 0 };
        long.extend(bytes, max_line);
        self.long = Some(long);
        self.end_seen = 0;
        self.advance(bytes, bytes.len());
        Got::Part
    }

    fn read_long<'b>(&mut self, bytes: &[u8], max_line: usize, at_end: bool, last: bool) -> Got<'b> {
        let Some(mut long) = self.long.take() else { return Got::End };
        let newline = memchr::memchr(b'\n', bytes);
        let text = &bytes[..newline.unwrap_or(bytes.len())];
        long.extend(text, max_line);
        self.advance(bytes, newline.map_or(bytes.len(), |newline| newline + 1));
        self.end_seen = if at_end && newline.is_none() { self.offset } else { 0 };
        if newline.is_none() && !(last && at_end) {
            self.long = Some(long);
            return if text.is_empty() { Got::End } else { Got::Part };
        }
        let generation = self.ordinal;
        let span = Span {
            start: Position { generation, offset: long.start },
            end: Position { generation, offset: self.offset },
        };
        Got::Long(span, long)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn generation(content: &[u8]) -> (tempfile::NamedTempFile, Generation) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        let place = Place::plain(file.reopen().unwrap());
        let generation = Generation { path: file.path().to_owned(), ..Generation::of(place) };
        (file, generation)
    }

    /// All lines with a buffer of this size, as (start, text, bytes cut).
    fn lines(
        generation: &mut Generation,
        buffer: usize,
        max_line: usize,
        last: bool,
    ) -> Vec<(u64, String, u64)> {
        let mut buffer = vec![0; buffer];
        let mut out = Vec::new();
        let mut take = |line: RawLine<'_>| {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            out.push((line.span.start.offset, text, line.truncated));
        };
        loop {
            match generation.read(&mut buffer, max_line, last).unwrap() {
                Got::Lines(lines) => lines.into_iter().for_each(&mut take),
                Got::Long(span, long) => take(long.as_raw(span)),
                Got::Part => {}
                Got::End => return out,
                Got::Truncated => panic!("truncated"),
            }
        }
    }

    #[test]
    fn any_buffer_gives_the_same_lines() {
        let mut content = Vec::new();
        for index in 0..40 {
            content.extend_from_slice("y".repeat(index * 7 % 230).as_bytes());
            content.push(b'\n');
        }
        content.extend_from_slice(b"unfinished");
        let (_file, mut first) = generation(&content);
        let expected = lines(&mut first, 100_000, 150, false);
        assert_eq!(expected.len(), 40);
        for size in [65, 70, 100, 128, 333] {
            let (_file, mut again) = generation(&content);
            assert_eq!(lines(&mut again, size, 150, false), expected, "buffer of {size}");
            assert_eq!(again.low(), content.len() as u64 - 10);
        }
    }

    /// Any bytes, that come in any pieces, read into any buffer: each is in one line, kept or counted as cut.
    #[test]
    fn no_byte_is_lost_whatever_comes_in_whatever_pieces() {
        let seed = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("SKIDDER_SEED={seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let (mut file, mut generation) = generation(b"");
            let (mut content, mut out) = (Vec::new(), Vec::new());
            let (max_line, size) = (random.usize(1..300), random.usize(65..600));
            for piece in 0..random.usize(1..20) {
                let kinds = [
                    b"\n".repeat(random.usize(0..9)),
                    vec![0; random.usize(0..900)],
                    vec![b'x'; random.usize(0..900)],
                ];
                let bytes: Vec<u8> = kinds[random.usize(0..3)].clone();
                file.write_all(&bytes).unwrap();
                content.extend(bytes);
                out.extend(lines(&mut generation, size, max_line, piece == 19));
            }
            out.extend(lines(&mut generation, size, max_line, true));
            let mut at = 0;
            for (start, text, cut) in &out {
                assert_eq!(*start, at, "SKIDDER_SEED={seed}: a gap, or a line twice");
                at += text.len() as u64 + cut;
                at += u64::from(content.get(at as usize) == Some(&b'\n'));
            }
            assert_eq!(at, content.len() as u64, "SKIDDER_SEED={seed}");
            assert!(out.iter().all(|(_, text, _)| text.len() <= max_line));
        }
    }

    #[test]
    fn a_hole_of_any_length_takes_no_memory_and_the_line_after_it_is_whole() {
        let mut content = vec![0; 100_000];
        content.extend_from_slice(b"a line\nanother\n");
        let (_file, mut generation) = generation(&content);
        let given = lines(&mut generation, 256, 1000, false);
        assert_eq!(given, [(0, "a line".into(), 100_000), (100_007, "another".into(), 0)]);
    }

    #[test]
    fn an_unfinished_line_waits_until_the_file_is_closed() {
        let (mut file, mut generation) = generation(b"one\ntw");
        assert_eq!(lines(&mut generation, 256, 100, false), [(0, "one".into(), 0)]);
        assert_eq!(generation.end_seen, 6);
        file.write_all(b"o\nthr").unwrap();
        assert_eq!(lines(&mut generation, 256, 100, false), [(4, "two".into(), 0)]);
        assert_eq!(lines(&mut generation, 256, 100, true), [(8, "thr".into(), 0)]);
        assert_eq!(generation.low(), 11);
    }

    #[test]
    fn a_line_without_end_holds_no_more_than_its_limit() {
        let content = vec![b'z'; 10_000];
        let (_file, mut generation) = generation(&content);
        assert_eq!(lines(&mut generation, 256, 1000, false), []);
        assert_eq!(generation.low(), 0);
        assert!(generation.long.as_ref().unwrap().held_bytes() <= 2048);
        let given = lines(&mut generation, 256, 1000, true);
        assert_eq!((given[0].1.len(), given[0].2), (1000, 9000));
    }
}
