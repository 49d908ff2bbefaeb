//! What is left of a generation whose file has no name any more.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::GenerationKey;

/// The rest of a generation, from its lowest byte that is not acknowledged, as it is to be copied.
pub struct Original {
    /// The generation.
    pub key: GenerationKey,
    /// How many bytes at its start `head` covers.
    pub head_len: u32,
    /// Their xxh3 hash.
    pub head: u64,
    /// Where in the (uncompressed) generation the rest begins.
    pub start: u64,
    /// The generation's first line without its newline, where `start` is not 0.
    pub first_line: Vec<u8>,
    /// The bytes from `start` on.
    pub bytes: Box<dyn Read + Send>,
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original").field("key", &self.key).field("start", &self.start).finish_non_exhaustive()
    }
}

/// A file that holds the rest of a generation.
#[derive(Clone, Debug)]
pub struct Rest {
    /// The generation.
    pub key: GenerationKey,
    /// How many bytes at its start `head` covers.
    pub head_len: u32,
    /// Their xxh3 hash.
    pub head: u64,
    /// Where in the generation the rest begins.
    pub start: u64,
    /// Where the generation ends.
    pub end: u64,
    /// The generation's first line without its newline, where `start` is not 0.
    pub first_line: Vec<u8>,
    /// The file.
    pub path: PathBuf,
    /// Its size on the disk in bytes.
    pub size: u64,
    /// Opens the file, to read the generation's bytes from `start` to `end`.
    pub open: fn(&Path) -> io::Result<Box<dyn Read + Send>>,
}
