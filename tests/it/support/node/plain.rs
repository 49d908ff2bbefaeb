//! A program that writes to a file of its own, and logrotate's ways with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::{Written, create, gzip, with_suffix};

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
        self.shift();
        fs::copy(&self.path, with_suffix(&self.path, ".1")).expect("copy of a plain file");
        self.live.set_len(0).expect("plain file");
    }

    /// `create`: the file becomes `.1`, and the program opens a new one.
    pub fn rotate(&mut self) {
        self.shift();
        fs::rename(&self.path, with_suffix(&self.path, ".1")).expect("plain file");
        self.live = create(&self.path);
    }

    /// The file is emptied under its writer, and nobody has a copy.
    pub fn truncate(&mut self) {
        self.live.set_len(0).expect("plain file");
    }

    /// The program ends and its files are unlinked, rotated ones too.
    pub fn delete(self) {
        self.unlink();
    }

    /// The same, and the program begins anew under the same name.
    pub fn recreate(&mut self) {
        self.unlink();
        self.live = create(&self.path);
    }

    fn unlink(&self) {
        fs::remove_file(&self.path).expect("plain file");
        self.rotated().iter().for_each(|path| fs::remove_file(path).expect("rotated file"));
    }

    /// `delaycompress`: all rotated files but `.1` are compressed.
    pub fn compress(&mut self) {
        for path in
            self.rotated().iter().skip(1).filter(|path| path.extension().is_none_or(|end| end != "gz"))
        {
            gzip(path, &with_suffix(path, ".tmp"), &with_suffix(path, ".gz"));
        }
    }

    /// Each rotated file gets the next number.
    fn shift(&mut self) {
        for (index, path) in self.rotated().iter().enumerate().rev() {
            let packed = path.extension().is_some_and(|end| end == "gz");
            let end = if packed { ".gz" } else { "" };
            fs::rename(path, with_suffix(&self.path, &format!(".{}{end}", index + 2))).expect("rotated file");
        }
    }

    /// The rotated files, the youngest first.
    fn rotated(&self) -> Vec<PathBuf> {
        let name = |number: usize, end: &str| with_suffix(&self.path, &format!(".{number}{end}"));
        let there = |number| ["", ".gz"].map(|end| name(number, end)).into_iter().find(|path| path.exists());
        (1..).map_while(there).collect()
    }
}
