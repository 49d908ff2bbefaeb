//! Any bytes, read in any pieces: each byte is in one line, kept or counted as cut, in the order of the file.
#![no_main]

use std::io::Read;
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use skidder::event::{RawLine, SourceKey};
use skidder::tail::{Chain, Turn};

/// Gives no more at a time than the pieces say, in turn.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    sizes: Vec<u8>,
    read: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes.get(self.read % self.sizes.len().max(1)).map_or(1, |size| usize::from(*size) + 1);
        let count = size.min(buffer.len()).min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        (self.at, self.read) = (self.at + count, self.read + 1);
        Ok(count)
    }
}

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u8, u8)| {
    let (bytes, sizes, buffer, max_line) = input;
    let pieces = Pieces { bytes: bytes.clone(), at: 0, sizes, read: 0 };
    let max_line = usize::from(max_line) + 1;
    let mut chain = Chain::stream(SourceKey("fuzz".into()), pieces, max_line).expect("a name");
    let mut buffer = vec![0; 4096 + usize::from(buffer)];
    let mut at = 0;
    let mut take = |line: RawLine<'_>| {
        assert_eq!(line.span.start.offset, at);
        let newline = u64::from(bytes.get(line.span.end.offset as usize - 1) == Some(&b'\n'));
        assert!(line.bytes.len() <= max_line);
        assert_eq!(line.bytes.len() as u64 + line.truncated + newline, line.span.end.offset - at);
        at = line.span.end.offset;
    };
    for _ in 0..8 * (bytes.len() + 2) {
        match chain.turn(&mut buffer, Instant::now()).expect("memory can be read") {
            Turn::Lines(lines) => lines.into_iter().for_each(&mut take),
            Turn::Long(span, long) => take(long.as_raw(span)),
            Turn::Progress | Turn::End | Turn::Survey => {}
        }
    }
    assert_eq!(at, bytes.len() as u64);
});
