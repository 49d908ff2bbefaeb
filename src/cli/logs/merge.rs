//! Events of several sources in the order of their times, and the last few of each.

use std::collections::{BTreeSet, VecDeque};

use crate::event::{End, Event, Flags, Span, Stream, time};

/// An event that owns its bytes, to be shown later.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The time, then the message.
    text: Box<[u8]>,
    time_length: usize,
    stream: Stream,
    utf8: bool,
    flags: Flags,
    span: Span,
    lines: u32,
    bytes: u64,
    truncated: u64,
    end: End,
    rule: String,
    next: String,
}

impl Kept {
    /// The event as it was.
    pub fn event(&self) -> Event<'_> {
        let (time, message) = self.text.split_at(self.time_length);
        Event {
            time,
            stream: self.stream,
            message,
            utf8: self.utf8,
            flags: self.flags,
            span: self.span,
            lines: self.lines,
            bytes: self.bytes,
            truncated: self.truncated,
            end: self.end,
            rule: &self.rule,
            next: &self.next,
        }
    }
}

impl From<&Event<'_>> for Kept {
    fn from(event: &Event<'_>) -> Self {
        Self {
            text: [event.time, event.message].concat().into_boxed_slice(),
            time_length: event.time.len(),
            stream: event.stream,
            utf8: event.utf8,
            flags: event.flags,
            span: event.span,
            lines: event.lines,
            bytes: event.bytes,
            truncated: event.truncated,
            end: event.end,
            rule: event.rule.to_owned(),
            next: event.next.to_owned(),
        }
    }
}

/// Merges sources by the times of their events. Within a source the order stays as it is, even where times step
/// back.
///
/// The caller reads the source that [`Merge::wanting`] names, [`push`](Merge::push)es what it gives, and takes what
/// [`Merge::pop`] gives: so no source is read further ahead than the others need.
#[derive(Debug, Default)]
pub struct Merge {
    lanes: Vec<Lane>,
    /// Each lane that has something or may yet have, by what its next event is ordered by. Of two with the same time
    /// the source with the lower index comes first, whatever was read before.
    order: BTreeSet<(Reach, usize)>,
}

/// One source.
#[derive(Debug)]
struct Lane {
    waiting: VecDeque<(i64, Kept)>,
    reach: Reach,
}

/// How far a source was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// Nothing that comes is older than this (nanoseconds since 1970), but where times step back.
    Time(i64),
    /// To its end.
    End,
}

impl Merge {
    /// For so many sources, which are named by their index.
    pub fn new(sources: usize) -> Self {
        let mut merge = Self::default();
        (0..sources).for_each(|source| merge.open(source));
        merge
    }

    /// One more source; those with a lower index that were never opened have nothing.
    pub fn open(&mut self, source: usize) {
        while self.lanes.len() <= source {
            self.lanes.push(Lane { waiting: VecDeque::new(), reach: Reach::End });
        }
        self.change(source, |lane| lane.reach = Reach::Time(i64::MIN));
    }

    /// An event of a source that is to be shown.
    pub fn push(&mut self, source: usize, event: &Event<'_>) {
        self.keep(source, Kept::from(event));
    }

    /// As [`Merge::push`], of an event that is owned already.
    pub fn keep(&mut self, source: usize, kept: Kept) {
        self.change(source, |lane| {
            let time = lane.advance(kept.event().time);
            lane.waiting.push_back((time, kept));
        });
    }

    /// An event of a source that is not to be shown: it only tells how far the source was read.
    pub fn pass(&mut self, source: usize, event: &Event<'_>) {
        self.change(source, |lane| lane.advance(event.time));
    }

    /// A source has no more.
    pub fn end(&mut self, source: usize) {
        self.change(source, |lane| lane.reach = Reach::End);
    }

    /// No source has more.
    pub fn end_all(&mut self) {
        (0..self.lanes.len()).for_each(|source| self.end(source));
    }

    /// The source that must be read next before anything can be given out: of those with nothing waiting that could
    /// still bring something older, the one that was read least far. `None` when [`Merge::pop`] has something, or all
    /// is done.
    pub fn wanting(&self) -> Option<usize> {
        let (_, source) = *self.order.first()?;
        self.lanes[source].waiting.is_empty().then_some(source)
    }

    /// The oldest event that waits, when no source can bring an older one.
    pub fn pop(&mut self) -> Option<(usize, Kept)> {
        let (_, source) = *self.order.first()?;
        let (_, kept) = self.change(source, |lane| lane.waiting.pop_front())?;
        Some((source, kept))
    }

