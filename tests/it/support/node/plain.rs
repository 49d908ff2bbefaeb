//! A program that writes to a file of its own, and logrotate's ways with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Written, create, with_suffix};

/// The file of a program that runs. Dropping it leaves the file where it is.
pub struct PlainFile {
    path: PathBuf,
    live: File,
    written: Written,
}

impl PlainFile {
    pub(super) fn start(path: PathBuf, written: Written) -> Self {
        let live = create(&path);
        Self { path, live, written }
    }

    /// The live file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A line.
    pub fn line(&mut self, text: &str) {
        self.raw(format!("{text}\n").as_bytes());
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.written.write(&self.live, bytes);
    }

    /// `copytruncate`: the content is copied to `.1`, then the file is emptied under its writer.
    pub fn copy_and_truncate(&mut self) {
        fs::copy(&self.path, with_suffix(&self.path, ".1")).expect("copy of a plain file");
        self.live.set_len(0).expect("plain file");
    }

    /// `create`: the file becomes `.1`, and the program opens a new one.
    pub fn rotate(&mut self) {
        fs::rename(&self.path, with_suffix(&self.path, ".1")).expect("plain file");
        self.live = create(&self.path);
    }
}
