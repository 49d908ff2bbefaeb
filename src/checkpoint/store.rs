//! The checkpoint's file: a log of records, written anew when it has grown.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::disk::{Disk, Folder};
use super::line::{self, Newer};
use super::saved::Saved;
use crate::event::Record;

/// The file within `data_dir`.
const FILE: &str = "checkpoint";
/// Where it is written anew before it takes the file's place.
const ANEW: &str = "checkpoint.tmp";
/// Bytes that the file may grow beyond twice its size when it was last written anew.
const SLACK: u64 = 256 * 1024;

/// The durable sum of records.
///
/// After a crash at any instruction the file says what some prefix of all appended records says, and that prefix
/// holds every record whose append was durable.
#[derive(Debug)]
pub struct Store<D = Folder> {
    disk: D,
    /// What the file says, or will say once it is written.
    saved: Saved,
    /// Bytes of the file that are good.
    len: u64,
    /// The length from which on it is written anew.
    due: u64,
    state: State,
    damage: Option<Damage>,
    /// Reused for the lines of an append.
    lines: Vec<u8>,
}

/// What is known of the file.
///
/// ```text
///           ┌──── written anew ────────────────────────────┐
///           ▼                                              │
///        Sound ── append failed ──▶ Torn ── cut failed ──▶ Torn
///           │                        │ cut back to `len`
///           │                        └────────▶ Sound
///           └── sync failed, or the file is gone ──▶ Doubtful ── written anew ──▶ Sound
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is `len` bytes long, all good.
    Sound,
    /// Behind its `len` good bytes there may be a piece of a line.
    Torn,
    /// There is no file, or nothing is known of it.
    Doubtful,
}

/// A checkpoint that was damaged and set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The name, in `data_dir`, under which the damaged file is kept.
    pub aside: String,
    /// How many lines could not be read.
    pub lines: u64,
    /// How many sources could still be read.
    pub sources: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { aside, lines, sources } = self;
        write!(
            f,
            "the checkpoint was damaged: {lines} lines could not be read, {sources} files are still known; \
             it is kept as {aside}"
        )
    }
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder is not there and cannot be made.
    #[error("making data_dir {path}: {error}; make it writable for the agent or set another")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The file is there and cannot be read.
    #[error("reading {path}: {error}; let the agent read it, or move it away to begin anew", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A newer agent wrote it.
    #[error("reading {path}: {newer}; run the newer agent, or move the file away to begin anew", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Which version.
        newer: Newer,
    },
    /// It is damaged and cannot be kept under another name.
    #[error("setting the damaged {path} aside as {aside}: {error}; make data_dir writable for the agent", path = path.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// The name it should have had.
        aside: String,
        /// Why.
        #[source]
        error: io::Error,
    },
}

impl State {
    /// What is known of the file when a write to it failed.
    fn after(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Doubtful,
            _ => Self::Torn,
        }
    }
}

impl Store<Folder> {
    /// Opens the checkpoint of `data_dir`, which is made when it is not there. [`Store::damage`] tells whether all
    /// of it could be read.
    ///
    /// # Errors
    /// [`StoreError`]; a damaged checkpoint is none.
    pub fn open(data_dir: &Path) -> Result<(Self, Saved), StoreError> {
        let disk = Folder::open(data_dir)
            .map_err(|error| StoreError::Folder { path: data_dir.to_path_buf(), error })?;
        Self::open_on(disk, data_dir, Timestamp::now())
    }
}

