//! One log on its way through the rooms of the reader: its files, its decoder, its joiner.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::baton::{Manner, Passage as Passed, Place};
use super::outlet::{Mark, Outlet};
use super::passage::{Handover, Passage, Past};
use crate::decode::Decoder;
use crate::discover::Found;
use crate::event::{End, Event, GenerationFile, GenerationKey, PodMeta, Position, SourceId, Stream};
use crate::join::{Joiner, Rules};
use crate::observe::{Account, Fate, FileState, Metrics, Reading};
use crate::tail::{Chain, Changed, HeldFiles, Lines, Naming, Turn, Unopened};

/// How long a log whose file could not be read is left alone.
const AFTER_ERROR: Duration = Duration::from_secs(5);

/// Where a source is in its life.
///
/// ```text
///   Waiting ──metadata, or the wait is over──▶ Reading ◀──annotations──▶ Excluded
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its files are open; it is not read before its pod's metadata is there.
    Waiting {
        /// Since when.
        since: Instant,
    },
    /// It is read.
    Reading,
    /// Its pod wants nothing shipped.
    Excluded,
}

/// What a turn at a source came to.
#[derive(Debug)]
pub enum Turned {
    /// There may be more.
    More,
    /// All that is there was read.
    AtEnd,
    /// The log's folder must be looked at first.
    Survey,
    /// Its file could not be read.
    Failed(io::Error),
}

/// What a turn needs besides the source itself.
pub struct TurnContext<'a, O> {
    /// Where events go.
    pub outlet: &'a mut O,
    /// The one read buffer of all sources.
    pub buffer: &'a mut [u8],
    /// Now.
    pub now: Instant,
    /// Now, as plain lines have it for their time.
    pub read_at: &'a [u8],
    /// Counts malformed lines.
    pub metrics: &'a Metrics,
}

/// One log.
pub struct Source {
    /// Its number in this process.
    pub id: SourceId,
    /// Where it lies and whose it is.
    pub found: Found,
    /// How its generations are named.
    pub naming: Naming,
    /// Its files.
    pub chain: Chain,
    decoder: Decoder,
    /// Which lines are one event.
    pub joiner: Joiner,
    /// How lines are taken that were never read.
    manner: Manner,
    /// What a former reader of this process has read, while it is read again.
    past: Option<Box<Past>>,
    /// Where it is in its life.
    pub stage: Stage,
    /// What the kubelet said of its pod, when its documents were last described.
    pub pod: Option<Arc<PodMeta>>,
    /// Its folder could not be looked at, or a file not opened: try again though nothing seems to have changed.
    pub survey_again: bool,
    /// Not before then, after an error.
    pub not_before: Option<Instant>,
    /// An earlier run of the agent may have read what lies before this, and no run what lies beyond.
    pub read_before: Position,
    /// Where the clock ended events before the last end of the agent.
    cuts: Vec<(Stream, GenerationKey, u64)>,
    /// The generation whose first line the decoder has seen.
    sniffed: Option<u32>,
    marked: Option<Position>,
    /// What became of its bytes.
    account: Option<Arc<Account>>,
    /// Bytes that the account knows to be written, of which these were read or lost.
    written: u64,
    passed: u64,
}

impl Source {
    /// A source whose files were not looked at yet.
    pub fn new(id: SourceId, found: Found, naming: Naming, chain: Chain, manner: Manner) -> Self {
        Self {
            id,
            found,
            naming,
            chain,
            decoder: Decoder::new(&manner.decode),
            joiner: Joiner::new(Arc::clone(&manner.rules)),
            manner,
            past: None,
            stage: Stage::Reading,
            pod: None,
            survey_again: false,
            not_before: None,
            read_before: Position::default(),
            cuts: Vec::new(),
            sniffed: None,
            marked: None,
            account: None,
            written: 0,
            passed: 0,
        }
    }

    /// Keeps its accounts there from now on.
    pub fn accounts(&mut self, account: Option<Arc<Account>>) {
        self.account = account;
    }

