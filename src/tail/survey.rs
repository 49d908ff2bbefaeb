//! What lies in a log's folder, held against what the chain knows.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::chain::{Chain, FINISHED, Finished, Loss};
use super::generation::{Generation, Name, State};
use super::identity::{self, Head, Naming, first_bytes, mint, name_from_first_line};
use super::place::{Anchor, Place};
use super::resume::{Known, Reached, Resume, StartAt};
use crate::event::{GenerationFile, GenerationKey, Rest, SourceKey};

/// The folder has changed since it was listed: list it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed;

/// A file that could not be opened; it is tried again at the next survey, unless younger ones were taken in.
#[derive(Debug)]
pub struct Unopened {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
    size: u64,
}

/// What a file turned out to be.
enum Opened {
    /// One that was read to its end, or that is held under another inode: an unpacked file that is packed by now.
    Known,
    /// The one at which the checkpoint stands: all older ones are done.
    Resumed(Generation),
    /// One that was not seen before.
    New(Generation),
}

impl Chain {
    /// Takes in what lies in the log's folder (`files`, oldest first) just now: opens what is new, follows what was
    /// renamed.
    ///
    /// # Errors
    /// [`Changed`] when the folder is not as it was listed: nothing new was taken in.
    pub fn survey(&mut self, files: &[GenerationFile], now: Instant) -> Result<Vec<Unopened>, Changed> {
        let unopened = match self.inherited.is_empty() {
            true => self.take_in(files, now)?,
            false => self.take_in(&self.with_inherited(files), now)?,
        };
        // They are held, or known to be delivered.
        self.inherited.clear();
        // Last: it takes its time, in which what was listed would grow old.
        self.follow_packing(files);
        Ok(unopened)
    }

