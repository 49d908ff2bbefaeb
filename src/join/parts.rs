//! The parts of a line that the runtime cut, until its last one comes.

use crate::event::{End, Line, Position, Reason};

use super::pending::Whole;
use super::work;

/// The parts of one line. Empty until the first; buffers are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    message: Vec<u8>,
    /// The first part's time.
    time: Vec<u8>,
    /// All of the line so far but its bytes; `None` when no part is held.
    line: Option<Whole<'static>>,
    /// See [`super::pending::Pending::restart`].
    restart: Position,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_none()
    }

    /// Bytes of memory in use.
    pub(super) fn held_bytes(&self) -> usize {
        self.message.len() + self.time.len()
    }

    /// Adds a part, the last one too. What goes beyond `max` bytes is cut away, at a character's end.
    pub(super) fn add(&mut self, part: &Line<'_>, max: usize) {
        let whole = match &mut self.line {
            Some(whole) => whole,
            none => {
                self.time.extend_from_slice(part.time);
                self.restart = part.span.start;
                none.insert(Whole { time: b"", message: b"", bytes: 0, truncated: 0, ..Whole::of_part(part) })
            }
        };
        // After the first byte that was cut away nothing more is taken: what follows would stand at a wrong place.
        let room = if whole.truncated == 0 { max.saturating_sub(self.message.len()) } else { 0 };
        let kept = head(part.message, room);
        work::add(kept.len());
        self.message.extend_from_slice(kept);
        whole.truncated += part.truncated + (part.message.len() - kept.len()) as u64;
        whole.bytes += part.bytes();
        whole.utf8 &= part.utf8;
        whole.span.end = part.span.end;
    }

    /// The line so far; `end` says why it is whole, or why no more of it is waited for.
    pub(super) fn whole(&self, partial: bool, end: End) -> Option<Whole<'_>> {
        self.line.map(|line| Whole { message: &self.message, time: &self.time, partial, end, ..line })
    }

    /// Forgets them.
    pub(super) fn clear(&mut self) {
        self.message.clear();
        self.time.clear();
        self.line = None;
    }

    /// Where the first part begins.
    pub(super) fn start(&self) -> Option<Position> {
        self.line.map(|line| line.span.start)
    }

    /// From where reading again gives this line again; `None` when no part is held.
    pub(super) fn restart(&self) -> Option<Position> {
        self.line.map(|_| self.restart)
    }

    /// The other stream's event, which begins at `first`, lies across what comes after it.
    pub(super) fn lies_within(&mut self, first: Position, restart: Position) {
        if self.start().is_some_and(|start| start > first) {
            self.restart = self.restart.min(restart);
        }
    }
}

impl Whole<'static> {
    /// A part's stream and place, without what it borrows.
    fn of_part(part: &Line<'_>) -> Self {
        Self {
            time: b"",
            message: b"",
            stream: part.stream,
            utf8: true,
            truncated: 0,
            span: part.span,
            bytes: 0,
            partial: true,
            end: End::Bytes(Reason::Alone),
        }
    }
}

/// The first `room` bytes, or up to three fewer so that no UTF-8 character is cut in two.
pub(super) fn head(bytes: &[u8], room: usize) -> &[u8] {
    if bytes.len() <= room {
        return bytes;
    }
    let is_continuation = |byte: u8| byte & 0xC0 == 0x80;
    let back = (0..=3.min(room)).find(|back| !is_continuation(bytes[room - back])).unwrap_or(0);
    &bytes[..room - back]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_leaves_characters_whole() {
        for (text, room, expected) in [
            ("abc", 5, "abc"),
            ("abc", 2, "ab"),
            ("aé", 2, "a"),
            ("aé", 3, "aé"),
            ("a€b", 3, "a"),
            ("€", 0, ""),
            ("😀", 3, ""),
        ] {
            assert_eq!(head(text.as_bytes(), room), expected.as_bytes(), "{text} {room}");
        }
        assert_eq!(head(&[0x80; 9], 5).len(), 5, "bytes that are no UTF-8 are cut where the limit is");
    }
}