    /// Its pod wants nothing shipped: what is held is given out, as it was read before, and its files are let go.
    /// Should the pod want it again, what is written from then on is read.
    pub fn exclude<O: Outlet>(&mut self, outlet: &mut O, now: Instant) {
        if self.has_begun() {
            self.finish(outlet, now);
        }
        // What was seen to be written and will not be read has come to its end.
        let unread = self.written.saturating_sub(self.passed);
        self.passed += unread;
        if let Some(account) = &self.account {
            account.ended(Fate::Dropped, unread);
        }
        self.stage = Stage::Excluded;
        self.chain.let_go();
        self.survey_again = true;
    }

    /// Takes in what lies in its folder.
    ///
    /// # Errors
    /// As [`Chain::survey`].
    pub fn survey(&mut self, files: &[GenerationFile], now: Instant) -> Result<Vec<Unopened>, Changed> {
        let unopened = self.chain.survey(files, now)?;
        // What a former reader has reached is told by positions, which must not change until they are passed.
        let is_beyond = self.chain.position().is_some_and(|at| at >= self.read_before);
        if is_beyond && self.past.is_none() && self.cuts.is_empty() {
            self.chain.read_late(files, now);
        }
        Ok(unopened)
    }

    /// Whether a line of it was read.
    pub fn has_begun(&self) -> bool {
        self.sniffed.is_some()
    }

    /// Lines that were never read are joined by these rules. Before the first line they are chosen; later, what is held
    /// of the lines before is given out, ended by the clock: other rules would not end it there again.
    pub fn judge_by<O: Outlet>(&mut self, rules: Arc<Rules>, outlet: &mut O, now: Instant) {
        if Arc::ptr_eq(&self.manner.rules, &rules) {
            return;
        }
        self.manner.rules = Arc::clone(&rules);
        if !self.has_begun() {
            self.prepare();
            return;
        }
        match &self.past {
            None => self.finish(outlet, now),
            // What a former reader has read is read again as it was; these rules come after it.
            Some(past) if !past.manners.is_empty() => return,
            Some(_) => {}
        }
        self.joiner.set_rules(rules);
    }

    /// The first line is taken as it was before, if it was.
    fn prepare(&mut self) {
        let past = self.past.as_ref().and_then(|past| past.manners.front());
        let first = past.map_or(&self.manner, |(manner, _)| manner);
        self.decoder = Decoder::new(&first.decode);
        self.joiner = Joiner::new(Arc::clone(&first.rules));
    }

    /// A former reader of this process has read on beyond where this one begins.
    pub fn take_over(&mut self, passed: Passed) {
        let keys = self.chain.keys();
        // Where the generation is gone nothing can be compared with its bytes any more.
        let position = |place: Place| {
            let generation = keys.ordinal(&place.generation)?;
            Some(Position { generation, offset: place.offset })
        };
        let begin = self.chain.position();
        let ahead = |until: &Position| begin.is_some_and(|begin| begin < *until);
        let manners =
            passed.manners.into_iter().filter_map(|(manner, until)| Some((manner, position(until)?)));
        let manners: VecDeque<_> = manners.filter(|(_, until)| ahead(until)).collect();
        let delivered = passed.delivered.and_then(position).filter(ahead).unwrap_or_default();
        if !manners.is_empty() {
            self.past = Some(Box::new(Past { manners, delivered }));
            self.prepare();
        }
    }

    /// What the next reader of this process must know; `None` when nothing was read.
    pub fn pass_on(&mut self) -> Option<Passed> {
        let reached = self.chain.position().filter(|_| self.has_begun())?;
        let past = self.past.take().unwrap_or_default();
        let place = |at: Position| {
            let (generation, offset) = self.chain.named(at)?;
            Some(Place { generation, offset })
        };
        let given_out = past.delivered.max(reached);
        let manners = past.manners.into_iter().chain([(self.manner.clone(), reached)]);
        Some(Passed {
            manners: manners.filter_map(|(manner, until)| Some((manner, place(until)?))).collect(),
            delivered: place(past.delivered).filter(|_| past.delivered != Position::default()),
            given_out: place(given_out),
        })
    }