    fn take_in(&mut self, files: &[GenerationFile], now: Instant) -> Result<Vec<Unopened>, Changed> {
        self.follow_renames(files);
        self.recover_truncated(files, now)?;
        self.note_blanks();
        self.name_held();
        let mut unopened = Vec::new();
        let mut fresh = VecDeque::new();
        // What lies before held ones, with the ordinal of the next one.
        let mut between = VecDeque::new();
        let mut blanks = files.iter().filter(|file| self.held_blank(file).is_some()).count();
        let mut next = None;
        // From the youngest back to the first that is known: all before that one are known too, but for what a blank
        // one has held.
        for (index, file) in files.iter().enumerate().rev() {
            if self.holds_inode(file.device, file.inode) {
                let is_blank = self.held_blank(file).is_some();
                if !is_blank && blanks == 0 {
                    break;
                }
                blanks -= usize::from(is_blank);
                next = self.ordinal_of(file).or(next);
                continue;
            }
            match self.open(file) {
                Ok(Opened::Known) if blanks == 0 => break,
                Ok(Opened::Known) => {}
                Ok(Opened::Resumed(generation)) => {
                    fresh.push_front(generation);
                    self.settle(&files[..index]);
                    break;
                }
                Ok(Opened::New(generation)) => {
                    // Only the live file is copied so that it can be truncated.
                    let live = fresh.front().or(self.generations.back()).filter(|_| index + 2 == files.len());
                    let is_copy =
                        self.naming == Naming::Mark && live.is_some_and(|live| generation.copies(live));
                    // One that has lost its name to its packed form.
                    let is_twin = generation.name.is_some()
                        && fresh.iter().any(|younger: &Generation| younger.key() == generation.key());
                    match next {
                        _ if is_copy || is_twin => {}
                        Some(next) => between.push_front((next, generation)),
                        None => fresh.push_front(generation),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.hold_on(fresh.iter().chain(between.iter().map(|(_, generation)| generation)));
                    return Err(Changed);
                }
                Err(error) => unopened.push(Unopened { path: file.path.clone(), error, size: file.size }),
            }
        }
        self.blanks.clear();
        self.leave_delivered(&mut fresh, files);
        let only_rests = || unopened.is_empty() && self.resume.as_ref().is_some_and(Resume::has_rests);
        if fresh.is_empty() && between.is_empty() && !only_rests() {
            return Ok(unopened);
        }
        // Younger ones are read, so these will not be.
        let unreadable = unopened.iter().map(|file| Loss { bytes: file.size, reason: "unreadable" });
        self.losses.extend(unreadable);
        self.end_resuming(&mut fresh, unopened.is_empty(), now);
        for (next, generation) in between {
            self.tell_of(&generation);
            let next = self.generations.iter().position(|held| held.ordinal == next);
            self.insert(next.unwrap_or(self.generations.len()), generation);
        }
        for generation in fresh {
            self.tell_of(&generation);
            self.append(generation);
        }
        self.settle_states(now);
        Ok(unopened)
    }

    fn tell_of(&mut self, generation: &Generation) {
        if let Some(name) = generation.name {
            self.records.push(generation.record(&self.source, name));
        }
    }

    /// What is older than where reading resumes was delivered by a former run: it must not be taken for new when what
    /// is read now is truncated or unlinked.
    fn settle(&mut self, older: &[GenerationFile]) {
        for listed in &older[older.len().saturating_sub(FINISHED)..] {
            // What cannot be read now is not taken for anything.
            let found = self.opened(listed).and_then(|file| Found::of(file, listed));
            if let Ok(done) = found.and_then(|found| found.finished(self.naming, &self.source)) {
                self.finished.push_back(done);
            }
        }
    }

    /// A plain file that was empty when it was last looked at may have been filled and truncated since, so there may be
    /// a copy of what it held; nothing else tells.
    fn note_blanks(&mut self) {
        let is_blank = |held: &&Generation| held.name.is_none() && held.is_plain();
        if self.naming == Naming::Mark {
            self.blanks.extend(self.generations.iter().filter(is_blank).map(|held| held.ordinal));
        }
    }

    fn held_blank(&self, file: &GenerationFile) -> Option<u32> {
        self.ordinal_of(file).filter(|ordinal| self.blanks.contains(ordinal))
    }

    fn ordinal_of(&self, file: &GenerationFile) -> Option<u32> {
        let held =
            self.generations.iter().find(|held| (held.device, held.inode) == (file.device, file.inode));
        held.map(|held| held.ordinal)
    }

    /// Where the file at which the checkpoint stands is gone, the oldest that the checkpoint knows is the next one: what
    /// is older still would be known too, had it not been delivered before.
    fn leave_delivered(&mut self, fresh: &mut VecDeque<Generation>, files: &[GenerationFile]) {
        let Some(resume) = self.resume.as_ref().filter(|resume| resume.reached.is_some()) else { return };
        let is_known =
            |generation: &Generation| resume.known.iter().any(|known| Some(known.key) == generation.key());
        let Some(delivered) = fresh.iter().position(is_known).filter(|older| *older > 0) else { return };
        let next = (fresh[delivered].device, fresh[delivered].inode);
        fresh.drain(..delivered);
        let older = files.iter().take_while(|file| (file.device, file.inode) != next).count();
        self.settle(&files[..older]);
    }

    /// Held files keep their inode whatever they are called.
    fn follow_renames(&mut self, files: &[GenerationFile]) {
        for file in files {
            for held in &mut self.generations {
                if (held.device, held.inode) == (file.device, file.inode) {
                    held.path.clone_from(&file.path);
                }
            }
        }
    }

    /// A generation that was seen empty can be told by now, and must be: it may lie there packed too.
    fn name_held(&mut self) {
        for index in 0..self.generations.len() {
            if self.generations[index].name.is_none() {
                // What cannot be read now is named when it is read.
                let _ = self.name(index);
            }
        }
    }

    /// All but the youngest have a successor. Of those, all but the last are closed: its own successor was rotated
    /// away already.
    pub(super) fn settle_states(&mut self, now: Instant) {
        let count = self.generations.len();
        for (index, generation) in self.generations.iter_mut().enumerate() {
            match generation.state {
                State::Live if index + 2 < count => generation.state = State::Closed,
                State::Live if index + 1 < count => generation.state = State::Rotated { since: now },
                State::Rotated { .. } if index + 2 < count => generation.state = State::Closed,
                _ => {}
            }
        }
    }

    /// Opens a file and finds out what it is.
    fn open(&self, listed: &GenerationFile) -> io::Result<Opened> {
        let found = Found::of(self.opened(listed)?, listed)?;
        let name = match self.naming {
            Naming::FirstLine => found.name_by_first_line(&self.source),
            Naming::Mark => self.known_by_head(&found),
        };
        let finished = |name: &Name| self.finished.iter().any(|done| done.name.key == name.key);
        let held = |name: &Name| self.generations.iter().any(|held| held.key() == Some(name.key));
        if name.as_ref().is_some_and(|name| finished(name) || held(name)) || self.holds_unpacked(&found) {
            return Ok(Opened::Known);
        }
        let resume = self.resume.as_ref();
        if let (Some(name), Some(reached)) = (name, resume.and_then(|resume| resume.reached))
            && name.key == reached.key
        {
            return found.opened(Some(name), reached.offset).map(Opened::Resumed);
        }
        let start = resume.and_then(|resume| start_of(resume, name)).unwrap_or(0);
        let name = match (name, self.naming) {
            (None, Naming::Mark) if !found.first.is_empty() => {
                Some(Name { key: mint()?, head: Head::of(&found.first) })
            }
            (name, _) => name,
        };
        found.opened(name, start).map(Opened::New)
    }

    /// What is to be read of the copies, oldest first. One whose generation lies in the folder all the same is not
    /// needed, nor one that the checkpoint does not know although it knows the log: that was acknowledged.
    fn rests_to_read(&mut self, resume: &Resume, fresh: &VecDeque<Generation>) -> Vec<Rest> {
        let is_there = |rest: &Rest| fresh.iter().any(|generation| generation.key() == Some(rest.key));
        let is_wanted = |rest: &Rest| match resume.low(&rest.key) {
            Some(low) => low < rest.end,
            None => !resume.is_known(),
        };
        let (mut wanted, others): (Vec<Rest>, Vec<Rest>) =
            resume.rests.iter().cloned().partition(|rest| !is_there(rest) && is_wanted(rest));
        self.discarded.extend(others.into_iter().map(|rest| rest.path));
        let order = |rest: &Rest| resume.known.iter().position(|known| known.key == rest.key);
        wanted.sort_by_key(order);
        wanted
    }

    /// Whether this is the packed form of a file that is held though it is unlinked: open, or as its copy.
    fn holds_unpacked(&self, found: &Found<'_>) -> bool {
        let same = |name: Name| name.head.len > 0 && name.head.begins(&found.first);
        found.listed.packed
            && self.generations.iter().any(|held| held.name.is_some_and(same) && held.has_no_name())
    }

    /// Of plain files, which known one this is: the same inode first, then the same content.
    fn known_by_head(&self, found: &Found<'_>) -> Option<Name> {
        let resume = self.resume.as_ref();
        let known = resume.map_or(&[][..], |resume| &resume.known);
        let reached = resume.and_then(|resume| resume.reached);
        let same_inode = |known: &&Known| (known.device, known.inode) == (found.device, found.inode);
        let same_content = |known: &&Known| known.head.len > 0 && found.continues(known, reached);
        let by_inode = known.iter().rev().find(|known| same_inode(known) && found.continues(known, reached));
        let known = by_inode.or_else(|| known.iter().rev().find(same_content));
        let finished = || self.finished.iter().rev().find(|done| found.is_still(done)).map(|done| done.name);
        known.map(|known| Name { key: known.key, head: known.head }).or_else(finished)
    }

    /// The first survey that found files has used what the checkpoint knows. What it does not find is lost, unless
    /// some could not be opened.
    fn end_resuming(&mut self, fresh: &mut VecDeque<Generation>, is_complete: bool, now: Instant) {
        let Some(resume) = self.resume.take() else { return };
        if let (false, StartAt::End) = (resume.is_known(), resume.start_at) {
            // Never seen before, and only what comes is wanted: the youngest counts, from its end.
            fresh.drain(..fresh.len().saturating_sub(1));
            if let Some(live) = fresh.front_mut() {
                start_at_end(live);
            }
        }
        let has_rest = |key: &GenerationKey| resume.rests.iter().any(|rest| rest.key == *key);
        for rest in self.rests_to_read(&resume, fresh).into_iter().rev() {
            fresh.push_front(rest_of(rest, &resume, now));
        }
        let is_there = |key: &GenerationKey| {
            has_rest(key) || fresh.iter().any(|generation| generation.key().as_ref() == Some(key))
        };
        let bytes = resume.missing(is_there);
        if is_complete && (bytes > 0 || resume.reached.is_some_and(|reached| !is_there(&reached.key))) {
            // What is known at least: how much it still grew before it vanished nobody knows.
            self.losses.push(Loss { bytes, reason: "rotated" });
        }
    }
}

impl Known {
    /// Whether the file at `path` is this one under another name: the same inode, and the same bytes as far as they are
    /// known.
    pub fn lies_at(&self, path: &Path, reached: Option<Reached>) -> bool {
        let Ok(meta) = path.metadata() else { return false };
        let (device, inode, size) = (meta.dev(), meta.ino(), meta.size());
        let listed = GenerationFile { path: path.to_owned(), packed: false, device, inode, size };
        (self.device, self.inode) == (device, inode)
            && self.head.len > 0
            && Found::look(&listed).is_ok_and(|found| found.continues(self, reached))
    }
}

/// A file that was just opened.
pub(super) struct Found<'a> {
    file: File,
    device: u64,
    inode: u64,
    size: u64,
    first: Vec<u8>,
    listed: &'a GenerationFile,
}