impl<D: Disk> Store<D> {
    /// Opens the checkpoint on `disk`. `data_dir` is for messages; `now` names a damaged file that is set aside.
    ///
    /// # Errors
    /// [`StoreError`]; a damaged checkpoint is none.
    pub fn open_on(disk: D, data_dir: &Path, now: Timestamp) -> Result<(Self, Saved), StoreError> {
        let path = || data_dir.join(FILE);
        let bytes = disk.read(FILE).map_err(|error| StoreError::Read { path: path(), error })?;
        let reading = line::read(bytes.as_deref().unwrap_or_default())
            .map_err(|newer| StoreError::Newer { path: path(), newer })?;
        let state = match &bytes {
            Some(bytes) if reading.whole > 0 && reading.whole == bytes.len() as u64 => State::Sound,
            Some(_) if reading.whole > 0 => State::Torn,
            _ => State::Doubtful,
        };
        let mut store = Self {
            disk,
            saved: reading.saved,
            len: reading.whole,
            due: SLACK,
            state,
            damage: None,
            lines: Vec::new(),
        };
        if reading.damaged > 0 {
            store.set_aside(reading.damaged, now).map_err(|(aside, error)| StoreError::SetAside {
                path: path(),
                aside,
                error,
            })?;
        }
        let saved = store.saved.clone();
        Ok((store, saved))
    }

    /// Whether the checkpoint was damaged when it was opened.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// What the records add up to.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    /// Bytes of the file that are good.
    pub fn size(&self) -> u64 {
        self.len
    }

    /// Appends records; when `durable`, returns when they and all before them survive a power loss.
    ///
    /// # Errors
    /// When it fails nothing was promised, the store stays as it was, and the same records may be appended again.
    pub fn append(&mut self, records: &[Record], durable: bool) -> io::Result<()> {
        self.mend()?;
        self.lines.clear();
        records.iter().for_each(|record| line::write(record, &mut self.lines));
        self.disk.append(FILE, &self.lines).inspect_err(|error| self.state = State::after(error))?;
        if durable {
            self.disk.sync(FILE).inspect_err(|_| self.state = State::Doubtful)?;
        }
        self.len += self.lines.len() as u64;
        records.iter().for_each(|record| self.saved.apply(record));
        Ok(())
    }

    /// Writes the file anew, without what is settled, when it has grown enough for that. Returns whether it did.
    ///
    /// # Errors
    /// When it fails the old file goes on; it is tried again when the file has grown some more.
    pub fn compact_if_due(&mut self) -> io::Result<bool> {
        if self.len < self.due {
            return Ok(false);
        }
        self.due = self.len + SLACK;
        self.write_anew().map(|()| true)
    }

    /// Makes the file sound, so that a line may be appended.
    fn mend(&mut self) -> io::Result<()> {
        match self.state {
            State::Sound => {}
            State::Torn => {
                self.disk.cut(FILE, self.len).inspect_err(|error| self.state = State::after(error))?;
                self.state = State::Sound;
            }
            State::Doubtful => self.write_anew()?,
        }
        Ok(())
    }

    /// Writes a new file beside the old one, durable before it takes its place.
    fn write_anew(&mut self) -> io::Result<()> {
        let mut lines = Vec::new();
        line::write_header(&mut lines);
        self.saved.records().for_each(|record| line::write(&record, &mut lines));
        let written = self.disk.write(ANEW, &lines).and_then(|()| self.disk.sync(ANEW));
        if let Err(error) = written.and_then(|()| self.disk.rename(ANEW, FILE)) {
            // What it takes of a full disk is given back; should that fail too, the next try writes over it.
            let _ = self.disk.remove(ANEW);
            return Err(error);
        }
        // Until the rename is durable a power loss may bring the old file back, without what comes after.
        self.state = State::Doubtful;
        self.disk.sync_folder()?;
        self.state = State::Sound;
        self.len = lines.len() as u64;
        self.due = 2 * self.len + SLACK;
        Ok(())
    }

    fn set_aside(&mut self, lines: u64, now: Timestamp) -> Result<(), (String, io::Error)> {
        let aside = format!("{FILE}.damaged-{}", now.strftime("%Y%m%dT%H%M%SZ"));
        self.state = State::Doubtful;
        self.disk.set_aside(FILE, &aside).map_err(|error| (aside.clone(), error))?;
        self.damage = Some(Damage { aside, lines, sources: self.saved.sources.len() });
        // When it fails the first append tries again.
        let _ = self.write_anew();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
