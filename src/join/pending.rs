//! The lines that are held of a stream: those that surely are one event, then those that may be.

use std::ops::Range;

use crate::event::{End, Event, EventSink, Flags, Line, Position, Reason, Span, Stream};

use super::rules::{Set, Why};
use super::work;

/// So many lines may wait for a sure one: the longest message (a statement, a list of violations) that is joined
/// with the frames below it.
pub(super) const MAX_UNSURE: usize = 100;

/// A line with its parts put together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<'a> {
    pub(super) time: &'a [u8],
    pub(super) stream: Stream,
    pub(super) message: &'a [u8],
    pub(super) utf8: bool,
    pub(super) truncated: u64,
    pub(super) span: Span,
    pub(super) bytes: u64,
    /// Its last part never came.
    pub(super) partial: bool,
    /// What ended it: [`End::Clock`] only for one whose last part never came.
    pub(super) end: End,
}

impl<'a> Whole<'a> {
    /// A line that came in one piece.
    pub(super) fn of(line: &Line<'a>) -> Self {
        Self {
            time: line.time,
            stream: line.stream,
            message: line.message,
            utf8: line.utf8,
            truncated: line.truncated,
            span: line.span,
            bytes: line.bytes(),
            partial: false,
            end: End::Bytes(Reason::Alone),
        }
    }

    /// Gives it out as an event of its own.
    pub(super) fn give<S: EventSink + ?Sized>(&self, sink: &mut S) {
        sink.event(&Event {
            time: self.time,
            stream: self.stream,
            message: self.message,
            utf8: self.utf8,
            flags: Flags { multiline: false, truncated: self.truncated > 0, partial: self.partial },
            span: self.span,
            lines: 1,
            bytes: self.bytes,
            truncated: self.truncated,
            end: self.end,
            next: "",
            rule: "",
        });
    }
}

/// What a line was, once its bytes are in the buffers.
#[derive(Clone, Debug)]
struct Mark {
    text: Range<usize>,
    time: Range<usize>,
    line: Whole<'static>,
}

/// An event that is not ended. It is open from its first line on, and empty otherwise; buffers are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    /// What the rules know of it; `None` when nothing is held.
    set: Option<Set>,
    /// Why it is more than one line, or what its one line may have begun.
    why: Option<Why>,
    /// Messages, a newline between.
    text: Vec<u8>,
    times: Vec<u8>,
    marks: Vec<Mark>,
    /// So many of the lines surely are one event.
    sure: usize,
    /// Reading again from here gives again, with the same spans, all events that these lines become.
    restart: Position,
}

impl Pending {
    /// What the rules know of the lines held; `None` when none are.
    pub(super) fn set(&self) -> Option<&Set> {
        self.set.as_ref()
    }

    /// Whether the lines held are surely one event.
    pub(super) fn is_sure(&self) -> bool {
        self.sure == self.marks.len()
    }

    /// So many lines are held.
    pub(super) fn lines(&self) -> usize {
        self.marks.len()
    }

    /// So many bytes of messages are held.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Bytes of memory in use.
    pub(super) fn held_bytes(&self) -> usize {
        self.text.len() + self.times.len() + self.marks.len() * size_of::<Mark>()
    }

    /// Whether a line more would be too many without a sure one.
    pub(super) fn waits_too_long(&self) -> bool {
        self.marks.len() - self.sure >= MAX_UNSURE
    }

    /// What the sure lines say.
    pub(super) fn messages(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.marks[..self.sure].iter().map(|mark| &self.text[mark.text.clone()])
    }

    /// Where its first line begins.
    pub(super) fn start(&self) -> Option<Position> {
        self.marks.first().map(|mark| mark.line.span.start)
    }

    /// From where reading again gives these lines again; `None` when none are held.
    pub(super) fn restart(&self) -> Option<Position> {
        self.set.map(|_| self.restart)
    }

    /// The other stream's event, which begins at `first`, lies across what comes after it.
    pub(super) fn lies_within(&mut self, first: Position, restart: Position) {
        if self.start().is_some_and(|start| start > first) {
            self.restart = self.restart.min(restart);
        }
    }

    /// Takes the first line.
    pub(super) fn open(&mut self, line: &Whole<'_>, set: Set, restart: Position, why: Option<Why>) {
        self.push(line);
        self.why = why;
        self.sure = 1;
        self.set = Some(set);
        self.restart = restart;
    }

    /// Takes a line that surely belongs, and with it those that were held back.
    pub(super) fn join(&mut self, line: &Whole<'_>, set: Set, why: Option<Why>) {
        self.push(line);
        self.sure = self.marks.len();
        self.set = Some(set);
        self.why = why.or(self.why);
    }

    /// Takes a line that belongs if a sure one follows.
    pub(super) fn hold_back(&mut self, line: &Whole<'_>, set: Set) {
        self.push(line);
        self.set = Some(set);
    }

    /// Gives out the sure lines as one event. Those held back stay, for [`Pending::held_back`].
    ///
    /// `name` is why they were joined, `next` what the line that ended them begins.
    pub(super) fn give<S: EventSink + ?Sized>(&self, end: End, name: &str, next: &str, sink: &mut S) {
        let Some((last, first)) = self.marks[..self.sure].last().zip(self.marks.first()) else { return };
        let sure = || self.marks[..self.sure].iter().map(|mark| &mark.line);
        let truncated = sure().map(|line| line.truncated).sum();
        let several = self.sure > 1;
        sink.event(&Event {
            time: &self.times[first.time.clone()],
            stream: first.line.stream,
            message: &self.text[first.text.start..last.text.end],
            utf8: sure().all(|line| line.utf8),
            flags: Flags {
                multiline: several,
                truncated: truncated > 0 || matches!(end, End::Limit(_)),
                partial: sure().any(|line| line.partial),
            },
            span: Span { start: first.line.span.start, end: last.line.span.end },
            lines: self.sure as u32,
            bytes: sure().map(|line| line.bytes).sum(),
            truncated,
            end: if last.line.end == End::Clock { End::Clock } else { end },
            next,
            rule: name,
        });
    }

    /// The lines that were held back and turned out not to belong.
    pub(super) fn held_back(&self) -> impl Iterator<Item = Whole<'_>> {
        self.marks[self.sure..].iter().map(|mark| Whole {
            time: &self.times[mark.time.clone()],
            message: &self.text[mark.text.clone()],
            ..mark.line
        })
    }

    /// Forgets the lines, but not what the rules know: the event goes on in a following one.
    pub(super) fn go_on(&mut self) {
        self.text.clear();
        self.times.clear();
        self.marks.clear();
        self.sure = 0;
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.go_on();
        self.set = None;
        self.why = None;
    }

    /// Why the lines were joined.
    pub(super) fn why(&self) -> Option<Why> {
        self.why
    }

    fn push(&mut self, line: &Whole<'_>) {
        if !self.marks.is_empty() {
            self.text.push(b'\n');
        }
        work::add(line.message.len() + line.time.len());
        let (text, time) = (self.text.len(), self.times.len());
        self.text.extend_from_slice(line.message);
        self.times.extend_from_slice(line.time);
        self.marks.push(Mark {
            text: text..self.text.len(),
            time: time..self.times.len(),
            line: Whole { time: b"", message: b"", ..*line },
        });
    }
}
