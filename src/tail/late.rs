//! What was written to a file after it was rotated and read to its end.
//!
//! A runtime lets go of the old file within milliseconds. Other writers take their time: logrotate's `create` makes the
//! next file before the program is told, and its children may finish what they do. What comes late is read on from where
//! the file was left, as a generation of its own under the same name: so its bytes have the ids that they would have had.

use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use super::chain::{Chain, Finished};
use super::generation::{Generation, State};
use super::held::first_line;
use super::survey::Found;
use crate::event::GenerationFile;

impl Chain {
    /// Whether the file that was read to its end last has grown.
    pub fn has_late(&self) -> bool {
        let has_grown = |done: &Finished| {
            let meta = done.path.metadata();
            meta.is_ok_and(|meta| {
                (meta.dev(), meta.ino()) == (done.device, done.inode)
                    && meta.size() > done.end
                    && !self.reads_inode(done.device, done.inode)
            })
        };
        self.finished.back().is_some_and(has_grown)
    }

    /// Takes in what came late, to be read before what is being read goes on. All that is not read to its end gets a
    /// number beyond: positions grow in the order of reading. So nobody may wait for a position that lies ahead.
    pub fn read_late(&mut self, files: &[GenerationFile], now: Instant) {
        let late: Vec<Generation> = files.iter().filter_map(|file| self.late(file, now)).collect();
        if late.is_empty() {
            return;
        }
        let mut others = std::mem::take(&mut self.generations);
        if let Some(front) = others.front_mut() {
            // Reading begins in its middle now.
            front.first_line = first_line(front, front.offset).unwrap_or_default();
        }
        late.into_iter().chain(others).for_each(|generation| self.append(generation));
    }

    fn late(&self, listed: &GenerationFile, now: Instant) -> Option<Generation> {
        let same = |done: &&Finished| (done.device, done.inode) == (listed.device, listed.inode);
        let done = self.finished.iter().rev().find(same)?;
        if listed.packed || listed.size <= done.end || self.reads_inode(listed.device, listed.inode) {
            return None;
        }
        // What cannot be read now is tried again; what holds other bytes by now is none of it.
        let found = Found::look(listed).ok().filter(|found| found.is_still(done))?;
        let generation = found.opened(Some(done.name), done.end).ok()?;
        Some(Generation { state: State::Rotated { since: now }, ..generation })
    }

    fn reads_inode(&self, device: u64, inode: u64) -> bool {
        self.generations.iter().any(|held| (held.device, held.inode) == (device, inode))
    }
}
