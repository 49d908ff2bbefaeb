//! What is held of files that have lost their names: until it is acknowledged, copied, or given up.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::chain::{CLOSING, Chain, Loss, UNLINKED};
use super::generation::{Generation, State};
use super::identity::first_bytes;
use super::place::{Packed, Place};
use crate::event::{GenerationFile, GenerationKey, Original, Position, Record, Rest};

/// How much a file grows before the checkpoint is told its size anew.
const NOTE_EVERY: u64 = 64 * 1024;

/// How long a copy that failed is not tried again.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// A generation without a name that holds bytes which are not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nameless {
    /// Its number within the log.
    pub ordinal: u32,
    /// When it was first seen without a name.
    pub since: Instant,
    /// What it takes of the disk: the bytes that are not acknowledged, or its copy.
    pub bytes: u64,
    /// Whether all of it is copied.
    pub is_copied: bool,
    /// Whether it is being copied.
    pub copying: Copying,
}

/// Whether a copy of a generation without a name is being made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copying {
    /// It is not.
    NotYet,
    /// The last try has failed, and the next is not to be made before then.
    Failed {
        /// When it may be tried again.
        again: Instant,
    },
    /// It is.
    UnderWay,
}

impl Generation {
    /// Whether its file is plain.
    pub fn is_plain(&self) -> bool {
        matches!(self.place, Place::Plain(_))
    }

    /// Whether its file has no name any more.
    pub fn has_no_name(&self) -> bool {
        self.place.stat().is_some_and(|stat| stat.links == 0)
    }

    /// Whether it is read from its copy.
    fn is_rest(&self) -> bool {
        matches!(self.place, Place::Packed { file: Packed::Rest(_), .. })
    }

    /// Without a name it can be closed while it is not read.
    fn close_unlinked(&mut self, is_youngest: bool, now: Instant) {
        let patience = if is_youngest { UNLINKED } else { CLOSING };
        match self.state {
            State::Live => self.state = State::Rotated { since: now },
            State::Rotated { since } if now >= since + patience => self.state = State::Closed,
            State::Rotated { .. } | State::Closed | State::Truncated => {}
        }
    }

    /// Its size when it was last looked at.
    fn size(&self) -> u64 {
        self.place.stat().map_or(self.noted, |stat| stat.size)
    }

    /// The copy of all that there is of it by now.
    fn whole_copy(&self) -> Option<&Rest> {
        self.copy.as_ref().filter(|rest| rest.end >= self.size())
    }
}

impl Chain {
    /// From now on, what was read is held until it is acknowledged.
    pub fn keep(&mut self) {
        self.keeps = true;
    }

    /// Whether all that was read is acknowledged, as far as it was told.
    pub fn is_settled(&self) -> bool {
        self.read.is_empty()
    }

    /// All before this byte of this generation is acknowledged, and remembered.
    pub fn acknowledged(&mut self, key: &GenerationKey, offset: u64) {
        let mut held = self.read.iter().chain(&self.generations);
        let held = held.find(|held| held.key().as_ref() == Some(key)).map(|held| held.ordinal);
        let last = || self.last.filter(|(_, last)| last == key).map(|(last, _)| last.generation);
        let Some(generation) = held.or_else(last) else { return };
        let at = Position { generation, offset };
        self.acknowledged = Some(at);
        let settled = |oldest: &Generation| (oldest.ordinal, oldest.offset) <= (at.generation, at.offset);
        while self.read.front().is_some_and(settled) {
            let settled = self.read.pop_front();
            self.discard(settled.and_then(|settled| settled.copy));
        }
    }

