//! Logs that are given to the reader: no glob needs to name them.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::outlet::Outlet;
use super::Reader;
use super::discovery::{SURVEY_TRIES, naming};
use crate::discover::{Found, generations};
use crate::event::{GenerationFile, Origin};
use crate::tail::{Chain, Changed, Naming, Resume, StartAt};

/// How long a rotated file was not written to when nobody will write to it any more: the runtime opens the next one
/// within milliseconds.
const QUIET: Duration = Duration::from_secs(5);

impl<O: Outlet> Reader<O> {
    /// Adds a log with just these of its files, oldest first.
    pub fn add_log(&mut self, found: Found, files: &[GenerationFile]) {
        let Some(block) = self.settings.blocks.get(found.block) else { return };
        let now = Instant::now();
        let is_live = files.last().is_some_and(|youngest| youngest.path == found.path);
        // Without the live file none of what lies beside these is meant.
        let live = files.last().filter(|_| !is_live).map_or(&found.path, |youngest| &youngest.path);
        let (naming, resume) = (naming(&found.origin), Resume::fresh(StartAt::Beginning));
        let mut chain = Chain::new(found.key.clone(), naming, live.clone(), block.max_line_bytes, resume);
        match open(&mut chain, &found, files, now) {
            Ok(unopened) => {
                for (path, error) in unopened {
                    self.outlet.unreadable(&path, &error);
                }
            }
            Err(error) => drop(self.outlet.unreadable(&found.path, &error)),
        }
        if is_live {
            files.iter().filter(|file| is_quiet(&file.path)).for_each(|file| chain.closed(&file.path));
        } else {
            chain.close_all();
        }
        let id = self.insert(found, chain, naming, now);
        self.await_metadata(id, now);
    }

    /// Adds a stream that is no file, such as standard input. When it has more after it would have blocked,
    /// [`Wake::nudge`](crate::pipeline::wake::Wake::nudge) is to be called.
    ///
    /// # Errors
    /// When the system has no randomness for its name.
    pub fn add_stream(&mut self, found: Found, input: impl io::Read + Send + 'static) -> io::Result<()> {
        let Some(block) = self.settings.blocks.get(found.block) else { return Ok(()) };
        let chain = Chain::stream(found.key.clone(), input, block.max_line_bytes)?;
        let now = Instant::now();
        let id = self.insert(found, chain, Naming::Mark, now);
        self.streams.push(id);
        self.await_metadata(id, now);
        Ok(())
    }
}

/// Files that cannot be opened.
type Unopened = Vec<(std::path::PathBuf, io::Error)>;

/// Opens a log's files, wherever rotation has moved them since they were listed.
fn open(chain: &mut Chain, found: &Found, files: &[GenerationFile], now: Instant) -> io::Result<Unopened> {
    let inodes: Vec<_> = files.iter().map(|file| (file.device, file.inode)).collect();
    let mut listed = files.to_vec();
    for _ in 0..SURVEY_TRIES {
        match chain.survey(&listed, now) {
            Ok(unopened) => return Ok(unopened.into_iter().map(|file| (file.path, file.error)).collect()),
            Err(Changed) => listed = generations(&found.path)?,
        }
        if found.origin == Origin::File {
            listed.retain(|file| inodes.contains(&(file.device, file.inode)));
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn is_quiet(path: &Path) -> bool {
    let modified = path.metadata().and_then(|meta| meta.modified()).ok();
    modified.and_then(|modified| modified.elapsed().ok()).is_some_and(|quiet| quiet > QUIET)
}
