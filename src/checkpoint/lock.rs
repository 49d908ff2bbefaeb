//! One agent at a time for each `data_dir`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The file within `data_dir`. It stays there; what counts is the lock on it, which ends with the process.
const FILE: &str = "lock";
/// How often a waiting agent tries again.
const PATIENCE: Duration = Duration::from_millis(500);

/// The right to use a `data_dir`, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// The lock belongs to this open file.
    _file: File,
}

/// What came of trying.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Held(Lock),
    /// Another has it: who, in words, such as `process 7 on skidder-x2x9k`.
    Busy(String),
}

/// Why the lock cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("locking {path}: {error}; make data_dir writable for the agent or set another", path = path.display())]
pub struct LockError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

impl Lock {
    /// Tries once. `data_dir` is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be made or locked for another reason than that another has it.
    pub fn attempt(data_dir: &Path) -> Result<Attempt, LockError> {
        let path = data_dir.join(FILE);
        try_lock(data_dir, &path).map_err(|error| LockError { path, error })
    }

    /// Tries until it succeeds. Each time that another has it, or a new one has, `on_wait` is told who; once per
    /// holder.
    ///
    /// # Errors
    /// As [`Lock::attempt`].
    pub async fn wait(data_dir: &Path, mut on_wait: impl FnMut(&str)) -> Result<Self, LockError> {
        let mut told = None;
        loop {
            match Self::attempt(data_dir)? {
                Attempt::Held(lock) => return Ok(lock),
                Attempt::Busy(holder) => {
                    if told.as_ref() != Some(&holder) {
                        on_wait(&holder);
                        told = Some(holder);
                    }
                }
            }
            tokio::time::sleep(PATIENCE).await;
        }
    }
}

fn try_lock(data_dir: &Path, path: &Path) -> io::Result<Attempt> {
    fs::create_dir_all(data_dir)?;
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(Attempt::Busy(holder(&mut file))),
        Err(error) => return Err(error.into()),
    }
    // Only for the other's message: a disk too full for it is no reason to fail.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", this_process()));
    Ok(Attempt::Held(Lock { _file: file }))
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    // Another's file may hold anything; a line of it will do.
    let read = file.rewind().and_then(|()| file.take(200).read_to_string(&mut text));
    match (read, text.lines().next()) {
        (Ok(_), Some(line)) if !line.is_empty() => line.to_owned(),
        _ => "another process".to_owned(),
    }
}

/// In a pod the process is nearly always number 1, and the host's name is the pod's.
fn this_process() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}
