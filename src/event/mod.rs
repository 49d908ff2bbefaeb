//! The nouns that move from room to room.
//!
//! Nothing here does I/O or knows a room. Borrowed nouns ([`Line`], [`Event`]) live as long as the read buffer;
//! owned ones ([`Batch`], [`Receipt`], [`Record`]) cross threads.

mod batch;
mod metadata;
mod rest;
pub mod time;

pub use batch::{Batch, Item, Receipt, Record, Settled, Target, TargetKind, Verdict};
pub use metadata::{ContainerMeta, Origin, PodMeta};
pub use rest::{Original, Rest};

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What names one generation (one file's life between two rotations) in document ids, for ever and on every
/// machine: 72 bits, shown as twelve characters of URL-safe base64.
///
/// For container logs it is computed from the container and the generation's first line; for plain files it is
/// random, minted when the file is first seen. See `tail::identity`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GenerationKey(pub [u8; 9]);

impl GenerationKey {
    /// The twelve characters of the key.
    pub fn text(&self) -> [u8; 12] {
        const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // Written for every document: by hand, since the crate's way costs half an id.
        let mut out = [0; 12];
        for (four, three) in out.chunks_exact_mut(4).zip(self.0.chunks_exact(3)) {
            let bits = usize::from(three[0]) << 16 | usize::from(three[1]) << 8 | usize::from(three[2]);
            for (place, character) in four.iter_mut().rev().enumerate() {
                *character = CHARACTERS[bits >> (6 * place) & 63];
            }
        }
        out
    }

    /// Reads what [`GenerationKey::text`] wrote; `None` when it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }
}

impl fmt::Display for GenerationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for GenerationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A place in a source's stream of bytes, ordered as the bytes are.
///
/// `generation` is an ordinal within this process (it grows from each generation of the source to the next); what is
/// durable names the generation by its [`GenerationKey`] instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Which generation of the source, counted in this process.
    pub generation: u32,
    /// Bytes from the start of the (uncompressed) file.
    pub offset: u64,
}

/// From the first byte of something to the byte after its last (after the newline).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: Position,
    /// The byte after the last.
    pub end: Position,
}

/// Which stream of its container a line was written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A plain file, which has no streams.
    #[default]
    None,
}

impl Stream {
    /// How many streams there are: the length of an array indexed by [`Stream::index`].
    pub const COUNT: usize = 3;

    /// A small index for arrays.
    pub fn index(self) -> usize {
        match self {
            Self::Stdout => 0,
            Self::Stderr => 1,
            Self::None => 2,
        }
    }

    /// The name as documents carry it; empty for [`Stream::None`], which documents leave out.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::None => "",
        }
    }

    /// Reads what [`Stream::name`] wrote.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "stdout" => Some(Self::Stdout),
            "stderr" => Some(Self::Stderr),
            "" => Some(Self::None),
            _ => None,
        }
    }
}

/// A line as it lies in the file, without its newline: what `tail` gives and `decode` takes.
#[derive(Clone, Copy, Debug)]
pub struct RawLine<'a> {
    /// The bytes without the newline; the head of them when `truncated` is not 0.
    pub bytes: &'a [u8],
    /// Where all of it lies, newline included.
    pub span: Span,
    /// `bytes` is known to be valid UTF-8 (the whole block was checked at once). False says nothing.
    pub utf8: bool,
    /// Bytes of the line that were too many and are not in `bytes`.
    pub truncated: u64,
}

/// A line as the program wrote it: what `decode` gives and `join` takes.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The runtime's own text of the time (RFC 3339, up to nine digits), or the time of reading for plain
    /// files. Never empty.
    pub time: &'a [u8],
    /// The stream it was written to.
    pub stream: Stream,
    /// A part: the runtime cut the line, and the next of this stream goes on with it.
    pub partial: bool,
    /// What the program wrote, without the newline.
    pub message: &'a [u8],
    /// `message` is known to be valid UTF-8. False says nothing.
    pub utf8: bool,
    /// The line was not of its file's format; `message` is all of it, raw.
    pub malformed: bool,
    /// Bytes of the line that were too many and are not in `message`.
    pub truncated: u64,
    /// Where the whole raw line lies in its file, newline included. A line lies within one generation.
    pub span: Span,
}

impl Line<'_> {
    /// The bytes of the file that this line stands for, newline included.
    pub fn bytes(&self) -> u64 {
        self.span.end.offset - self.span.start.offset
    }
}

/// What is special about an event; shown as `log.flags`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Several lines were joined (parts of one line do not count).
    pub multiline: bool,
    /// Something was too long and was cut.
    pub truncated: bool,
    /// Given out by a timeout or the end of the file before its last part came.
    pub partial: bool,
}

