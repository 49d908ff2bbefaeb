//! What a reader passes on to the one that comes after it in the same process, when the configuration changes.
//!
//! A log is read again from its lowest byte that was not given out, and by then events of its other stream may have been
//! given out that lie beyond. So that these become what they were, and under the ids that they had, all that was
//! read under a configuration is read again under it; the new one is for what comes after.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decode;
use crate::discover::Found;
use crate::event::{GenerationKey, SourceKey};
use crate::join::Rules;
use crate::tail::OpenFile;

/// How a log's lines become events.
#[derive(Clone)]
pub struct Manner {
    /// How lines are written.
    pub decode: decode::Settings,
    /// Which of them are one event.
    pub rules: Arc<Rules>,
}

/// A byte of a log, by a name that both readers know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The generation.
    pub generation: GenerationKey,
    /// The byte in it.
    pub offset: u64,
}

/// What was read of one log.
#[derive(Clone)]
pub struct Passage {
    /// How it was read, and up to where, in order.
    pub manners: Vec<(Manner, Place)>,
    /// All events were delivered that the lines before this one gave.
    pub delivered: Option<Place>,
    /// The same once all is settled that the reader gave out.
    pub given_out: Option<Place>,
}

/// What was read of all logs, and what is held of them: a file that is unlinked while no reader looks would be lost.
#[derive(Default)]
pub struct Baton {
    passages: HashMap<SourceKey, Passage>,
    files: HashMap<SourceKey, (Found, Vec<OpenFile>)>,
}

impl Baton {
    /// Adds a log.
    pub fn add(&mut self, log: SourceKey, passage: Passage) {
        self.passages.insert(log, passage);
    }

    /// Adds the files of a log that are held open, oldest first.
    pub fn hold(&mut self, log: Found, files: Vec<OpenFile>) {
        self.files.insert(log.key.clone(), (log, files));
    }

    /// All is settled that the reader gave out.
    pub fn all_settled(&mut self) {
        for passage in self.passages.values_mut() {
            passage.delivered = passage.given_out;
        }
    }

    /// Takes what is known of a log.
    pub fn take(&mut self, log: &SourceKey) -> Option<Passage> {
        self.passages.remove(log)
    }

    /// Takes the files that were held of a log.
    pub fn take_files(&mut self, log: &SourceKey) -> Vec<OpenFile> {
        self.files.remove(log).map(|(_, files)| files).unwrap_or_default()
    }

    /// Logs of which nothing is left but what is held.
    pub fn nameless(&self) -> Vec<Found> {
        let is_held = |files: &[OpenFile]| files.iter().any(|file| file.nameless().is_some());
        let nameless = self.files.values().filter(|(log, files)| !log.path.exists() && is_held(files));
        nameless.map(|(log, _)| log.clone()).collect()
    }

    /// Lets go of the files that nobody took.
    pub fn let_go(&mut self) {
        self.files.clear();
    }
}
