//! What Elasticsearch refused for good, kept on the disk until somebody looks.
//!
//! `data_dir/dead-letters/00000001.ndjson` and so on: one JSON object a line, a new file every 16 MiB. The oldest
//! are kept: they are the first of their kind, and say most. Once the bound is reached, new ones are dropped and
//! counted. Several processes may use the folder at once (an agent, and a person with `skidder dead-letters`):
//! a lock on `dead-letters/lock` is held while it is changed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::verdict::Reason;
use crate::event::{Batch, Item, SourceId, Target, TargetKind};

/// A file of this size is closed and the next begun.
const FILE_BYTES: u64 = 16 << 20;
/// A replayed batch is about this large.
const BATCH_BYTES: usize = 4 << 20;

/// One refused document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// When it was refused, RFC 3339.
    pub time: String,
    /// The data stream or index.
    pub target: String,
    /// Whether `target` is a data stream.
    pub data_stream: bool,
    /// The ingest pipeline; empty for none.
    #[serde(default)]
    pub pipeline: String,
    /// The status that it was refused with.
    pub status: u16,
    /// Elasticsearch's type of the refusal.
    #[serde(rename = "type")]
    pub kind: String,
    /// Elasticsearch's words.
    pub reason: String,
    /// Its `_id`; `None` where Elasticsearch makes the ids.
    pub id: Option<String>,
    /// The document as it was first sent; a string when it is no JSON.
    pub document: Box<RawValue>,
}

impl DeadLetter {
    /// Takes the bulk lines of a refused document.
    pub(super) fn new(
        time: String,
        target: &Target,
        reason: &Reason,
        action: &[u8],
        document: &[u8],
    ) -> Self {
        let text = String::from_utf8_lossy(document.trim_ascii()).into_owned();
        let quoted = || RawValue::from_string(serde_json::json!(text).to_string());
        let document = RawValue::from_string(text.clone()).or_else(|_| quoted()).unwrap_or_default();
        Self {
            time,
            target: target.name.clone(),
            data_stream: target.kind == TargetKind::DataStream,
            pipeline: target.pipeline.clone(),
            status: reason.status,
            kind: reason.kind.clone(),
            reason: reason.words.clone(),
            id: id_of(action),
            document,
        }
    }

    fn target(&self) -> Target {
        let kind = if self.data_stream { TargetKind::DataStream } else { TargetKind::Index };
        Target { name: self.target.clone(), kind, pipeline: self.pipeline.clone() }
    }
}

fn id_of(action: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Action {
        create: Create,
    }
    #[derive(Deserialize)]
    struct Create {
        _id: Option<String>,
    }
    serde_json::from_slice::<Action>(action).ok()?.create._id
}

/// Why dead letters cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step} dead letters in {}: {error}", path.display())]
pub struct StoreError {
    step: &'static str,
    path: PathBuf,
    error: io::Error,
}

/// The folder of dead letters.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    most: u64,
}

impl Store {
    /// `dead-letters` in `data_dir`, which may grow to `most` bytes. Nothing is made before the first letter.
    pub fn new(data_dir: &Path, most: u64) -> Self {
        Self { folder: data_dir.join("dead-letters"), most }
    }

    /// Keeps as many of `letters` as fit, durably: when this returns they survive a crash.
    ///
    /// # Errors
    /// [`StoreError`] when the disk refuses; some may have been kept.
    pub fn keep(&self, letters: &[DeadLetter]) -> Result<usize, StoreError> {
        fs::create_dir_all(&self.folder).map_err(|error| self.error("make the folder of", error))?;
        let _lock = self.lock()?;
        self.append(letters).map_err(|error| self.error("write", error))
    }

