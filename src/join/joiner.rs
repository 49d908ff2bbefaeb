//! One container's lines, joined: a state per stream.
//!
//! ```text
//!           part          whole line that begins something
//!   Idle ─────────▶ Parts ──────────────┐
//!    │  ▲             last part ┐       ▼
//!    │  └── ordinary line ◀─────┴──── Pending ──▶ given out: by the next line, a limit, a timestamp, the clock
//!    └─ ordinary line: given out as it lies in the read buffer, nothing copied
//! ```

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::event::time::Clock;
use crate::event::{End, EventSink, Limit, Line, Position, Reason, Stream};

use super::parts::{Parts, head};
use super::pending::{Pending, Whole};
use super::rules::{Next, Rules, Set};

/// Joins the lines of one source. See the module for what ends an event.
#[derive(Clone, Debug)]
pub struct Joiner {
    rules: Arc<Rules>,
    streams: [Held; Stream::COUNT],
    clock: Clock,
}

/// What is held of one stream.
#[derive(Clone, Debug, Default)]
struct Held {
    parts: Parts,
    pending: Pending,
    /// The rules that `pending` was begun by, where they are not those of the joiner any more.
    begun_by: Option<Arc<Rules>>,
    /// The time that the runtime gave the last line, in nanoseconds; `None` for plain files.
    stamp: Option<i64>,
    /// When the last line was taken.
    touched: Option<Instant>,
    /// Where an event of this stream was ended by the clock before a crash.
    cuts: BTreeSet<Position>,
    /// An emptied [`Pending`], for its buffers.
    spare: Pending,
}

impl Held {
    fn is_idle(&self) -> bool {
        self.pending.set().is_none() && self.parts.is_empty()
    }

    /// Where what is held begins, and from where to read it again.
    fn start(&self) -> Option<(Position, Position)> {
        let pending = self.pending.start().zip(self.pending.restart());
        pending.or_else(|| self.parts.start().zip(self.parts.restart()))
    }
}

