//! Where a generation's bytes lie, and how they are read: by offset from a file, or one after the other from what
//! can only be read forwards.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::mem;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::identity::{ANCHOR_LEN, anchor, anchor_hash};

/// Where a generation's bytes lie.
pub enum Place {
    /// A file that is read by offset; nothing is remembered between two reads but the offset.
    Plain(File),
    /// A packed file of which nothing was read yet: what unpacks it takes some 100 KiB of memory, and of many files
    /// only one at a time is read.
    Packed {
        /// The file.
        file: File,
        /// How many unpacked bytes are not wanted.
        skip: u64,
    },
    /// A stream that is read forwards: a packed file, or standard input.
    Forward(Forward),
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

impl Place {
    /// A packed file; when it is read, bytes before `skip` are read and thrown away.
    pub fn packed(file: File, skip: u64) -> Self {
        Self::Packed { file, skip }
    }

    /// Makes a packed file ready to be read, which else its first read does.
    ///
    /// # Errors
    /// When it is not gzip, or ends before `skip`.
    pub fn unpack(&mut self) -> io::Result<()> {
        if !matches!(self, Self::Packed { .. }) {
            return Ok(());
        }
        // One that cannot be unpacked now will never be.
        let Self::Packed { file, skip } = mem::replace(self, Self::stream(io::empty())) else {
            return Ok(());
        };
        let unpacked = flate2::read::MultiGzDecoder::new(BufReader::with_capacity(64 * 1024, file));
        let mut forward = Forward::new(unpacked);
        let skipped = io::copy(&mut forward.input.by_ref().take(skip), &mut io::sink())?;
        if skipped < skip {
            let message = format!("ends at byte {skipped}, before byte {skip} where it is to be read on");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        forward.at = skip;
        *self = Self::Forward(forward);
        Ok(())
    }

    /// A stream that has no file, such as standard input. Where it has nothing to give just now, it may say that it
    /// would block.
    pub fn stream(input: impl Read + Send + 'static) -> Self {
        Self::Forward(Forward::new(input))
    }

    /// Whether a stream has come to its end; a file never has.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Forward(Forward { end: ForwardEnd::Over, .. }))
    }

    /// Fills the buffer from `offset` on. The buffer holds more than an anchor.
    ///
    /// # Errors
    /// When reading fails; nothing is lost by trying again, but for a [`Place::Forward`].
    pub fn fill(&mut self, offset: u64, anchor: &Anchor, buffer: &mut [u8]) -> io::Result<Filled> {
        self.unpack()?;
        match self {
            Self::Plain(file) => fill_plain(file, offset, anchor, buffer),
            Self::Forward(forward) => forward.fill(offset, buffer),
            Self::Packed { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Tells a forward place how much of what it filled was used, so that the rest comes again.
    pub fn used(&mut self, filled: &[u8], count: usize) {
        if let Self::Forward(forward) = self {
            forward.at += count as u64;
            forward.carry.clear();
            forward.carry.extend_from_slice(&filled[count..]);
        }
    }

    /// The hash of the bytes before an offset; 0 where that cannot be told.
    pub fn anchor_hash(&self, offset: u64) -> u64 {
        match self {
            Self::Plain(file) => anchor(file, offset).unwrap_or(0),
            Self::Packed { .. } | Self::Forward(_) => 0,
        }
    }

    /// The file's state just now; `None` for a forward place.
    pub fn stat(&self) -> Option<Stat> {
        let Self::Plain(file) = self else { return None };
        let meta = file.metadata().ok()?;
        Some(Stat { size: meta.size(), links: meta.nlink() })
    }
}

/// What the system says of an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Its size in bytes.
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
    fn new(input: impl Read + Send + 'static) -> Self {
        Self { input: Box::new(input), carry: Vec::new(), at: 0, end: ForwardEnd::Open }
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
        let mut place = Place::Plain(file.reopen().unwrap());
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
        let mut place = Place::Plain(file.reopen().unwrap());
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
        std::io::Seek::rewind(&mut file).unwrap();
        let mut place = Place::packed(file, 0);
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
        std::io::Seek::rewind(&mut file).unwrap();
        let mut place = Place::packed(file, 4);
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
