//! How a file is known again: after a rename, a restart, a reused inode, a truncation.
//!
//! | what | guards against |
//! | --- | --- |
//! | device and inode, while the file is held open | a rename; nothing else can have the inode as long as we hold it |
//! | the name, from the first line (container logs) | inode reuse, gzip, restarts, the same path with new content: the line carries the runtime's nanoseconds |
//! | the head: a hash of the first bytes (plain files) | inode reuse across a restart, the same path with new content |
//! | the anchor: the bytes just before the offset | a file that was truncated and grew past its old size, two files with the same head |

use std::borrow::Borrow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::event::{GenerationKey, SourceKey};

/// How much of a first line makes a name: more than any runtime's line without its parts.
pub const FIRST_LINE_MAX: usize = 32 * 1024;

/// How much of a plain file makes its head.
pub const HEAD_MAX: usize = 1024;

/// How many bytes before an offset make its anchor.
pub const ANCHOR_LEN: usize = 64;

/// How a log's generations come to their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// Computed from the source and the first line: container logs, whose lines carry nanoseconds.
    FirstLine,
    /// Random, minted when the file is first seen: plain files, which may share their first lines.
    Mark,
}

/// A hash of the first bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many bytes it covers.
    pub len: u32,
    /// Their xxh3 hash.
    pub hash: u64,
}

impl Head {
    /// The head of a file that begins with these bytes (at most [`HEAD_MAX`] of them count).
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(HEAD_MAX)];
        Self { len: bytes.len() as u32, hash: xxh3_64(bytes) }
    }

    /// Whether a file that begins with these bytes can be the one that had this head.
    pub fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.len as usize).is_some_and(|head| xxh3_64(head) == self.hash)
    }
}

/// The name of the generation of `source` whose first bytes are these; `None` while its first line is not whole.
pub fn name_from_first_line(source: &SourceKey, bytes: &[u8]) -> Option<GenerationKey> {
    let line = match memchr::memchr(b'\n', bytes) {
        Some(newline) => &bytes[..=newline],
        None if bytes.len() >= FIRST_LINE_MAX => bytes,
        None => return None,
    };
    let line = &line[..line.len().min(FIRST_LINE_MAX)];
    let mut content = Vec::with_capacity(source.0.len() + 1 + line.len());
    content.extend_from_slice(source.0.as_bytes());
    content.push(0);
    content.extend_from_slice(line);
    Some(shortened(xxh3_128(&content).to_be_bytes()))
}

/// A mark for a plain file.
///
/// # Errors
/// When the system has no randomness to give.
pub fn mint() -> io::Result<GenerationKey> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(shortened(bytes))
}

fn shortened(bytes: [u8; 16]) -> GenerationKey {
    let mut key = [0; 9];
    key.copy_from_slice(&bytes[..9]);
    GenerationKey(key)
}

/// The first bytes of a file, at most [`FIRST_LINE_MAX`], read from its start whatever was read before.
///
/// # Errors
/// When it cannot be read, or is packed and not gzip.
pub fn first_bytes(file: &File, packed: bool) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let from_start = Reading { file, at: 0 };
    if packed {
        let unpacked = flate2::read::MultiGzDecoder::new(from_start);
        let read = unpacked.take(FIRST_LINE_MAX as u64).read_to_end(&mut bytes);
        // One that ends too soon begins well; who reads it to there is told.
        read.or_else(|error| if bytes.is_empty() { Err(error) } else { Ok(0) })?;
    } else {
        from_start.take(FIRST_LINE_MAX as u64).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// The hash of the bytes just before `offset`; 0 when there are none.
///
/// # Errors
/// When they cannot be read.
pub fn anchor(file: &File, offset: u64) -> io::Result<u64> {
    let mut bytes = [0; ANCHOR_LEN];
    let len = offset.min(ANCHOR_LEN as u64) as usize;
    file.read_exact_at(&mut bytes[..len], offset - len as u64)?;
    Ok(anchor_hash(&bytes[..len]))
}

/// The hash of an anchor's bytes; 0 for none.
pub fn anchor_hash(bytes: &[u8]) -> u64 {
    if bytes.is_empty() { 0 } else { xxh3_64(bytes) }
}

/// How many bytes a packed file says that it holds (modulo 4 GiB, as gzip has it); 0 for one that is too short.
pub fn unpacked_len(file: &File) -> u64 {
    let mut len = [0; 4];
    let end = file.metadata().map_or(0, |meta| meta.len());
    let read = end.checked_sub(4).map(|at| file.read_exact_at(&mut len, at));
    if matches!(read, Some(Ok(()))) { u32::from_le_bytes(len).into() } else { 0 }
}

/// Reads a file by offset, so that nobody's place in it is moved.
pub(super) struct Reading<F> {
    /// The file.
    pub file: F,
    /// The next byte.
    pub at: u64,
}

impl<F: Borrow<File>> Read for Reading<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.borrow().read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SourceKey {
        SourceKey(text.into())
    }

    #[test]
    fn the_name_is_of_the_source_and_its_first_line_alone() {
        let first =
            name_from_first_line(&key("pod/u/c/0"), b"2026-11-22T17:59:21.265822348Z stdout F a\nmore");
        assert!(first.is_some());
        let same = name_from_first_line(&key("pod/u/c/0"), b"2026-11-22T17:59:21.265822348Z stdout F a\n");
        assert_eq!(first, same);
        let other = name_from_first_line(&key("pod/u/c/1"), b"2026-11-22T17:59:21.265822348Z stdout F a\n");
        assert_ne!(first, other);
        assert_eq!(name_from_first_line(&key("pod/u/c/0"), b"2026-11-22T17:59:21.2658"), None);
        assert_eq!(name_from_first_line(&key("pod/u/c/0"), b""), None);
    }

    #[test]
    fn a_first_line_without_end_is_cut() {
        let long = vec![b'x'; FIRST_LINE_MAX + 10];
        let mut ended = long.clone();
        ended.push(b'\n');
        let name = name_from_first_line(&key("a"), &long);
        assert!(name.is_some());
        assert_eq!(name, name_from_first_line(&key("a"), &ended));
        assert_eq!(name, name_from_first_line(&key("a"), &long[..FIRST_LINE_MAX]));
    }

    #[test]
    fn a_head_knows_what_grew_from_what_changed() {
        let head = Head::of(b"banner\n");
        assert!(head.begins(b"banner\nmore"));
        assert!(!head.begins(b"banner"));
        assert!(!head.begins(b"Banner\nmore"));
        assert!(Head::of(b"").begins(b""));
        let long = [b'x'; HEAD_MAX + 5];
        assert_eq!(Head::of(&long), Head::of(&long[..HEAD_MAX]));
    }

    #[test]
    fn marks_differ() {
        assert_ne!(mint().unwrap(), mint().unwrap());
    }
}