    fn append(&self, letters: &[DeadLetter]) -> io::Result<usize> {
        let files = self.files()?;
        // What a replay set aside comes back at most once, so it must not crowd itself out.
        let mut total: u64 = files.iter().filter(|file| !file.replayed).map(|file| file.len).sum();
        let newest = files.iter().rfind(|file| !file.replayed);
        let number = files.iter().map(|file| file.number).max().unwrap_or_default();
        let path = match newest {
            Some(file) if file.len < FILE_BYTES => file.path.clone(),
            _ => self.folder.join(format!("{:08}.ndjson", number + 1)),
        };
        let mut lines = Vec::new();
        let mut kept = 0;
        for letter in letters {
            let line = serde_json::to_vec(letter)?;
            total += line.len() as u64 + 1;
            if total > self.most {
                break;
            }
            lines.extend_from_slice(&line);
            lines.push(b'\n');
            kept += 1;
        }
        if kept > 0 {
            append_lines(&path, &lines)?;
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(kept)
    }

    /// Calls `each` with every letter, the oldest first, and says how many lines were none.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be read.
    pub fn read(&self, mut each: impl FnMut(DeadLetter)) -> Result<usize, StoreError> {
        let mut spoilt = 0;
        for file in self.files().map_err(|error| self.error("list", error))? {
            spoilt += read_file(&file.path, &mut each).map_err(|error| self.error("read", error))?;
        }
        Ok(spoilt)
    }

    /// Removes all letters and says how many bytes that were.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be removed.
    pub fn purge(&self) -> Result<u64, StoreError> {
        if !self.folder.exists() {
            return Ok(0);
        }
        let _lock = self.lock()?;
        let mut bytes = 0;
        for file in self.files().map_err(|error| self.error("list", error))? {
            fs::remove_file(&file.path).map_err(|error| self.error("remove", error))?;
            bytes += file.len;
        }
        Ok(bytes)
    }

    /// Sets all letters aside for a replay, so that what is refused again goes into new files. What a replay
    /// that was broken off left is among them.
    ///
    /// # Errors
    /// [`StoreError`] when a file cannot be renamed.
    pub fn take(&self) -> Result<Vec<Taken>, StoreError> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let _lock = self.lock()?;
        let mut taken = Vec::new();
        for file in self.files().map_err(|error| self.error("list", error))? {
            let path = file.path.with_extension("replay");
            if !file.replayed {
                fs::rename(&file.path, &path).map_err(|error| self.error("set aside", error))?;
            }
            taken.push(Taken { path });
        }
        Ok(taken)
    }

    fn lock(&self) -> Result<File, StoreError> {
        let lock = || {
            let file =
                OpenOptions::new().create(true).truncate(false).write(true).open(self.folder.join("lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| self.error("lock", error))
    }

    /// The files, the oldest first.
    fn files(&self) -> io::Result<Vec<StoredFile>> {
        let mut files = Vec::new();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let replayed = path.extension().is_some_and(|extension| extension == "replay");
            let ours = replayed || path.extension().is_some_and(|extension| extension == "ndjson");
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).filter(|_| ours);
            if let Some(number) = number {
                files.push(StoredFile { path, number, replayed, len: entry.metadata()?.len() });
            }
        }
        files.sort_by_key(|file| file.number);
        Ok(files)
    }

    fn error(&self, step: &'static str, error: io::Error) -> StoreError {
        StoreError { step, path: self.folder.clone(), error }
    }
}

/// A file of letters.
#[derive(Debug)]
struct StoredFile {
    path: PathBuf,
    number: u32,
    /// Set aside by a replay.
    replayed: bool,
    len: u64,
}

/// A file of letters that a replay set aside.
#[derive(Debug)]
pub struct Taken {
    path: PathBuf,
}

impl Taken {
    /// Its letters as batches, each for one target, and how many lines were none.
    ///
    /// # Errors
    /// What reading the file answers.
    pub fn batches(&self) -> io::Result<(Vec<Batch>, usize)> {
        let mut batches: Vec<Batch> = Vec::new();
        let spoilt = read_file(&self.path, &mut |letter| append(&mut batches, &letter))?;
        for (sequence, batch) in batches.iter_mut().enumerate() {
            batch.sequence = sequence as u64;
        }
        Ok((batches, spoilt))
    }

