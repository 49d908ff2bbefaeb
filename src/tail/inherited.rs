//! Files that are open though no chain holds them: those of the reader before this one, and those that a survey has
//! opened which must be made again. What has lost its name since would not be found any more.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::Chain;
use super::generation::Generation;
use super::place::{Packed, Place};
use crate::event::GenerationFile;

/// A file of a log that is held open, so that it outlives its name.
#[derive(Clone, Debug)]
pub struct OpenFile {
    file: Arc<File>,
    packed: bool,
    /// Where it lay.
    path: PathBuf,
}

impl OpenFile {
    /// That of a generation which has one.
    fn of(held: &Generation) -> Option<Self> {
        let (Place::Plain(file) | Place::Packed { file: Packed::Gzip { file, .. }, .. }) = &held.place else {
            return None;
        };
        Some(Self { file: Arc::clone(file), packed: held.packed, path: held.path.clone() })
    }

    /// How a listing would show it, if it has no name any more.
    pub fn nameless(&self) -> Option<GenerationFile> {
        let meta = self.file.metadata().ok().filter(|meta| meta.nlink() == 0)?;
        let (device, inode, size) = (meta.dev(), meta.ino(), meta.size());
        Some(GenerationFile { path: self.path.clone(), packed: self.packed, device, inode, size })
    }

    /// Device and inode, which can be no other's while it is open.
    fn identity(&self) -> Option<(u64, u64)> {
        self.file.metadata().ok().map(|meta| (meta.dev(), meta.ino()))
    }
}

impl Chain {
    /// The files that it holds open, oldest first.
    pub fn open_files(&self) -> Vec<OpenFile> {
        self.read.iter().chain(&self.generations).filter_map(OpenFile::of).collect()
    }

    /// These are looked at by the first survey, as if they still lay in the folder.
    pub fn inherit(&mut self, files: Vec<OpenFile>) {
        self.inherited = files;
    }

    /// What a survey has opened that must be made again is not let go: it may be unlinked by then.
    pub(super) fn hold_on<'a>(&mut self, opened: impl Iterator<Item = &'a Generation>) {
        for open in opened.filter_map(OpenFile::of) {
            if !self.inherited.iter().any(|held| held.identity() == open.identity()) {
                self.inherited.push(open);
            }
        }
    }

    /// What lies in the folder, and what has lost its name: that is younger than what is held, and older than the rest.
    pub(super) fn with_inherited(&self, files: &[GenerationFile]) -> Vec<GenerationFile> {
        let held = files.iter().rposition(|file| self.holds_inode(file.device, file.inode));
        let (held, rest) = files.split_at(held.map_or(0, |last| last + 1));
        let nameless = self.inherited.iter().filter_map(OpenFile::nameless);
        held.iter().cloned().chain(nameless).chain(rest.iter().cloned()).collect()
    }

    /// A listed file, opened: by its name, or as it was inherited.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn opened(&self, listed: &GenerationFile) -> io::Result<File> {
        match self.inherited.iter().find(|open| open.identity() == Some((listed.device, listed.inode))) {
            Some(open) => open.file.try_clone(),
            None => File::open(&listed.path),
        }
    }
}
