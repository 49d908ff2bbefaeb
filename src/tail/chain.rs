//! A log as an ordered chain of generations: what rotation has made of it, oldest first, the live one last.
//!
//! The chain holds its files open from the moment it sees them, so that nothing that is unlinked meanwhile is lost,
//! and reads them in order, each to its end before the next begins.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::generation::{Generation, Got, LongLine, Name, State};
use super::identity::{HEAD_MAX, Head, Naming, mint};
use super::inherited::OpenFile;
use super::keys::Keys;
use super::lines::{Lines, after_hole};
use super::place::{Anchor, Place};
use super::resume::{Resume, StartAt};
use crate::event::{GenerationKey, Position, Record, SourceKey, Span};

/// How long after a younger generation was seen the older one may still be written to, where nobody tells that
/// it was closed. The runtime reopens within milliseconds.
pub(super) const CLOSING: Duration = Duration::from_secs(1);

/// How long an unlinked file without a successor is held after its last byte: the runtime may write on to it until
/// the kubelet's next check (10 s apart by default) makes it reopen.
pub(super) const UNLINKED: Duration = Duration::from_secs(30);

/// The difference between the ordinals of one generation and the next: what rotation and truncation have put between
/// them is told later, and has one of those between.
pub(super) const ORDINALS: u32 = 256;

/// How many finished generations are remembered, so that their files are not taken for new ones.
pub(super) const FINISHED: usize = 16;

/// Bytes that are gone before they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// How many, as far as is known.
    pub bytes: u64,
    /// Why, as the metric's label says it.
    pub reason: &'static str,
}

/// What a turn at a log gave.
pub enum Turn<'b> {
    /// Whole lines.
    Lines(Lines<'b>),
    /// One line that was longer than the buffer.
    Long(Span, LongLine),
    /// Progress, but no line yet: take another turn.
    Progress,
    /// Nothing more for now.
    End,
    /// The log's folder must be looked at ([`Chain::survey`]) before reading can go on.
    Survey,
}

/// A log.
pub struct Chain {
    pub(super) source: SourceKey,
    pub(super) naming: Naming,
    pub(super) live: PathBuf,
    pub(super) max_line: usize,
    /// Oldest first; the front is the one being read.
    pub(super) generations: VecDeque<Generation>,
    /// Older than all of those: read to their end, and held until they are acknowledged.
    pub(super) read: VecDeque<Generation>,
    /// Whether what was read is held.
    pub(super) keeps: bool,
    /// The lowest byte that is not acknowledged, as last told.
    pub(super) acknowledged: Option<Position>,
    /// What was read to its end, oldest first, bounded.
    pub(super) finished: VecDeque<Finished>,
    /// What the checkpoint knows, until the first survey has used it.
    pub(super) resume: Option<Resume>,
    /// Files of the reader before this one, until the first survey has looked at them.
    pub(super) inherited: Vec<OpenFile>,
    next_ordinal: u32,
    /// Generations that were seen empty, and have a name since: what they held before may lie beside them.
    pub(super) blanks: Vec<u32>,
    /// The end of the youngest generation that was read to its end.
    pub(super) last: Option<(Position, GenerationKey)>,
    /// The names of the generations that events may begin or end in, oldest first.
    keys: Keys,
    pub(super) records: Vec<Record>,
    pub(super) notes: Vec<Record>,
    pub(super) losses: Vec<Loss>,
    /// Copies that are not needed any more.
    pub(super) discarded: Vec<PathBuf>,
}

/// A generation that was read to its end.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    pub(super) name: Name,
    /// Where it lay.
    pub(super) path: PathBuf,
    /// Its size.
    pub(super) end: u64,
    /// Its last bytes.
    pub(super) anchor: Anchor,
    /// Where it lay.
    pub(super) device: u64,
    /// Where it lay.
    pub(super) inode: u64,
}

/// How many files of a log are held, by what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeldFiles {
    /// Written to.
    pub active: u64,
    /// Rotated and not yet read to their end.
    pub rotated: u64,
    /// Unlinked and not yet read to their end.
    pub deleted: u64,
    /// Bytes in all of them, beyond what was read.
    pub unread_bytes: u64,
}