impl<'a> Found<'a> {
    pub(super) fn look(listed: &'a GenerationFile) -> io::Result<Self> {
        Self::of(File::open(&listed.path)?, listed)
    }

    /// What was opened in the place of a listed file.
    ///
    /// # Errors
    /// When it is another one, or cannot be read.
    pub(super) fn of(file: File, listed: &'a GenerationFile) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        // Another file may lie there by now, that even has the inode of the one that was listed, if that was unlinked
        // meanwhile. Taken for it, it would hide what lies between the two.
        let is_listed = (meta.dev(), meta.ino()) == (listed.device, listed.inode);
        if !is_listed || meta.size() < listed.size {
            return Err(io::ErrorKind::NotFound.into());
        }
        let first = first_bytes(&file, listed.packed)?;
        Ok(Self { file, device: meta.dev(), inode: meta.ino(), size: meta.size(), first, listed })
    }

    /// This file as one that was read to its end.
    fn finished(&self, naming: Naming, source: &SourceKey) -> io::Result<Finished> {
        let by_first_line = match naming {
            Naming::FirstLine => self.name_by_first_line(source),
            Naming::Mark => None,
        };
        let name = match by_first_line {
            Some(name) => name,
            // The mark that it had is forgotten; it is known by its content.
            None => Name { key: mint()?, head: Head::of(&self.first) },
        };
        let end = self.size;
        let anchor = if self.listed.packed { Anchor::NONE } else { Anchor::read(&self.file, end)? };
        let path = self.listed.path.clone();
        Ok(Finished { name, path, end, anchor, device: self.device, inode: self.inode })
    }