    /// Events that the clock ended before the last end of the agent: they will end there again.
    pub fn replay(&mut self, cuts: Vec<(Stream, GenerationKey, u64)>) {
        self.cuts = cuts;
    }

    /// Reads one buffer's worth and gives out its events.
    pub fn turn<O: Outlet>(&mut self, context: TurnContext<'_, O>) -> Turned {
        let TurnContext { outlet, buffer, now, read_at, metrics } = context;
        self.hand_over_cuts();
        let turned = match self.chain.turn(buffer, now) {
            Ok(Turn::Lines(lines)) => {
                sniff(&mut self.decoder, &mut self.sniffed, &self.chain, &lines);
                self.begin(lines.start, outlet, now);
                let mut passage = self.passage(outlet, now, read_at);
                lines.into_iter().for_each(|raw| passage.line(raw));
                let (count, malformed) = (passage.lines, passage.malformed);
                self.count(metrics, lines.bytes.len() as u64, count, malformed);
                Turned::More
            }
            Ok(Turn::Long(span, long)) => {
                self.begin(span.start, outlet, now);
                let mut passage = self.passage(outlet, now, read_at);
                passage.line(long.as_raw(span));
                let malformed = passage.malformed;
                self.count(metrics, span.end.offset - span.start.offset, 1, malformed);
                Turned::More
            }
            Ok(Turn::Progress) => Turned::More,
            Ok(Turn::End) => Turned::AtEnd,
            Ok(Turn::Survey) => Turned::Survey,
            Err(error) => {
                self.not_before = Some(now + AFTER_ERROR);
                return Turned::Failed(error);
            }
        };
        self.not_before = None;
        self.mark(outlet, now);
        if let (Some(past), Some(at)) = (&self.past, self.chain.position())
            && past.is_over(at)
        {
            self.past = None;
        }
        turned
    }

    /// Where the first line begins is where a crash before its acknowledgement goes on.
    fn begin<O: Outlet>(&mut self, first: Position, outlet: &mut O, now: Instant) {
        if self.marked.is_none() {
            self.mark_at(first, outlet, now);
        }
    }