impl Flags {
    /// Whether no flag is set, so that documents leave them out.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What ended an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The bytes themselves: reading them again ends it at the same place.
    Bytes(Reason),
    /// The clock, at the end of the file: cannot be recomputed, so it must be durable (a [`Record::Cut`])
    /// before the event leaves.
    Clock,
    /// It is as long as an event may be, and goes on in a following one. The bytes say so.
    Limit(Limit),
}

/// What it was in the bytes that ended an event: for people, `--explain` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A line that nothing was waited for below.
    Alone,
    /// The next line of its stream begins another, or at least may.
    Start,
    /// The next line of its stream cannot continue it.
    Foreign,
    /// As many lines as may be held back came, and none that surely belongs.
    Unsure,
    /// A later line of the container is stamped more than `timeout` after its last.
    Silence,
}

/// How long an event may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `max_lines`.
    Lines,
    /// `max_bytes`.
    Bytes,
}

/// One or more lines that belong together: what `join` gives and all later rooms take.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The first line's time, see [`Line::time`].
    pub time: &'a [u8],
    /// The stream of all its lines.
    pub stream: Stream,
    /// The lines' messages, joined by `\n`, none at the end.
    pub message: &'a [u8],
    /// `message` is known to be valid UTF-8. False says nothing.
    pub utf8: bool,
    /// What is special about it.
    pub flags: Flags,
    /// From its first line's first byte to the byte after its last line. Lines of the other stream may lie
    /// between, so spans of events overlap.
    pub span: Span,
    /// How many lines were joined; parts of one line count as one.
    pub lines: u32,
    /// The bytes of the file that this event stands for: the sum of its raw lines. Each byte of a file belongs
    /// to exactly one event.
    pub bytes: u64,
    /// Of a program's own bytes, how many were cut away because they were too many.
    pub truncated: u64,
    /// What ended it.
    pub end: End,
    /// For [`Reason::Start`], by which rule or pattern the next line begins another.
    pub next: &'a str,
    /// Why its lines were joined (the rule's or pattern's name, such as `java`), for `--explain`; of a single line,
    /// what it might have begun, and empty if nothing.
    pub rule: &'a str,
}

impl<'a> Event<'a> {
    /// An event of one line, ended by its bytes; its span is empty, and its message not known to be UTF-8.
    pub fn line(time: &'a [u8], stream: Stream, message: &'a [u8]) -> Self {
        Self {
            time,
            stream,
            message,
            utf8: false,
            flags: Flags::default(),
            span: Span::default(),
            lines: 1,
            bytes: message.len() as u64,
            truncated: 0,
            end: End::Bytes(Reason::Alone),
            next: "",
            rule: "",
        }
    }
}

/// A file that holds one generation of a log, as a look at its folder shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerationFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it is compressed by gzip.
    pub packed: bool,
    /// The device that holds it.
    pub device: u64,
    /// Its inode there; given to another file as soon as this one is gone.
    pub inode: u64,
    /// Its size on the disk in bytes.
    pub size: u64,
}

/// Takes events as they are found. The event is borrowed: what must stay is copied.
pub trait EventSink {
    /// Takes one event.
    fn event(&mut self, event: &Event<'_>);
}

impl<F: FnMut(&Event<'_>)> EventSink for F {
    fn event(&mut self, event: &Event<'_>) {
        self(event);
    }
}

/// A source within this process: an index, given in the order of discovery and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u32);

/// What is kept for each source, found by its number.
pub type BySource<T> = HashMap<SourceId, T, BuildHasherDefault<NumberHasher>>;

/// Spreads numbers that this process has given, in an instruction: they are asked for with each event, and nobody
/// chooses them so that they meet.
#[derive(Clone, Copy, Debug, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(byte.into()));
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio: neighbours end up far from each other, in the high bits too.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// What names a source across restarts: `pod/<uid>/<container>/<instance>` for a container of a pod,
/// `docker/<id>` for one of a plain Docker host, `file/<path>` for a plain file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey(pub Arc<str>);

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_key_is_url_safe_base64() {
        for key in [[0; 9], [255; 9], [0, 1, 2, 60, 250, 127, 128, 251, 255], *b"skidder!?"] {
            let text = GenerationKey(key).text();
            let text = str::from_utf8(&text).unwrap();
            assert_eq!(text, URL_SAFE_NO_PAD.encode(key));
            assert_eq!(GenerationKey::parse(text), Some(GenerationKey(key)));
        }
    }
}