    fn name_by_first_line(&self, source: &SourceKey) -> Option<Name> {
        let key = name_from_first_line(source, &self.first)?;
        Some(Name { key, head: Head::of(&self.first) })
    }

    /// Whether this file can be the known one: it begins as that did, and where that was read to, it has the same
    /// bytes.
    fn continues(&self, known: &Known, reached: Option<Reached>) -> bool {
        if !known.head.begins(&self.first) {
            return false;
        }
        match reached {
            Some(reached) if reached.key == known.key && !self.listed.packed => {
                let same =
                    || identity::anchor(&self.file, reached.offset).is_ok_and(|hash| hash == reached.anchor);
                self.size >= reached.offset && (reached.anchor == 0 || same())
            }
            _ => true,
        }
    }

    /// Whether this file is one that was read to its end, and nothing was added.
    pub(super) fn is_still(&self, done: &Finished) -> bool {
        let same_end = || self.size == done.end && done.anchor.stands_in(&self.file, done.end);
        // What its writer still appended was not waited for.
        let same_file = || (self.device, self.inode) == (done.device, done.inode) && self.size >= done.end;
        done.end > 0
            && done.name.head.begins(&self.first)
            && (self.listed.packed
                || same_end()
                || same_file() && done.anchor.stands_in(&self.file, done.end))
    }