    /// Copies that are not needed any more, for whoever removes them.
    pub fn take_discarded(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.discarded)
    }

    /// Looks at the files held: which have lost their names, which can be let go for their copies, and how large they
    /// are. The checkpoint is told of sizes that grew by much, or with `all` of any.
    pub fn look(&mut self, now: Instant, all: bool) {
        self.name_unlinked();
        let source = self.source.clone();
        let youngest = self.generations.back().map(|youngest| youngest.ordinal);
        for held in self.read.iter_mut().chain(&mut self.generations) {
            let Some(stat) = held.place.stat() else { continue };
            if stat.links > 0 {
                held.unlinked = None;
            } else {
                held.unlinked.get_or_insert(now);
                held.close_unlinked(Some(held.ordinal) == youngest, now);
            }
            let step = if all || held.state != State::Live { 1 } else { NOTE_EVERY };
            if let (true, Some(name)) = (stat.size >= held.noted + step, held.name) {
                held.noted = stat.size;
                self.notes.push(held.size_record(&source, name));
            }
            if let (State::Closed, false, Some(rest)) = (held.state, held.is_rest(), held.whole_copy()) {
                held.place = Place::rest(rest.clone());
                (held.packed, held.device, held.inode) = (true, 0, 0);
            }
        }
    }

    /// A file that was unlinked before its first turn has no name in ids yet, and without one it could not be copied.
    fn name_unlinked(&mut self) {
        for index in 0..self.generations.len() {
            let held = &self.generations[index];
            if held.name.is_none() && held.has_no_name() {
                // What cannot be read now is named when it is read.
                let _ = self.name(index);
            }
        }
    }

    /// The generations without a name that hold bytes which are not acknowledged, oldest first.
    pub fn nameless(&self) -> impl Iterator<Item = Nameless> {
        self.read.iter().chain(&self.generations).filter_map(|held| {
            let is_held = held.name.is_some() && held.state != State::Truncated;
            let since = held.unlinked.filter(|_| is_held)?;
            let bytes = match &held.place {
                Place::Packed { file: Packed::Rest(rest), .. } => rest.size,
                _ => held.size().saturating_sub(self.unsettled(held)),
            };
            let (is_copied, copying) = (held.whole_copy().is_some(), held.copying);
            (bytes > 0).then_some(Nameless { ordinal: held.ordinal, since, bytes, is_copied, copying })
        })
    }

    /// A generation's rest, to be copied, and what the checkpoint must know of it by then.
    ///
    /// # Errors
    /// When it cannot be read; it is not to be copied then for a while.
    pub fn original(&mut self, ordinal: u32, now: Instant) -> io::Result<Option<(Original, Record)>> {
        let Some(held) = self.read.iter().chain(&self.generations).find(|held| held.ordinal == ordinal)
        else {
            return Ok(None);
        };
        let (Some(name), start) = (held.name, self.unsettled(held)) else { return Ok(None) };
        let made = first_line(held, start)
            .and_then(|first_line| Ok((first_line, held.place.bytes_between(start, held.size())?)));
        // It was told of the generation before; being told again it would take for new what was acknowledged meanwhile.
        let record = held.size_record(&self.source, name);
        let Some(held) = self.held_mut(ordinal) else { return Ok(None) };
        held.copying = Copying::Failed { again: now + AFTER_FAILURE };
        let (first_line, Some(bytes)) = made? else { return Ok(None) };
        held.copying = Copying::UnderWay;
        let (key, head_len, head) = (name.key, name.head.len, name.head.hash);
        Ok(Some((Original { key, head_len, head, start, first_line, bytes }, record)))
    }

    /// What became of a copy. One that came too late, or was outgrown, is discarded.
    pub fn copied(&mut self, ordinal: u32, rest: Option<Rest>, now: Instant) {
        let superfluous = match (self.held_mut(ordinal), rest) {
            (Some(held), Some(rest)) => {
                held.copying = Copying::NotYet;
                let outgrown = held.copy.replace(rest);
                outgrown.filter(|outgrown| held.copy.as_ref().is_some_and(|rest| rest.path != outgrown.path))
            }
            (Some(held), None) => {
                held.copying = Copying::Failed { again: now + AFTER_FAILURE };
                None
            }
            (None, rest) => rest,
        };
        self.discard(superfluous);
    }

    /// Lets go of a generation without a name: there is no room for it. What of it was not read is lost.
    pub fn give_up(&mut self, ordinal: u32) {
        if let Some(index) = self.read.iter().position(|held| held.ordinal == ordinal) {
            let given_up = self.read.remove(index);
            self.discard(given_up.and_then(|held| held.copy));
            return;
        }
        let Some(index) = self.generations.iter().position(|held| held.ordinal == ordinal) else { return };
        let held = &mut self.generations[index];
        let (size, low) = (held.size(), held.low());
        self.losses.push(Loss { bytes: size.saturating_sub(low), reason: "held_files" });
        // A later start is not to count again what is counted now.
        (held.offset, held.noted) = (low, low);
        self.notes.extend(held.name.map(|name| held.size_record(&self.source, name)));
        let given_up = if index == 0 { self.take_front() } else { self.generations.remove(index) };
        self.discard(given_up.and_then(|held| held.copy));
    }

    /// Of a file that lost its name because it was packed, the packed one is held from now on.
    pub(super) fn follow_packing(&mut self, files: &[GenerationFile]) {
        let is_bare = |held: &Generation| held.is_plain() && held.name.is_some() && held.has_no_name();
        if !self.read.iter().chain(&self.generations).any(is_bare) {
            return;
        }
        for file in files.iter().filter(|file| file.packed) {
            if self.holds_inode(file.device, file.inode) {
                continue;
            }
            let Ok(opened) = std::fs::File::open(&file.path) else { continue };
            let Ok(first) = first_bytes(&opened, true) else { continue };
            let packed = Place::gzip(opened);
            let len = packed.stat().map_or(0, |stat| stat.size);
            let same = |held: &&mut Generation| {
                is_bare(held) && held.size() == len && held.name.is_some_and(|name| name.head.begins(&first))
            };
            if let Some(held) = self.read.iter_mut().chain(&mut self.generations).find(same) {
                held.state = State::Closed;
                (held.place, held.path, held.packed) = (packed, file.path.clone(), true);
                (held.device, held.inode, held.unlinked) = (file.device, file.inode, None);
            }
        }
    }

    /// None of its copies is needed any more.
    pub(super) fn discard_copies(&mut self) {
        let copies = self.read.iter_mut().chain(&mut self.generations).filter_map(|held| held.copy.take());
        self.discarded.extend(copies.map(|rest| rest.path));
    }

    fn discard(&mut self, copy: Option<Rest>) {
        self.discarded.extend(copy.map(|rest| rest.path));
    }

    /// The lowest byte of a generation that is not acknowledged.
    fn unsettled(&self, held: &Generation) -> u64 {
        match self.acknowledged {
            Some(at) if at.generation == held.ordinal => at.offset.max(held.start),
            _ => held.start,
        }
    }

    fn held_mut(&mut self, ordinal: u32) -> Option<&mut Generation> {
        self.read.iter_mut().chain(&mut self.generations).find(|held| held.ordinal == ordinal)
    }
}

/// The first line of what is read from its middle on.
pub(super) fn first_line(held: &Generation, start: u64) -> io::Result<Vec<u8>> {
    let mut first = match &held.place {
        _ if start == 0 => Vec::new(),
        _ if !held.first_line.is_empty() => held.first_line.clone(),
        Place::Plain(file) => first_bytes(file, false)?,
        Place::Packed { file: Packed::Gzip { file, .. }, .. } => first_bytes(file, true)?,
        Place::Packed { file: Packed::Rest(rest), .. } => rest.first_line.clone(),
        Place::Stream(_) => Vec::new(),
    };
    if let Some(newline) = memchr::memchr(b'\n', &first) {
        first.truncate(newline);
    }
    Ok(first)
}
