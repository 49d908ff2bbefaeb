//! Notifications of the file system: a hint, never the truth.
//!
//! One inotify instance for all; folders are watched, not files. What cannot be watched is left to the scan.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hint {
    /// A file was written to.
    Written(PathBuf),
    /// A file was created, renamed or unlinked in this folder.
    Changed(PathBuf),
    /// A file that was open for writing was closed; the path is the one it has by now.
    Closed(PathBuf),
    /// Notifications were lost: look at everything.
    Lost,
}

/// Watches folders and says what happened in them.
pub struct Watcher {
    inner: RecommendedWatcher,
    folders: HashSet<PathBuf>,
    refused: HashSet<PathBuf>,
}

impl Watcher {
    /// Starts to watch nothing yet; `tell` is called on a thread of the watcher's own.
    ///
    /// # Errors
    /// When the system gives no more instances (`fs.inotify.max_user_instances`) or has no notifications.
    pub fn start(tell: impl Fn(Hint) + Send + 'static) -> notify::Result<Self> {
        let inner = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) => hints(event).for_each(&tell),
            Err(_) => tell(Hint::Lost),
        })?;
        Ok(Self { inner, folders: HashSet::new(), refused: HashSet::new() })
    }

    /// Watches just these folders from now on. Returns the error of the first folder that is refused for the
    /// first time (such as `fs.inotify.max_user_watches` reached).
    pub fn watch<'a>(&mut self, folders: impl IntoIterator<Item = &'a Path>) -> Option<notify::Error> {
        let wanted: HashSet<PathBuf> = folders.into_iter().map(Path::to_owned).collect();
        for gone in self.folders.difference(&wanted) {
            // A folder that was deleted took its watch with it; then this fails, as it may.
            let _ = self.inner.unwatch(gone);
        }
        self.folders.retain(|folder| wanted.contains(folder));
        self.refused.retain(|folder| wanted.contains(folder));
        let mut first = None;
        for folder in wanted {
            if self.folders.contains(&folder) {
                continue;
            }
            match self.inner.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.refused.remove(&folder);
                    self.folders.insert(folder);
                }
                // Gone again already: the next scan will not name it.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => {
                    if self.refused.insert(folder) {
                        first = first.or(Some(error));
                    }
                }
            }
        }
        first
    }

    /// Forgets that a folder is watched: it was deleted, and another may come by its name.
    pub fn forget(&mut self, folder: &Path) {
        if self.folders.remove(folder) {
            let _ = self.inner.unwatch(folder);
        }
    }

    /// How many folders are watched.
    pub fn watched(&self) -> usize {
        self.folders.len()
    }

    /// How many folders could not be watched and are left to the scan.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }
}

fn hints(event: notify::Event) -> impl Iterator<Item = Hint> {
    let lost = event.need_rescan();
    let kind = event.kind;
    let from_paths = event.paths.into_iter().filter_map(move |path| match kind {
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => Some(Hint::Written(path)),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Hint::Closed(path)),
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
            path.parent().map(|folder| Hint::Changed(folder.to_owned()))
        }
        // Opened, read, attributes changed: nothing new in it.
        _ => None,
    });
    lost.then_some(Hint::Lost).into_iter().chain(from_paths)
}