    pub(super) fn opened(mut self, name: Option<Name>, offset: u64) -> io::Result<Generation> {
        let first_line = match memchr::memchr(b'\n', &self.first) {
            Some(newline) if offset > 0 => {
                self.first.truncate(newline);
                self.first
            }
            _ => Vec::new(),
        };
        let (place, offset, anchor) = if self.listed.packed {
            (Place::gzip(self.file), offset, Anchor::NONE)
        } else {
            // A file that is shorter than what was acknowledged of it is read from its end.
            let offset = offset.min(self.size);
            let anchor = Anchor::read(&self.file, offset)?;
            (Place::plain(self.file), offset, anchor)
        };
        let noted = place.stat().map_or(0, |stat| stat.size);
        Ok(Generation {
            name,
            state: if self.listed.packed { State::Closed } else { State::Live },
            path: self.listed.path.clone(),
            device: self.device,
            inode: self.inode,
            packed: self.listed.packed,
            first_line,
            start: offset,
            offset,
            anchor,
            noted,
            ..Generation::of(place)
        })
    }
}

/// From where a generation that is known but was not acknowledged is read: none for one that is not known.
fn start_of(resume: &Resume, name: Option<Name>) -> Option<u64> {
    resume.low(&name?.key)
}

/// What is left of a generation, as it is read on.
fn rest_of(rest: Rest, resume: &Resume, now: Instant) -> Generation {
    let offset = resume.low(&rest.key).map_or(rest.start, |low| low.clamp(rest.start, rest.end));
    Generation {
        name: Some(Name { key: rest.key, head: Head { len: rest.head_len, hash: rest.head } }),
        state: State::Closed,
        path: rest.path.clone(),
        packed: true,
        first_line: if offset > 0 { rest.first_line.clone() } else { Vec::new() },
        start: offset,
        offset,
        unlinked: Some(now),
        copy: Some(rest.clone()),
        noted: rest.end,
        ..Generation::of(Place::rest(rest))
    }
}

/// Moves a generation that was just opened to the end of its last whole line.
fn start_at_end(generation: &mut Generation) {
    const LOOK_BACK: u64 = 64 * 1024;
    let Place::Plain(file) = &generation.place else { return };
    let Ok(size) = file.metadata().map(|meta| meta.size()) else { return };
    let from = size.saturating_sub(LOOK_BACK);
    let mut tail = vec![0; (size - from) as usize];
    if file.read_exact_at(&mut tail, from).is_err() {
        return;
    }
    let offset = memchr::memrchr(b'\n', &tail).map_or(from, |newline| from + newline as u64 + 1);
    if let Ok(anchor) = Anchor::read(file, offset) {
        (generation.start, generation.offset, generation.anchor) = (offset, offset, anchor);
    }
}
