//! What a reader passes on to the one that comes after it in the same process, when the configuration changes.
//!
//! A log is read again from its lowest byte that was not given out, and by then events of its other stream may have been
//! given out that lie beyond. So that these become what they were, and under the ids that they had, all that was
//! read under a configuration is read again under it; the new one is for what comes after.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decode;
use crate::event::{GenerationKey, SourceKey};
use crate::join::Rules;

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

/// What was read of all logs.
#[derive(Default)]
pub struct Baton(HashMap<SourceKey, Passage>);

impl Baton {
    /// Adds a log.
    pub fn add(&mut self, log: SourceKey, passage: Passage) {
        self.0.insert(log, passage);
    }

    /// All is settled that the reader gave out.
    pub fn all_settled(&mut self) {
        for passage in self.0.values_mut() {
            passage.delivered = passage.given_out;
        }
    }

    /// Takes what is known of a log.
    pub fn take(&mut self, log: &SourceKey) -> Option<Passage> {
        self.0.remove(log)
    }
}