impl Chain {
    /// A chain without files yet: [`Chain::survey`] finds them. Lines longer than `max_line` bytes are cut.
    pub fn new(source: SourceKey, naming: Naming, live: PathBuf, max_line: usize, resume: Resume) -> Self {
        Self {
            source,
            naming,
            live,
            max_line,
            generations: VecDeque::new(),
            read: VecDeque::new(),
            keeps: false,
            acknowledged: None,
            finished: VecDeque::new(),
            resume: Some(resume),
            inherited: Vec::new(),
            next_ordinal: ORDINALS,
            blanks: Vec::new(),
            last: None,
            keys: Keys::default(),
            records: Vec::new(),
            notes: Vec::new(),
            losses: Vec::new(),
            discarded: Vec::new(),
        }
    }

    /// A chain over a stream that has no file, such as standard input. An input that says it would block is awaited
    /// ([`Chain::awaits_input`]): take a turn when there is more.
    ///
    /// # Errors
    /// When the system has no randomness for its name.
    pub fn stream(
        source: SourceKey,
        input: impl io::Read + Send + 'static,
        max_line: usize,
    ) -> io::Result<Self> {
        let mut chain = Self::new(source, Naming::Mark, PathBuf::new(), max_line, Resume::default());
        chain.resume = None;
        let name = Some(Name { key: mint()?, head: Head::default() });
        chain.append(Generation { name, packed: true, ..Generation::of(Place::stream(input)) });
        Ok(chain)
    }

    /// The live path.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// Points the chain elsewhere: a link has changed its target.
    pub fn set_live(&mut self, live: PathBuf) {
        self.live = live;
    }

    /// Whether no file is held: all is read, and nothing is there any more.
    pub fn is_empty(&self) -> bool {
        self.generations.is_empty()
    }

    /// Whether a file with this device and inode is held.
    pub fn holds_inode(&self, device: u64, inode: u64) -> bool {
        let mut held = self.read.iter().chain(&self.generations);
        held.any(|held| (held.device, held.inode) == (device, inode))
    }

    /// The names of the generations that given-out lines came from.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The next byte that is not given out; `None` before any file was seen.
    pub fn position(&self) -> Option<Position> {
        match self.generations.front() {
            Some(front) => Some(Position { generation: front.ordinal, offset: front.low() }),
            None => self.last.map(|(position, _)| position),
        }
    }

    /// The end of the youngest file as it is now: all that could ever be read lies before it.
    pub fn end(&self) -> Option<Position> {
        let youngest = self.generations.back()?;
        let size = youngest.place.stat().filter(|_| !youngest.packed).map_or(u64::MAX, |stat| stat.size);
        Some(Position { generation: youngest.ordinal, offset: size })
    }

    /// The memory held by an unfinished long line.
    pub fn held_bytes(&self) -> usize {
        self.generations.front().and_then(|front| front.long.as_ref()).map_or(0, LongLine::held_bytes)
    }

    /// The first line of a generation in whose middle reading began, without its newline; `None` where reading
    /// begins or began with it.
    pub fn first_line(&self, ordinal: u32) -> Option<&[u8]> {
        let generation = self.generations.iter().find(|held| held.ordinal == ordinal)?;
        (!generation.first_line.is_empty()).then_some(after_hole(&generation.first_line))
    }

    /// How a position is remembered: the generation's name, the offset, and the anchor there. Names of older
    /// generations are forgotten. `None` when nothing with a name was read yet.
    pub fn durable(&mut self, position: Position) -> Option<(GenerationKey, u64, u64)> {
        self.keys.drop_before(position.generation);
        let (key, offset) = self.named(position)?;
        let held = self.generations.iter().find(|held| held.key() == Some(key));
        let anchor = match (self.naming, held) {
            // What was read, not what the file holds by now: it may have been truncated meanwhile.
            (Naming::Mark, Some(held)) if held.offset == offset => held.anchor.hash(),
            (Naming::Mark, Some(held)) => held.place.anchor_hash(offset),
            _ => 0,
        };
        Some((key, offset, anchor))
    }

    /// A position by its generation's name. Of a generation without a name yet nothing was given out, so the end of
    /// the one before it is the same place. `None` when nothing with a name was read yet.
    pub fn named(&self, position: Position) -> Option<(GenerationKey, u64)> {
        let key = self.keys.get(position.generation).map(|key| (key, position.offset));
        key.or_else(|| self.last.map(|(last, key)| (key, last.offset)))
    }