    /// Changes a lane, and its place in the order with it.
    fn change<R>(&mut self, source: usize, change: impl FnOnce(&mut Lane) -> R) -> R {
        let lane = &mut self.lanes[source];
        let before = lane.next();
        let result = change(lane);
        let after = lane.next();
        if before != after {
            if let Some(before) = before {
                self.order.remove(&(before, source));
            }
            if let Some(after) = after {
                self.order.insert((after, source));
            }
        }
        result
    }
}

impl Lane {
    /// The time of its oldest waiting event, or how far it was read; `None` when nothing waits and nothing comes.
    fn next(&self) -> Option<Reach> {
        match self.waiting.front() {
            Some((time, _)) => Some(Reach::Time(*time)),
            None => Some(self.reach).filter(|reach| *reach != Reach::End),
        }
    }

    /// Notes how far the source was read; gives the time by which the event is ordered: its own, but not before that
    /// of the source's event before it.
    fn advance(&mut self, time: &[u8]) -> i64 {
        let own = time::nanos(time).map_or(Reach::Time(i64::MIN), Reach::Time);
        self.reach = self.reach.max(own);
        match self.reach {
            Reach::Time(time) => time,
            Reach::End => i64::MAX,
        }
    }
}

/// The last few events of one source, for `--tail`.
#[derive(Debug)]
pub struct Tail {
    count: usize,
    kept: VecDeque<Kept>,
}

impl Tail {
    /// For the last `count` events.
    pub fn new(count: usize) -> Self {
        Self { count, kept: VecDeque::new() }
    }

    /// Takes an event; the oldest one goes when there are too many.
    pub fn push(&mut self, event: &Event<'_>) {
        if self.count == 0 {
            return;
        }
        if self.kept.len() == self.count {
            self.kept.pop_front();
        }
        self.kept.push_back(Kept::from(event));
    }

    /// Gives them out, oldest first.
    pub fn finish(self) -> impl Iterator<Item = Kept> {
        self.kept.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn event<'a>(time: &'a [u8], message: &'a str) -> Event<'a> {
        samples::event(time, Stream::Stdout, message)
    }

    fn second(second: i64) -> [u8; 30] {
        time::rfc3339(second * 1_000_000_000)
    }

    /// Reads sources as they are wanted; gives `source:message` in the order in which they come out, and how many
    /// events waited at most.
    fn merged(sources: &[&[i64]], shown: impl Fn(i64) -> bool) -> (Vec<(usize, i64)>, usize) {
        let mut merge = Merge::new(sources.len());
        let mut read = vec![0; sources.len()];
        let (mut out, mut most) = (Vec::new(), 0);
        loop {
            while let Some((source, kept)) = merge.pop() {
                out.push((source, std::str::from_utf8(kept.event().message).unwrap().parse().unwrap()));
            }
            let Some(source) = merge.wanting() else { return (out, most) };
            match sources[source].get(read[source]) {
                Some(time) if shown(*time) => merge.push(source, &event(&second(*time), &time.to_string())),
                Some(time) => merge.pass(source, &event(&second(*time), "")),
                None => merge.end(source),
            }
            read[source] += 1;
            most = most.max(merge.lanes.iter().map(|lane| lane.waiting.len()).sum());
        }
    }

    #[test]
    fn merges_by_time_and_holds_one_of_each() {
        let (out, most) = merged(&[&[1, 4, 9], &[2, 3, 8], &[], &[5]], |_| true);
        assert_eq!(out, [(0, 1), (1, 2), (1, 3), (0, 4), (3, 5), (1, 8), (0, 9)]);
        assert!(most <= 4, "{most}");
    }

    #[test]
    fn what_is_not_shown_still_moves_its_source() {
        let (out, most) = merged(&[&[1, 2, 3, 4, 5, 6], &[3, 6]], |time| time % 3 == 0);
        assert_eq!(out, [(0, 3), (1, 3), (0, 6), (1, 6)]);
        assert!(most <= 2, "{most}");
    }

    #[test]
    fn a_clock_set_back_does_not_change_a_source_order() {
        let (out, _) = merged(&[&[5, 2, 6], &[1, 5, 7]], |_| true);
        assert_eq!(out, [(1, 1), (0, 5), (0, 2), (1, 5), (0, 6), (1, 7)]);
    }

    #[test]
    fn the_last_few() {
        let last = |count| {
            let mut tail = Tail::new(count);
            for message in ["a", "b", "c"] {
                tail.push(&event(b"", message));
            }
            tail.finish().map(|kept| kept.event().message.to_vec()).collect::<Vec<_>>()
        };
        assert_eq!(last(2), [b"b", b"c"]);
        assert_eq!(last(9).len(), 3);
        assert!(last(0).is_empty());
    }
}
