//! Where a generation's bytes lie, and how they are read: by offset from a file, or one after the other from what
//! can only be read forwards.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::mem;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::identity::{ANCHOR_LEN, Reading, anchor, anchor_hash, unpacked_len};
use crate::event::Rest;

/// Where a generation's bytes lie.
pub enum Place {
    /// A file that is read by offset; nothing is remembered between two reads but the offset.
    Plain(Arc<File>),
    /// A packed file, which is opened for unpacking when it is read.
    Packed {
        /// The file.
        file: Packed,
        /// The reading of it, from its first read to its last.
        reading: Option<Forward>,
    },
    /// A stream that has no file, such as standard input.
    Stream(Forward),
}

/// A packed file.
pub enum Packed {
    /// One that rotation has packed, all of its generation.
    Gzip {
        /// The file.
        file: Arc<File>,
        /// How long it is when unpacked, as it says itself.
        len: u64,
    },
    /// A copy of the rest of a generation. It has its name as long as it is needed, so it is not held open.
    Rest(Rest),
}

/// A stream that is read forwards.
pub struct Forward {
    input: Box<dyn Read + Send>,
    /// Read, and not yet part of a whole line.
    carry: Vec<u8>,
    /// Where the carry begins, from the start of the unpacked bytes.
    at: u64,
    /// How it came to its end.
    end: ForwardEnd,
}

/// How a stream came to its end.
enum ForwardEnd {
    /// It did not yet.
    Open,
    /// As it should.
    Over,
    /// By an error, which is told once what was read before it is used.
    Failed(io::Error),
}

/// What a read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    /// This many bytes from the offset on lie in the buffer, after as many bytes of the anchor.
    Bytes {
        /// Where in the buffer they begin.
        from: usize,
        /// Where they end.
        to: usize,
        /// Nothing follows them just now.
        at_end: bool,
    },
    /// The bytes before the offset are not what they were: the file was truncated.
    Truncated,
}

/// The last bytes before an offset, as they were read.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    bytes: [u8; ANCHOR_LEN],
    len: usize,
}

impl Anchor {
    /// The anchor at the end of these bytes, which follow those of `self`.
    pub fn after(self, bytes: &[u8]) -> Self {
        if bytes.len() >= ANCHOR_LEN {
            let mut last = [0; ANCHOR_LEN];
            last.copy_from_slice(&bytes[bytes.len() - ANCHOR_LEN..]);
            return Self { bytes: last, len: ANCHOR_LEN };
        }
        let mut joined = self.bytes[..self.len].to_vec();
        joined.extend_from_slice(bytes);
        let kept = &joined[joined.len().saturating_sub(ANCHOR_LEN)..];
        let mut anchor = Self { bytes: [0; ANCHOR_LEN], len: kept.len() };
        anchor.bytes[..kept.len()].copy_from_slice(kept);
        anchor
    }

    /// The anchor of an offset in a file.
    ///
    /// # Errors
    /// When the file cannot be read there, as when it is shorter.
    pub fn read(file: &File, offset: u64) -> io::Result<Self> {
        let len = offset.min(ANCHOR_LEN as u64) as usize;
        let mut anchor = Self { bytes: [0; ANCHOR_LEN], len };
        file.read_exact_at(&mut anchor.bytes[..len], offset - len as u64)?;
        Ok(anchor)
    }

    /// Its hash, as [`anchor`] computes it from a file.
    pub fn hash(&self) -> u64 {
        anchor_hash(&self.bytes[..self.len])
    }

    /// Whether a file holds this anchor before `offset`.
    pub fn stands_in(&self, file: &File, offset: u64) -> bool {
        let mut bytes = [0; ANCHOR_LEN];
        let read = file.read_exact_at(&mut bytes[..self.len], offset - self.len as u64);
        read.is_ok() && bytes[..self.len] == self.bytes[..self.len]
    }

    /// The anchor of offset 0.
    pub const NONE: Self = Self { bytes: [0; ANCHOR_LEN], len: 0 };
}

impl Packed {
    /// Its bytes from `offset` on. Nothing is read before the first of them is asked for.
    fn bytes_from(&self, offset: u64) -> io::Result<Box<dyn Read + Send>> {
        let (bytes, skip): (Box<dyn Read + Send>, u64) = match self {
            Self::Gzip { file, .. } => {
                let file = BufReader::with_capacity(64 * 1024, Reading { file: Arc::clone(file), at: 0 });
                (Box::new(MultiGzDecoder::new(file)), offset)
            }
            Self::Rest(rest) => ((rest.open)(&rest.path)?, offset.saturating_sub(rest.start)),
        };
        Ok(Box::new(Skipping { bytes, skip }))
    }
}