    fn passage<'a, O: Outlet>(
        &'a mut self,
        outlet: &'a mut O,
        now: Instant,
        read_at: &'a [u8],
    ) -> Passage<'a, O> {
        Passage {
            decoder: &mut self.decoder,
            joiner: &mut self.joiner,
            into: Handover { source: self.id, keys: self.chain.keys(), key: &self.found.key, outlet, now },
            past: self.past.as_deref_mut().map(|past| (past, &self.manner, self.account.as_deref())),
            read_at,
            lines: 0,
            malformed: 0,
        }
    }

    fn count(&mut self, metrics: &Metrics, bytes: u64, lines: u64, malformed: u64) {
        if malformed > 0 {
            metrics.malformed_lines.inc_by(malformed);
        }
        if let Some(account) = &self.account {
            account.read(bytes, lines);
        }
        self.pass(bytes);
    }

    /// Bytes were read, or lost: they had been written, whether that was seen or not.
    fn pass(&mut self, bytes: u64) {
        self.passed += bytes;
        self.wrote(self.passed);
    }

    fn wrote(&mut self, written: u64) {
        if let (true, Some(account)) = (written > self.written, &self.account) {
            account.grew(written - self.written);
            self.written = written;
        }
    }

    /// Shows where it stands. Returns the files that it holds.
    pub fn show(&mut self) -> HeldFiles {
        let held = self.chain.held_files();
        self.wrote(self.passed + held.unread_bytes);
        if let Some(account) = &self.account {
            let offset = self.chain.position().map_or(0, |position| position.offset);
            account.show(Reading {
                path: self.found.shown.display().to_string(),
                state: match held {
                    HeldFiles { active: 1.., rotated: 0, .. } => FileState::Active,
                    HeldFiles { deleted: 0, .. } => FileState::Rotated,
                    HeldFiles { .. } => FileState::Deleted,
                },
                offset,
                size: offset + held.unread_bytes,
                generations: usize::try_from(held.active + held.rotated + held.deleted).unwrap_or(usize::MAX),
            });
        }
        held
    }

    /// When [`Source::expire`] has something to do, should no line come. While a younger file is there, silence at the
    /// end of the older one says nothing: a reader that found both read on without it.
    pub fn deadline(&self) -> Option<Instant> {
        self.joiner.deadline().filter(|_| self.chain.is_at_youngest())
    }

    /// The end of the file: gives out what was silent for long enough.
    pub fn expire<O: Outlet>(&mut self, outlet: &mut O, now: Instant) {
        let mut into =
            Handover { source: self.id, keys: self.chain.keys(), key: &self.found.key, outlet, now };
        self.joiner.expire(now, &mut |event: &Event<'_>| into.event(event));
        self.mark(outlet, now);
    }

    /// The end of all: gives out what is unfinished.
    pub fn finish<O: Outlet>(&mut self, outlet: &mut O, now: Instant) {
        let mut into =
            Handover { source: self.id, keys: self.chain.keys(), key: &self.found.key, outlet, now };
        // More may be written after we are gone, so no end is one that the bytes have set.
        self.joiner.finish(&mut |event: &Event<'_>| into.event(&Event { end: End::Clock, ..*event }));
        self.mark(outlet, now);
    }

    /// The memory it holds.
    pub fn held_bytes(&self) -> usize {
        self.joiner.held_bytes() + self.chain.held_bytes()
    }

    /// The lowest byte that was not given out.
    pub fn low(&self) -> Option<Position> {
        let next = self.chain.position()?;
        Some(self.joiner.held().map_or(next, |held| held.min(next)))
    }

    /// Tells the outlet how far all is given out, and the checkpoint of new generations.
    pub fn mark<O: Outlet>(&mut self, outlet: &mut O, now: Instant) {
        self.tell_records(outlet, now);
        if let Some(low) = self.low() {
            self.mark_at(low, outlet, now);
        }
    }

    fn mark_at<O: Outlet>(&mut self, low: Position, outlet: &mut O, now: Instant) {
        if self.marked == Some(low) {
            return;
        }
        let Some((generation, offset, anchor)) = self.chain.durable(low) else { return };
        self.marked = Some(low);
        outlet.mark(&Mark { id: self.id, key: &self.found.key, generation, offset, anchor }, now);
    }

    /// Tells the checkpoint of new generations: a mark must be durable before its first document leaves, a name
    /// from the first line can be computed again.
    pub fn tell_records<O: Outlet>(&mut self, outlet: &mut O, now: Instant) {
        self.chain.lengthen_head();
        for record in self.chain.take_records() {
            outlet.record(record, self.naming == Naming::Mark, now);
        }
        for note in self.chain.take_notes() {
            outlet.record(note, false, now);
        }
        for loss in self.chain.take_losses() {
            self.pass(loss.bytes);
            outlet.lost(self.id, &self.found.key, loss);
        }
    }

    /// Gives the joiner the cuts whose generations are known by now.
    fn hand_over_cuts(&mut self) {
        if self.cuts.is_empty() {
            return;
        }
        let keys = self.chain.keys();
        let (known, unknown): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.cuts).into_iter().partition(|(_, key, _)| keys.ordinal(key).is_some());
        self.cuts = unknown;
        let known = known.into_iter().filter_map(|(stream, key, offset)| {
            Some((stream, Position { generation: keys.ordinal(&key)?, offset }))
        });
        self.joiner.replay(known.collect::<Vec<_>>());
    }
}

/// Lets the decoder see the first line of each generation once, wherever in it reading began.
fn sniff(decoder: &mut Decoder, sniffed: &mut Option<u32>, chain: &Chain, lines: &Lines<'_>) {
    let generation = lines.start.generation;
    if *sniffed == Some(generation) {
        return;
    }
    *sniffed = Some(generation);
    match chain.first_line(generation) {
        Some(first) => decoder.sniff(first),
        None => {
            if let Some(first) = lines.into_iter().next() {
                decoder.sniff(first.bytes);
            }
        }
    }
}