    /// What the checkpoint must know of new generations; each is told once.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// What the checkpoint should know of how generations go on: better heads, and sizes.
    pub fn take_notes(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.notes)
    }

    /// What is known to be lost; each loss is told once.
    pub fn take_losses(&mut self) -> Vec<Loss> {
        std::mem::take(&mut self.losses)
    }

    /// Tells that nobody has the file at `path` open for writing any more. Only for a rotated file is that for good.
    pub fn closed(&mut self, path: &Path) {
        for generation in &mut self.generations {
            if generation.path == path && matches!(generation.state, State::Rotated { .. }) {
                generation.state = State::Closed;
            }
        }
    }

    /// Nothing will be written any more (the end of a drain, of `skidder logs`): unfinished lines are whole.
    pub fn close_all(&mut self) {
        for generation in &mut self.generations {
            generation.state = State::Closed;
        }
    }

    /// Closes all files. The next survey begins with what is written after it.
    pub fn let_go(&mut self) {
        self.discard_copies();
        self.read.clear();
        self.generations.clear();
        self.resume = Some(Resume::fresh(StartAt::End));
    }

    /// Whether it is a stream that has not come to its end.
    pub fn awaits_input(&self) -> bool {
        let is_awaited = |front: &Generation| {
            front.state == State::Live && matches!(front.place, Place::Stream(_)) && !front.place.is_over()
        };
        self.generations.front().is_some_and(is_awaited)
    }

    /// Whether no younger file is held than the one being read.
    pub fn is_at_youngest(&self) -> bool {
        self.generations.len() <= 1
    }

    /// The file being read.
    pub fn reading(&self) -> Option<&Path> {
        self.generations.front().map(|front| &*front.path)
    }

    /// Whether the live path is a file that is held.
    pub fn holds_live(&self) -> bool {
        self.live.metadata().is_ok_and(|meta| self.holds_inode(meta.dev(), meta.ino()))
    }

    /// Whether what is read is packed: where that is damaged, it stays so.
    pub fn reads_packed(&self) -> bool {
        self.generations.front().is_some_and(|front| matches!(front.place, Place::Packed { .. }))
    }

    /// Goes on with the next file: the one being read cannot be read any further. Returns the copy that was damaged,
    /// if it is one.
    pub fn give_up_reading(&mut self) -> Option<PathBuf> {
        let front = self.generations.front_mut()?;
        let bytes = front.unread_at_least();
        let copy = front.copy.take().map(|rest| rest.path);
        self.losses.push(Loss { bytes, reason: "unreadable" });
        self.take_front();
        copy
    }

    /// Whether a look at the open files shows something new to read or to do.
    pub fn has_news(&self, now: Instant) -> bool {
        let Some(front) = self.generations.front() else { return false };
        if self.awaits_input() {
            return false;
        }
        match (front.place.stat(), front.state) {
            (_, State::Closed | State::Truncated) | (None, _) => true,
            (Some(stat), _) if stat.size != front.end_seen => true,
            (Some(stat), State::Live) => stat.links == 0,
            (Some(_), State::Rotated { since }) => now >= since + self.patience(),
        }
    }

    /// When a rotated file will be taken for closed, if nobody tells before.
    pub fn deadline(&self) -> Option<Instant> {
        match self.generations.front()?.state {
            State::Rotated { since } => Some(since + self.patience()),
            _ => None,
        }
    }

    /// The files held.
    pub fn held_files(&self) -> HeldFiles {
        let mut held = HeldFiles::default();
        for generation in &self.generations {
            let stat = generation.place.stat();
            match (generation.state, stat) {
                (_, Some(stat)) if stat.links == 0 => held.deleted += 1,
                (State::Live, _) => held.active += 1,
                _ => held.rotated += 1,
            }
            held.unread_bytes += stat.map_or(0, |stat| stat.size.saturating_sub(generation.low()));
        }
        held
    }

    /// Reads on: one buffer at the most.
    ///
    /// # Errors
    /// When a file cannot be read; a later turn tries again.
    pub fn turn<'b>(&mut self, buffer: &'b mut [u8], now: Instant) -> io::Result<Turn<'b>> {
        self.close_what_is_quiet(now);
        let max_line = self.max_line;
        let Some(front) = self.generations.front_mut() else { return Ok(Turn::End) };
        // Decided before the last read: what comes after it was closed cannot come.
        let closed = match front.state {
            State::Truncated => return Ok(Turn::Survey),
            state => state == State::Closed,
        };
        if front.name.is_none() {
            let (ordinal, named) = (front.ordinal, self.name(0)?);
            if !named && !closed {
                return Ok(Turn::End);
            }
            if named && self.naming == Naming::Mark && self.is_at_youngest() {
                self.blanks.push(ordinal);
                return Ok(Turn::Survey);
            }
        }
        let Some(front) = self.generations.front_mut() else { return Ok(Turn::End) };
        match front.read(buffer, max_line, closed)? {
            Got::Lines(lines) => Ok(Turn::Lines(lines)),
            Got::Long(span, long) => Ok(Turn::Long(span, long)),
            Got::Part => Ok(Turn::Progress),
            Got::Truncated => {
                front.state = State::Truncated;
                Ok(Turn::Survey)
            }
            Got::End if closed => {
                self.finish_front();
                Ok(Turn::Progress)
            }
            Got::End => Ok(Turn::End),
        }
    }

    /// Appends a generation as the youngest.
    pub(super) fn append(&mut self, generation: Generation) {
        let ordinal = self.next_ordinal;
        self.next_ordinal += ORDINALS;
        self.place(self.generations.len(), ordinal, generation);
    }

    /// Puts a generation before the one at `index`. Should there be no ordinal between those beside it, it is lost.
    pub(super) fn insert(&mut self, index: usize, generation: Generation) {
        let Some(younger) = self.generations.get(index) else { return self.append(generation) };
        let older = index.checked_sub(1).map(|older| self.generations[older].ordinal);
        let older = older.or(self.last.map(|(last, _)| last.generation)).unwrap_or_default();
        let ordinal = u32::midpoint(older, younger.ordinal);
        if ordinal == older {
            let bytes = generation.unread_at_least();
            self.losses.push(Loss { bytes, reason: "truncated" });
            return;
        }
        self.place(index, ordinal, generation);
    }

    fn place(&mut self, index: usize, ordinal: u32, mut generation: Generation) {
        generation.ordinal = ordinal;
        if let Some(key) = generation.key() {
            self.keys.insert(ordinal, key);
        }
        self.generations.insert(index, generation);
    }

    /// A name for a generation, from what it holds by now. Returns whether it has one.
    pub(super) fn name(&mut self, index: usize) -> io::Result<bool> {
        let Some(generation) = self.generations.get_mut(index) else { return Ok(false) };
        let Some(name) = generation.find_name(&self.source, self.naming)? else { return Ok(false) };
        generation.name = Some(name);
        self.keys.insert(generation.ordinal, name.key);
        self.records.push(generation.record(&self.source, name));
        Ok(true)
    }

    /// A plain file that had been short when it got its name can be told better by now.
    pub fn lengthen_head(&mut self) {
        let Some(front) = self.generations.front_mut() else { return };
        let Some(name) = front.name else { return };
        let short = (name.head.len as usize) < HEAD_MAX && u64::from(name.head.len) < front.offset;
        if self.naming != Naming::Mark || !short || front.packed {
            return;
        }
        if let Ok(head) = front.find_head() {
            let name = Name { head, ..name };
            front.name = Some(name);
            self.notes.push(front.record(&self.source, name));
        }
    }

    /// A rotated file that nobody can be writing to any more is closed.
    fn close_what_is_quiet(&mut self, now: Instant) {
        let patience = self.patience();
        let Some(front) = self.generations.front_mut() else { return };
        let unlinked = |front: &Generation| front.place.stat().is_some_and(|stat| stat.links == 0);
        match front.state {
            State::Rotated { since } if now >= since + patience => front.state = State::Closed,
            State::Live if front.place.is_over() => front.state = State::Closed,
            State::Live if unlinked(front) => front.state = State::Rotated { since: now },
            _ => {}
        }
    }

    /// How long the front may be quiet before it is taken for closed.
    fn patience(&self) -> Duration {
        if self.generations.len() > 1 { CLOSING } else { UNLINKED }
    }

    /// The front was read to its end; it is held on until it is acknowledged.
    pub(super) fn finish_front(&mut self) {
        let front = self.take_front().filter(|_| self.keeps);
        if let Some(mut front) = front {
            front.place.is_read();
            front.state = State::Closed;
            self.read.push_back(front);
        }
    }

    /// The front is not read any more; `None` when it never had a name.
    pub(super) fn take_front(&mut self) -> Option<Generation> {
        let front = self.generations.pop_front()?;
        let name = front.name?;
        self.last = Some((Position { generation: front.ordinal, offset: front.offset }, name.key));
        let Generation { device, inode, anchor, offset: end, .. } = front;
        self.finished.push_back(Finished { name, path: front.path.clone(), end, anchor, device, inode });
        if self.finished.len() > FINISHED {
            self.finished.pop_front();
        }
        Some(front)
    }
}