/// Leaves out the first bytes, when the first of the others are asked for.
struct Skipping {
    bytes: Box<dyn Read + Send>,
    skip: u64,
}

impl Read for Skipping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.skip > 0 {
            self.skip -= io::copy(&mut self.bytes.by_ref().take(self.skip), &mut io::sink())?;
            if self.skip > 0 {
                let message = format!("it ends {} bytes before what is to be read of it", self.skip);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
            }
        }
        self.bytes.read(buffer)
    }
}

impl Place {
    /// A plain file.
    pub fn plain(file: File) -> Self {
        Self::Plain(Arc::new(file))
    }

    /// A file that rotation has packed.
    pub fn gzip(file: File) -> Self {
        let len = unpacked_len(&file);
        Self::Packed { file: Packed::Gzip { file: Arc::new(file), len }, reading: None }
    }

    /// A copy of the rest of a generation.
    pub fn rest(rest: Rest) -> Self {
        Self::Packed { file: Packed::Rest(rest), reading: None }
    }

    /// A stream that has no file, such as standard input. Where it has nothing to give just now, it may say that it
    /// would block.
    pub fn stream(input: impl Read + Send + 'static) -> Self {
        Self::Stream(Forward::new(Box::new(input), 0))
    }

    /// Whether a stream has come to its end; a file never has.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Stream(Forward { end: ForwardEnd::Over, .. }))
    }

    /// Fills the buffer from `offset` on. The buffer holds more than an anchor.
    ///
    /// # Errors
    /// When reading fails; nothing is lost by trying again, but for a [`Place::Stream`].
    pub fn fill(&mut self, offset: u64, anchor: &Anchor, buffer: &mut [u8]) -> io::Result<Filled> {
        match self {
            Self::Plain(file) => fill_plain(file, offset, anchor, buffer),
            Self::Packed { file, reading } => {
                let mut forward = match reading.take() {
                    Some(forward) => forward,
                    None => Forward::new(file.bytes_from(offset)?, offset),
                };
                let filled = forward.fill(offset, buffer)?;
                *reading = Some(forward);
                Ok(filled)
            }
            Self::Stream(forward) => forward.fill(offset, buffer),
        }
    }

    /// Tells a forward place how much of what it filled was used, so that the rest comes again.
    pub fn used(&mut self, filled: &[u8], count: usize) {
        if let Self::Packed { reading: Some(forward), .. } | Self::Stream(forward) = self {
            forward.at += count as u64;
            forward.carry.clear();
            forward.carry.extend_from_slice(&filled[count..]);
        }
    }

    /// It was read to its end: what was only needed for that goes.
    pub fn is_read(&mut self) {
        if let Self::Packed { reading, .. } = self {
            *reading = None;
        }
    }

    /// Its bytes from `offset` on, up to `end` where it is a plain file, for another thread; `None` for a stream.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn bytes_between(&self, offset: u64, end: u64) -> io::Result<Option<Box<dyn Read + Send>>> {
        Ok(match self {
            Self::Plain(file) => {
                let bytes = Reading { file: Arc::clone(file), at: offset };
                Some(Box::new(bytes.take(end - offset)))
            }
            Self::Packed { file, .. } => Some(file.bytes_from(offset)?),
            Self::Stream(_) => None,
        })
    }

    /// The hash of the bytes before an offset; 0 where that cannot be told.
    pub fn anchor_hash(&self, offset: u64) -> u64 {
        match self {
            Self::Plain(file) => anchor(file, offset).unwrap_or(0),
            Self::Packed { .. } | Self::Stream(_) => 0,
        }
    }

    /// The file's state just now; `None` for a stream.
    pub fn stat(&self) -> Option<Stat> {
        match self {
            Self::Plain(file) => {
                let meta = file.metadata().ok()?;
                Some(Stat { size: meta.size(), links: meta.nlink() })
            }
            Self::Packed { file: Packed::Gzip { file, len }, .. } => {
                Some(Stat { size: *len, links: file.metadata().ok()?.nlink() })
            }
            Self::Packed { file: Packed::Rest(rest), .. } => Some(Stat { size: rest.end, links: 0 }),
            Self::Stream(_) => None,
        }
    }
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its size in bytes, unpacked.
    pub size: u64,
    /// How many names it has; 0 when it is unlinked.
    pub links: u64,
}

