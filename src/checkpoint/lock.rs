//! One agent at a time for each `data_dir`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

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
    /// The file within `data_dir`. It stays there; what counts is the lock on it, which ends with the process.
    pub const FILE: &str = "lock";

    /// Tries once. `data_dir` is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be made or locked for another reason than that another has it.
    pub fn attempt(data_dir: &Path) -> Result<Attempt, LockError> {
        let path = data_dir.join(Self::FILE);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn held(attempt: Attempt) -> Option<Lock> {
        match attempt {
            Attempt::Held(lock) => Some(lock),
            Attempt::Busy(_) => None,
        }
    }

    #[test]
    fn one_at_a_time_and_who_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("not/there/yet");
        let lock = held(Lock::attempt(&data_dir).unwrap()).unwrap();
        match Lock::attempt(&data_dir).unwrap() {
            Attempt::Busy(holder) => assert_eq!(holder, this_process()),
            Attempt::Held(_) => panic!("two hold the lock"),
        }
        drop(lock);
        assert!(held(Lock::attempt(&data_dir).unwrap()).is_some());
    }

    #[test]
    fn whatever_the_file_holds_is_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], b"\n", b"\xff\xfe", b"\0\0"] {
            let lock = held(Lock::attempt(folder.path()).unwrap());
            fs::write(folder.path().join(Lock::FILE), bytes).unwrap();
            assert!(
                matches!(Lock::attempt(folder.path()).unwrap(), Attempt::Busy(holder) if !holder.is_empty())
            );
            drop(lock);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Lock::attempt(&file.join("data")).unwrap_err().to_string();
        assert!(error.starts_with("locking ") && error.contains("/file/data/lock: "), "{error}");
        assert!(error.ends_with("make data_dir writable for the agent or set another"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_waits_and_takes_over() {
        let folder = tempfile::tempdir().unwrap();
        let first = held(Lock::attempt(folder.path()).unwrap()).unwrap();
        let (told, mut holders) = tokio::sync::mpsc::unbounded_channel();
        let data_dir = folder.path().to_path_buf();
        let second =
            tokio::spawn(
                async move { Lock::wait(&data_dir, |holder| drop(told.send(holder.to_owned()))).await },
            );
        assert_eq!(holders.recv().await, Some(this_process()));
        tokio::time::advance(PATIENCE * 3).await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_ok());
        assert_eq!(holders.recv().await, None, "told once");
    }
}
