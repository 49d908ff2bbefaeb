//! Why the agent cannot run.

use std::io;
use std::path::PathBuf;

use super::settings::SettingsError;
use crate::checkpoint::{LockError, StoreError};
use crate::join::RulesError;
use crate::observe::HttpError;
use crate::ship::elasticsearch;

/// Why the agent cannot run, or could not go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("multiline.patterns: {0}")]
    Rules(#[from] RulesError),
    #[error("output.elasticsearch: {0}")]
    Elasticsearch(#[from] elasticsearch::ClientError),
    #[error("standard output: {0}")]
    Stdout(#[source] io::Error),
    #[error("kubernetes.kubelet.url: reading {path}: {error}; name a file that holds what the kubelet answers to /pods", path = path.display())]
    Recorded { path: PathBuf, error: String },
    #[error("opening the spool in data_dir: {0}; make it writable for the agent or set another")]
    Spool(#[source] io::Error),
    #[error("starting a thread: {0}; raise the limit of processes and threads (pids) of the agent")]
    Thread(#[source] io::Error),
    #[error(
        "the reader has ended; its last words are above, please report them; a restart goes on where it was"
    )]
    ReaderEnded,
    #[error(
        "the output has ended; its last words are above, please report them; a restart goes on where it was"
    )]
    OutputEnded,
    #[error("shutdown.timeout is over; what was not acknowledged is sent again at the next start")]
    Timeout,
    #[error(
        "writing the last positions: {0}; what was sent since is sent again under the same ids; free space in data_dir"
    )]
    LastWrite(#[source] io::Error),
}

impl RunError {
    /// Nobody reads standard output any more.
    pub fn is_pipe_closed(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The configuration is to blame.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::Rules(_) | Self::Recorded { .. })
    }
}