    /// Removes the file: all of it is settled.
    ///
    /// # Errors
    /// What removing it answers.
    pub fn done(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

/// Adds a letter to the batch for its target.
fn append(batches: &mut Vec<Batch>, letter: &DeadLetter) {
    let target = letter.target();
    let fits =
        |batch: &&mut Batch| batch.target.as_deref() == Some(&target) && batch.body.len() < BATCH_BYTES;
    let batch = match batches.iter_mut().rev().find(fits) {
        Some(batch) => batch,
        None => {
            batches.push(Batch { target: Some(Arc::new(target)), ..Batch::default() });
            let last = batches.len() - 1;
            &mut batches[last]
        }
    };
    let start = batch.body.len() as u32;
    let action = match &letter.id {
        Some(id) => serde_json::json!({ "create": { "_id": id } }),
        None => serde_json::json!({ "create": {} }),
    };
    batch.body.extend_from_slice(action.to_string().as_bytes());
    batch.body.push(b'\n');
    let document = batch.body.len() as u32;
    batch.body.extend_from_slice(letter.document.get().as_bytes());
    batch.body.push(b'\n');
    batch.items.push(Item { start, document, source: SourceId(0), bytes: 0 });
}

/// Appends whole lines; a line that a crash left half is ended first, so that it spoils no other.
fn append_lines(path: &Path, lines: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
    if file.metadata()?.len() > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    file.write_all(lines)?;
    file.sync_data()
}

fn read_file(path: &Path, each: &mut impl FnMut(DeadLetter)) -> io::Result<usize> {
    let mut spoilt = 0;
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        match serde_json::from_slice(&line?) {
            Ok(letter) => each(letter),
            Err(_) => spoilt += 1,
        }
    }
    Ok(spoilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(number: usize) -> DeadLetter {
        let target = Target { name: "logs-a-b".into(), kind: TargetKind::DataStream, pipeline: "p".into() };
        let reason = Reason { status: 400, kind: "k".into(), words: "w".into() };
        let action = format!("{{\"create\":{{\"_id\":\"{number}\"}}}}\n");
        DeadLetter::new(
            "2026-11-22T10:00:00Z".into(),
            &target,
            &reason,
            action.as_bytes(),
            b"{\"message\":\"m\"}\n",
        )
    }

    fn ids(store: &Store) -> Vec<String> {
        let mut ids = Vec::new();
        assert_eq!(store.read(|letter| ids.extend(letter.id)).unwrap(), 0);
        ids
    }

    #[test]
    fn the_oldest_are_kept_and_what_is_too_many_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let line = serde_json::to_vec(&letter(0)).unwrap().len() as u64 + 1;
        let store = Store::new(folder.path(), line * 3);
        assert!(ids(&store).is_empty());
        assert_eq!(store.keep(&[letter(1), letter(2)]).unwrap(), 2);
        assert_eq!(store.keep(&[letter(3), letter(4)]).unwrap(), 1);
        assert_eq!(store.keep(&[letter(5)]).unwrap(), 0);
        assert_eq!(ids(&store), ["1", "2", "3"]);
        assert_eq!(store.purge().unwrap(), line * 3);
        assert!(ids(&store).is_empty());
    }

    #[test]
    fn a_replay_takes_all_and_a_broken_one_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), 1 << 20);
        store.keep(&[letter(1)]).unwrap();
        assert_eq!(store.take().unwrap().len(), 1);
        store.keep(&[letter(2)]).unwrap();
        assert_eq!(ids(&store), ["1", "2"]);
        let taken = store.take().unwrap();
        assert_eq!(taken.len(), 2);
        let (batches, spoilt) = taken[0].batches().unwrap();
        assert_eq!((batches.len(), spoilt), (1, 0));
        assert_eq!(batches[0].body, b"{\"create\":{\"_id\":\"1\"}}\n{\"message\":\"m\"}\n");
        assert_eq!(batches[0].target.as_ref().unwrap().pipeline, "p");
        taken.into_iter().for_each(|taken| taken.done().unwrap());
        assert!(ids(&store).is_empty());
    }

    #[test]
    fn half_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), 1 << 20);
        store.keep(&[letter(1)]).unwrap();
        let path = folder.path().join("dead-letters/00000001.ndjson");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], &whole[..20]].concat()).unwrap();
        store.keep(&[letter(2)]).unwrap();
        let mut ids = Vec::new();
        assert_eq!(store.read(|letter| ids.extend(letter.id)).unwrap(), 1);
        assert_eq!(ids, ["1", "2"]);
    }

    #[test]
    fn what_is_no_json_is_kept_as_text() {
        let target = Target { name: "i".into(), kind: TargetKind::Index, pipeline: String::new() };
        let letter =
            DeadLetter::new(String::new(), &target, &Reason::default(), b"{\"create\":{}}\n", b"{\"a\n");
        assert_eq!(letter.document.get(), "\"{\\\"a\"");
        assert_eq!(letter.id, None);
    }
}
