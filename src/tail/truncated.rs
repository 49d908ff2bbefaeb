//! What is truncated under its writer: logrotate's `copytruncate`, or a loss.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::chain::{Chain, Loss};
use super::generation::{Generation, State};
use super::identity::{Naming, first_bytes, unpacked_len};
use super::place::{Anchor, Place};
use super::survey::Changed;
use crate::event::GenerationFile;

impl Chain {
    /// Truncated generations go on in their copies. A plain file is looked at before it is its turn: it may be packed
    /// or gone by then.
    pub(super) fn recover_truncated(
        &mut self,
        files: &[GenerationFile],
        now: Instant,
    ) -> Result<(), Changed> {
        let mut is_recovered = false;
        // From the youngest: what is put in lies behind.
        for index in (0..self.generations.len()).rev() {
            let held = &mut self.generations[index];
            if held.state == State::Truncated || self.naming == Naming::Mark && held.was_emptied() {
                self.recover(index, files)?;
                is_recovered = true;
            }
        }
        if is_recovered {
            self.settle_states(now);
        }
        Ok(())
    }

    /// A truncated generation goes on in its copy, if there is one (logrotate's `copytruncate`). What its file holds now
    /// is the next generation, whatever the file is called by now.
    fn recover(&mut self, index: usize, files: &[GenerationFile]) -> Result<(), Changed> {
        let truncated = &mut self.generations[index];
        if let Some(long) = truncated.long.take() {
            // The copy holds the long line from its beginning.
            (truncated.offset, truncated.anchor) = (long.start(), Anchor::NONE);
        }
        let is_other =
            |file: &&GenerationFile| (file.device, file.inode) != (truncated.device, truncated.inode);
        let mut copy = None;
        for file in files.iter().rev().filter(is_other) {
            match copy_of(truncated, file) {
                Ok(None) => {}
                Ok(found) => {
                    copy = found;
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Changed),
                // What cannot be read is no copy that helps.
                Err(_) => {}
            }
        }
        let emptied = truncated.emptied();
        if let Some((place, path, device, inode)) = copy {
            truncated.packed = matches!(place, Place::Packed { .. });
            (truncated.place, truncated.path) = (place, path);
            (truncated.device, truncated.inode) = (device, inode);
            truncated.state = State::Closed;
            self.insert(index + 1, emptied);
            return Ok(());
        }
        let bytes = truncated.end_seen.saturating_sub(truncated.low());
        self.losses.push(Loss { bytes, reason: "truncated" });
        match index {
            0 => drop(self.take_front()),
            _ => drop(self.generations.remove(index)),
        }
        self.insert(index, emptied);
        Ok(())
    }
}

impl Generation {
    /// What a truncated file is from now on.
    fn emptied(&self) -> Self {
        let place = match &self.place {
            Place::Plain(file) => Place::Plain(Arc::clone(file)),
            // Only plain files are found to be truncated.
            Place::Packed { .. } | Place::Stream(_) => Place::stream(io::empty()),
        };
        Self {
            path: self.path.clone(),
            device: self.device,
            inode: self.inode,
            unlinked: self.unlinked,
            ..Self::of(place)
        }
    }

    /// Whether it is a copy of what the live file holds: the truncation is to come, and then the live one is read on
    /// here. A copy of what was there before begins otherwise, or is longer.
    pub(super) fn copies(&self, live: &Self) -> bool {
        let (Place::Plain(copy), Place::Plain(held)) = (&self.place, &live.place) else { return false };
        let (Ok(copy), Ok(held)) = (first_bytes(copy, false), first_bytes(held, false)) else { return false };
        let sizes = (self.place.stat(), live.place.stat());
        let is_longer = matches!(sizes, (Some(copy), Some(held)) if copy.size > held.size);
        !is_longer && held.starts_with(&copy)
    }

    /// Whether its file has lost what it began with, though no read has found that yet.
    fn was_emptied(&self) -> bool {
        let (Some(name), Place::Plain(file)) = (self.name, &self.place) else { return false };
        let mut head = vec![0; name.head.len as usize];
        match file.read_exact_at(&mut head, 0) {
            Ok(()) => !name.head.begins(&head),
            Err(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        }
    }
}

/// A place that goes on where a truncated file was left.
type CopyOf = (Place, PathBuf, u64, u64);

/// Whether a file is a copy of what a truncated one held: the same head, the same bytes before the offset.
fn copy_of(truncated: &Generation, file: &GenerationFile) -> io::Result<Option<CopyOf>> {
    let Some(name) = truncated.name else { return Ok(None) };
    let opened = File::open(&file.path)?;
    let begins_alike = name.head.begins(&first_bytes(&opened, file.packed)?);
    if !begins_alike {
        return Ok(None);
    }
    let place = if file.packed {
        if unpacked_len(&opened) < truncated.offset {
            return Ok(None);
        }
        Place::gzip(opened)
    } else {
        if !truncated.anchor.stands_in(&opened, truncated.offset) {
            return Ok(None);
        }
        Place::plain(opened)
    };
    Ok(Some((place, file.path.clone(), file.device, file.inode)))
}