impl Joiner {
    /// A joiner that holds nothing.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, streams: Default::default(), clock: Clock::default() }
    }

    /// Uses other rules for the events that begin from now on. One that has begun goes on and ends by those that it
    /// was begun by, as it would have.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        let former = mem::replace(&mut self.rules, rules);
        for held in &mut self.streams {
            if held.pending.set().is_some() && held.begun_by.is_none() {
                held.begun_by = Some(Arc::clone(&former));
            }
        }
    }

    /// Takes the next line of the source; `now` is the clock, for [`Joiner::expire`].
    ///
    /// An ordinary line of a stream of which nothing is held goes to `sink` as it is, borrowed, before this returns.
    #[inline]
    pub fn push<S: EventSink + ?Sized>(&mut self, line: &Line<'_>, now: Instant, sink: &mut S) {
        let simple = !line.partial && line.message.len() <= self.rules.limits.max_line_bytes;
        if simple && self.is_out_of_the_way(line, sink) && self.rules.begin(line.message).is_none() {
            Whole::of(line).give(sink);
        } else {
            self.take(line, now, sink);
        }
    }

    /// Whether nothing is held that the line could go on with or lie across. What another stream holds it may end, by
    /// its time alone.
    #[inline]
    fn is_out_of_the_way<S: EventSink + ?Sized>(&mut self, line: &Line<'_>, sink: &mut S) -> bool {
        if self.streams.iter().all(Held::is_idle) {
            return true;
        }
        if line.malformed || !self.streams[line.stream.index()].is_idle() {
            return false;
        }
        let stamp = self.stamp(line);
        self.end_overdue(stamp, sink);
        true
    }

    /// Gives out, ended by [`End::Clock`], what has been silent for the timeout. To be called only when the source
    /// was read to its end: before, silence says nothing.
    pub fn expire<S: EventSink + ?Sized>(&mut self, now: Instant, sink: &mut S) {
        let timeout = self.rules.limits.timeout;
        for index in 0..Stream::COUNT {
            let silent = |touched: Instant| now.saturating_duration_since(touched) >= timeout;
            if self.streams[index].touched.is_some_and(silent) {
                self.end_all(index, End::Clock, sink);
            }
        }
    }

    /// Gives out all that is held, ended by [`End::Clock`]: nothing in the bytes says that it ends here, and should
    /// the source go on after all, a replay must not join what was given out apart.
    pub fn finish<S: EventSink + ?Sized>(&mut self, sink: &mut S) {
        for index in 0..Stream::COUNT {
            self.end_all(index, End::Clock, sink);
        }
    }

    /// When [`Joiner::expire`] has something to do, should no line come; `None` when nothing is held.
    pub fn deadline(&self) -> Option<Instant> {
        let touched = self.streams.iter().filter_map(|held| held.touched).min()?;
        touched.checked_add(self.rules.limits.timeout)
    }

    /// The lowest byte that must be read again after a crash now, so that all that is not given out comes as it
    /// would have come; `None` when nothing is held.
    ///
    /// It is the first byte held, or a lower one: while the other stream's event lies across that byte, reading from
    /// there would begin within it. Events that begin at or after it and were given out come again, with the same
    /// spans.
    pub fn held(&self) -> Option<Position> {
        let restarts = |held: &Held| [held.pending.restart(), held.parts.restart()];
        self.streams.iter().flat_map(restarts).flatten().min()
    }

    /// Bytes of memory that the lines held take.
    pub fn held_bytes(&self) -> usize {
        self.streams.iter().map(|held| held.parts.held_bytes() + held.pending.held_bytes()).sum()
    }

    /// Where the clock ended events before a crash: an event of that stream whose last line ends there ends there,
    /// by [`End::Clock`] again. To be called before the lines are pushed again.
    pub fn replay(&mut self, cuts: impl IntoIterator<Item = (Stream, Position)>) {
        for (stream, end) in cuts {
            self.streams[stream.index()].cuts.insert(end);
        }
    }

    /// The way of a line that is not given out at once, or comes while something is held.
    #[cold]
    fn take<S: EventSink + ?Sized>(&mut self, line: &Line<'_>, now: Instant, sink: &mut S) {
        let index = line.stream.index();
        let stamp = self.stamp(line);
        self.end_overdue(stamp, sink);
        if line.malformed {
            // Its stream and time are guesses; it neither continues nor ends anything.
            Whole::of(line).give(sink);
            return;
        }
        self.note_overlap(index);
        let max = self.rules.limits.max_line_bytes;
        let held = &mut self.streams[index];
        if line.partial || !held.parts.is_empty() {
            held.parts.add(line, max);
            if !line.partial {
                self.feed_parts(index, false, End::Bytes(Reason::Alone), sink);
            }
        } else {
            let message = head(line.message, max);
            let cut = (line.message.len() - message.len()) as u64;
            let whole = Whole { message, truncated: line.truncated + cut, ..Whole::of(line) };
            self.feed(index, &whole, line.span.start, sink);
        }
        self.settle(index, line, stamp, now, sink);
    }

    /// What is left to do once a line was taken: end what the clock ended here before, and note the time.
    fn settle<S: EventSink + ?Sized>(
        &mut self,
        index: usize,
        line: &Line<'_>,
        stamp: Option<i64>,
        now: Instant,
        sink: &mut S,
    ) {
        if self.streams[index].cuts.remove(&line.span.end) {
            self.end_all(index, End::Clock, sink);
        }
        let held = &mut self.streams[index];
        let idle = held.is_idle();
        held.touched = (!idle).then_some(now);
        held.stamp = stamp.filter(|_| !idle);
    }

    /// A later line of the container, of either stream, ends what was silent for longer than the timeout.
    fn end_overdue<S: EventSink + ?Sized>(&mut self, now: Option<i64>, sink: &mut S) {
        let Some(now) = now else { return };
        let timeout = i64::try_from(self.rules.limits.timeout.as_nanos()).unwrap_or(i64::MAX);
        for index in 0..Stream::COUNT {
            if self.streams[index].stamp.is_some_and(|stamp| now.saturating_sub(stamp) > timeout) {
                self.end_all(index, End::Bytes(Reason::Silence), sink);
            }
        }
    }

    /// A line is about to be taken. What is held of this stream may come to lie across the first byte held of the
    /// other one: then reading must not begin there, but where this one is read from.
    fn note_overlap(&mut self, index: usize) {
        let Some((first, restart)) = self.streams[index].start() else { return };
        for held in &mut self.streams {
            held.pending.lies_within(first, restart);
            held.parts.lies_within(first, restart);
        }
    }

    /// Lets the machine take the parts as one line.
    fn feed_parts<S: EventSink + ?Sized>(&mut self, index: usize, partial: bool, end: End, sink: &mut S) {
        let mut parts = mem::take(&mut self.streams[index].parts);
        if let Some((whole, restart)) = parts.whole(partial, end).zip(parts.restart()) {
            self.feed(index, &whole, restart, sink);
        }
        parts.clear();
        self.streams[index].parts = parts;
    }

    /// Lets the machine take a whole line; reading again from `restart` gives it again.
    fn feed<S: EventSink + ?Sized>(
        &mut self,
        index: usize,
        line: &Whole<'_>,
        restart: Position,
        sink: &mut S,
    ) {
        loop {
            let Held { pending, begun_by, .. } = &mut self.streams[index];
            let Some(set) = pending.set() else {
                let begun = self.rules.begin(line.message);
                return self.begin(index, line, begun, restart, sink);
            };
            let rules = begun_by.as_ref().unwrap_or(&self.rules);
            let next = rules.next(set, line.message, &pending.messages());
            match (next, full(pending, line, rules)) {
                (Next::Sure(..) | Next::Maybe(_), Some(limit)) if pending.is_sure() => {
                    pending.give(End::Limit(limit), rules.text(pending.why()), "", sink);
                    pending.go_on();
                }
                (Next::Sure(..) | Next::Maybe(_), Some(_)) => {
                    self.end(index, End::Bytes(Reason::Unsure), "", sink);
                }
                (Next::Sure(set, why), None) => return pending.join(line, set, why),
                (Next::Maybe(set), None) if !pending.waits_too_long() => return pending.hold_back(line, set),
                (Next::Maybe(_), None) => self.end(index, End::Bytes(Reason::Unsure), "", sink),
                (Next::No, _) => {
                    let (own, begun) = (Arc::clone(&self.rules), self.rules.begin(line.message));
                    let why = begun.and_then(|set| own.name(&set));
                    let reason = if begun.is_some() { Reason::Start } else { Reason::Foreign };
                    self.end(index, End::Bytes(reason), own.text(why), sink);
                    if self.streams[index].pending.set().is_none() {
                        return self.begin(index, line, begun, restart, sink);
                    }
                }
            }
        }
    }

    /// Takes a line of a stream of which nothing is held; `begun` is what it begins.
    fn begin<S: EventSink + ?Sized>(
        &mut self,
        index: usize,
        line: &Whole<'_>,
        begun: Option<Set>,
        restart: Position,
        sink: &mut S,
    ) {
        match begun {
            Some(set) => self.streams[index].pending.open(line, set, restart, self.rules.name(&set)),
            None => line.give(sink),
        }
    }

    /// Ends what is held of a stream: its sure lines are one event, those held back are taken as if they came now.
    /// `next` is by which rule the line that ends it begins another.
    fn end<S: EventSink + ?Sized>(&mut self, index: usize, end: End, next: &str, sink: &mut S) {
        let held = &mut self.streams[index];
        let spare = mem::take(&mut held.spare);
        let mut ended = mem::replace(&mut held.pending, spare);
        let former = held.begun_by.take();
        let rules = former.as_ref().unwrap_or(&self.rules);
        ended.give(end, rules.text(ended.why()), next, sink);
        // The other stream's events may lie across any of these lines, so they are read from where all were.
        if let Some(restart) = ended.restart() {
            for line in ended.held_back() {
                self.feed(index, &line, restart, sink);
            }
        }
        ended.clear();
        self.streams[index].spare = ended;
    }

    /// Ends all that is held of a stream, a line whose last part did not come too.
    fn end_all<S: EventSink + ?Sized>(&mut self, index: usize, end: End, sink: &mut S) {
        self.feed_parts(index, true, end, sink);
        while self.streams[index].pending.set().is_some() {
            self.end(index, end, "", sink);
        }
        let held = &mut self.streams[index];
        held.touched = None;
        held.stamp = None;
    }

    /// The time of a line as the runtime stamped it; plain files and malformed lines have none that a second reading
    /// would give again.
    fn stamp(&mut self, line: &Line<'_>) -> Option<i64> {
        match line.stream {
            Stream::None => None,
            _ if line.malformed => None,
            _ => self.clock.nanos(line.time),
        }
    }
}

/// Which limit the event would be beyond with this line; one that holds no line takes any.
fn full(pending: &Pending, line: &Whole<'_>, rules: &Rules) -> Option<Limit> {
    let limits = &rules.limits;
    let is_wide = || pending.len() + 1 + line.message.len() > limits.max_bytes;
    match pending.lines() {
        0 => None,
        lines if lines >= limits.max_lines => Some(Limit::Lines),
        _ => is_wide().then_some(Limit::Bytes),
    }
}
