//! A block of whole lines, and the lines in it.

use crate::event::{Position, RawLine, Span};

/// Bytes from one generation that end with a newline, or with the generation itself.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'b> {
    /// The bytes.
    pub bytes: &'b [u8],
    /// Where they begin.
    pub start: Position,
    /// All of them are valid UTF-8. False says nothing of any one line.
    pub utf8: bool,
    /// How long a line may be; what is beyond is left out and counted.
    pub max_line: usize,
}

impl<'b> Lines<'b> {
    /// Checks the encoding of the whole block at once: far cheaper than line by line.
    pub fn new(bytes: &'b [u8], start: Position, max_line: usize) -> Self {
        Self { bytes, start, utf8: simdutf8::basic::from_utf8(bytes).is_ok(), max_line }
    }
}

impl<'b> IntoIterator for Lines<'b> {
    type Item = RawLine<'b>;
    type IntoIter = LinesIter<'b>;

    fn into_iter(self) -> LinesIter<'b> {
        LinesIter { at: 0, lines: self }
    }
}

/// The lines of a block.
#[derive(Debug)]
pub struct LinesIter<'b> {
    lines: Lines<'b>,
    at: usize,
}

impl<'b> Iterator for LinesIter<'b> {
    type Item = RawLine<'b>;

    #[inline]
    fn next(&mut self) -> Option<RawLine<'b>> {
        let rest = &self.lines.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let (line, with_end) = match memchr::memchr(b'\n', rest) {
            Some(newline) => (&rest[..newline], newline + 1),
            None => (rest, rest.len()),
        };
        let generation = self.lines.start.generation;
        let start = self.lines.start.offset + self.at as u64;
        self.at += with_end;
        let end = start + with_end as u64;
        let text = if line.first() == Some(&0) { after_hole(line) } else { line };
        let kept = &text[..text.len().min(self.lines.max_line)];
        let truncated = (line.len() - kept.len()) as u64;
        Some(RawLine {
            bytes: kept,
            span: Span {
                start: Position { generation, offset: start },
                end: Position { generation, offset: end },
            },
            utf8: self.lines.utf8 && truncated == 0,
            truncated,
        })
    }
}

/// What follows the zeros that a line begins with. They are no text: after a loss of power a file may have the length
/// that it had, and zeros in place of what was not written out; the next line then follows them at once.
pub(super) fn after_hole(line: &[u8]) -> &[u8] {
    let zeros = line.iter().take_while(|byte| **byte == 0).count();
    &line[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_between_lines() {
        let bytes = b"one\n\ntwo is long\nthree";
        let start = Position { generation: 3, offset: 100 };
        let lines: Vec<RawLine<'_>> = Lines::new(bytes, start, 7).into_iter().collect();
        let texts: Vec<&[u8]> = lines.iter().map(|line| line.bytes).collect();
        assert_eq!(texts, [&b"one"[..], b"", b"two is ", b"three"]);
        assert_eq!(lines[2].truncated, 4);
        assert!(!lines[2].utf8 && lines[1].utf8);
        assert!(lines.windows(2).all(|pair| pair[0].span.end == pair[1].span.start));
        assert_eq!(lines[0].span.start, start);
        assert_eq!(lines[3].span.end.offset, 100 + bytes.len() as u64);
    }

    #[test]
    fn a_line_after_a_hole_is_the_line() {
        let bytes = b"\0\0\0one\n\0\n\0two \0 is\n";
        let lines: Vec<_> = Lines::new(bytes, Position::default(), 5).into_iter().collect();
        let texts: Vec<_> = lines.iter().map(|line| (line.bytes, line.truncated)).collect();
        assert_eq!(texts, [(&b"one"[..], 3), (b"", 1), (b"two \0", 4)]);
    }
}