/// Reads from the anchor on, so that one call both checks what was there and gets what is new.
fn fill_plain(file: &File, offset: u64, anchor: &Anchor, buffer: &mut [u8]) -> io::Result<Filled> {
    let from = offset - anchor.len as u64;
    let mut to = 0;
    // A read may end early (a signal); only a read of nothing is the end.
    let at_end = loop {
        if to == buffer.len() {
            break false;
        }
        match file.read_at(&mut buffer[to..], from + to as u64) {
            Ok(0) => break true,
            Ok(count) => to += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    if to < anchor.len || buffer[..anchor.len] != anchor.bytes[..anchor.len] {
        return Ok(Filled::Truncated);
    }
    Ok(Filled::Bytes { from: anchor.len, to, at_end })
}

impl Forward {
    fn new(input: Box<dyn Read + Send>, at: u64) -> Self {
        Self { input, carry: Vec::new(), at, end: ForwardEnd::Open }
    }

    fn fill(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<Filled> {
        debug_assert_eq!(self.at, offset, "a forward place is read where it stands");
        if let ForwardEnd::Failed(error) = mem::replace(&mut self.end, ForwardEnd::Open) {
            return Err(error);
        }
        let mut to = self.carry.len();
        buffer[..to].copy_from_slice(&self.carry);
        let at_end = loop {
            if to == buffer.len() {
                break false;
            }
            match self.input.read(&mut buffer[to..]) {
                Ok(0) => {
                    self.end = ForwardEnd::Over;
                    break true;
                }
                Ok(count) => to += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                // What came before it is good.
                Err(error) if to > self.carry.len() => {
                    self.end = ForwardEnd::Failed(error);
                    break false;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Filled::Bytes { from: 0, to, at_end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_plain_file_that_grew_is_read_on() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut place = Place::plain(file.reopen().unwrap());
        let anchor = Anchor::NONE.after(b"01234");
        let mut buffer = [0; 128];
        let filled = place.fill(5, &anchor, &mut buffer).unwrap();
        assert_eq!(filled, Filled::Bytes { from: 5, to: 10, at_end: true });
        assert_eq!(&buffer[5..10], b"56789");
    }

    #[test]
    fn a_truncated_file_is_noticed_whether_it_grew_again_or_not() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"0123456789").unwrap();
        let mut place = Place::plain(file.reopen().unwrap());
        let anchor = Anchor::NONE.after(b"0123456789");
        let mut buffer = [0; 128];
        file.as_file().set_len(0).unwrap();
        assert_eq!(place.fill(10, &anchor, &mut buffer).unwrap(), Filled::Truncated);
        file.as_file().write_at(b"abcdefghijklmn", 0).unwrap();
        assert_eq!(place.fill(10, &anchor, &mut buffer).unwrap(), Filled::Truncated);
    }

    #[test]
    fn an_anchor_is_the_last_bytes_however_they_came() {
        let text: Vec<u8> = (0..200).collect();
        let whole = Anchor::NONE.after(&text);
        let pieces = text.chunks(7).fold(Anchor::NONE, Anchor::after);
        assert_eq!(whole.bytes, pieces.bytes);
        assert_eq!(whole.len, pieces.len);
    }

    #[test]
    fn of_a_packed_file_that_was_cut_all_that_is_there_is_given() {
        let text: Vec<u8> =
            (0..20_000_u32).flat_map(|n| format!("{}\n", n.wrapping_mul(0x9e37)).into_bytes()).collect();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        let packed = encoder.finish().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&packed[..packed.len() / 2]).unwrap();
        let mut place = Place::gzip(file);
        let (mut buffer, mut read) = (vec![0; 1 << 20], 0);
        let error = loop {
            match place.fill(read, &Anchor::NONE, &mut buffer) {
                Ok(Filled::Bytes { from: 0, to, at_end: false }) => {
                    assert_eq!(buffer[..to], text[read as usize..read as usize + to]);
                    place.used(&buffer[..to], to);
                    read += to as u64;
                }
                Ok(other) => panic!("{other:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(read > text.len() as u64 / 4, "{read} of {}", text.len());
    }

    #[test]
    fn a_packed_file_carries_what_was_not_used() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"one\ntwo\nthree").unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&encoder.finish().unwrap()).unwrap();
        let mut place = Place::gzip(file);
        assert_eq!(place.stat().unwrap().size, 13);
        let mut buffer = [0; 6];
        let Filled::Bytes { from: 0, to: 6, at_end: false } =
            place.fill(4, &Anchor::NONE, &mut buffer).unwrap()
        else {
            panic!()
        };
        assert_eq!(&buffer, b"two\nth");
        place.used(&buffer, 4);
        let mut buffer = [0; 64];
        assert_eq!(
            place.fill(8, &Anchor::NONE, &mut buffer).unwrap(),
            Filled::Bytes { from: 0, to: 5, at_end: true }
        );
        assert_eq!(&buffer[..5], b"three");
    }
}
