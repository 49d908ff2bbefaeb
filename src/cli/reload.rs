//! When the agent's configuration is loaded again: at SIGHUP, and when its file holds something else.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::info;

use crate::config::{Config, ConfigError};

/// How often the file is looked at. A notification would come sooner, but costs one of the few that a node has, and
/// misses what a link far above the file points to: a ConfigMap changes by such a link.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The configuration's file, and what it held when it was last looked at.
pub struct Watched {
    path: PathBuf,
    /// `None`: it cannot be read.
    content: Option<Vec<u8>>,
}

impl Watched {
    /// Looks for the first time: before the configuration is loaded, so that no change falls between.
    pub fn new(path: PathBuf) -> Self {
        let content = fs::read(&path).ok();
        Self { path, content }
    }

    /// Loads the configuration with `load` whenever there may be another.
    ///
    /// # Errors
    /// When the system does not let us wait for SIGHUP.
    pub fn start(
        self,
        load: impl Fn() -> Result<Config, ConfigError> + Send + 'static,
    ) -> io::Result<mpsc::Receiver<Result<Config, ConfigError>>> {
        let (loaded, reloads) = mpsc::channel(1);
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut watched = self;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = hang_up.recv() => {
                        info!("SIGHUP: loading {}", watched.path.display());
                        watched.content = fs::read(&watched.path).ok();
                    }
                    () = watched.changed() => info!("{} has changed", watched.path.display()),
                }
                if loaded.send(load()).await.is_err() {
                    return;
                }
            }
        });
        Ok(reloads)
    }

    /// Waits until the file holds something else: the same at two looks, lest it is still being written.
    async fn changed(&mut self) {
        let mut last = self.content.clone();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let content = fs::read(&self.path).ok();
            if content == last && content != self.content {
                self.content = content;
                return;
            }
            last = content;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_counts_once_it_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skidder.yaml");
        fs::write(&path, "one").unwrap();
        let mut watched = Watched::new(path.clone());
        let seen = |watched: &Watched| String::from_utf8(watched.content.clone().unwrap_or_default());
        for (half, whole) in [("tw", "two"), ("", "three")] {
            fs::write(&path, half).unwrap();
            {
                let mut change = std::pin::pin!(watched.changed());
                assert!(tokio::time::timeout(LOOK_EVERY * 3 / 2, &mut change).await.is_err());
                fs::write(&path, whole).unwrap();
                change.await;
            }
            assert_eq!(seen(&watched).unwrap(), whole);
        }
        let quiet = tokio::time::timeout(LOOK_EVERY * 100, watched.changed()).await;
        assert!(quiet.is_err(), "nothing has changed");
        fs::remove_file(&path).unwrap();
        watched.changed().await;
        assert_eq!(watched.content, None, "a file that is gone is a change too");
    }
}
