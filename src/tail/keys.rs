//! Ordinals, which positions have, and names, which the checkpoint has.

use std::collections::VecDeque;

use crate::event::GenerationKey;

/// The names of a log's generations by their ordinals.
#[derive(Debug, Default)]
pub struct Keys(VecDeque<(u32, GenerationKey)>);

impl Keys {
    /// The name of a generation that lines were given out of. A generation has one before its first line.
    pub fn get(&self, ordinal: u32) -> Option<GenerationKey> {
        self.0.iter().rev().find(|(known, _)| *known == ordinal).map(|(_, key)| *key)
    }

    /// A generation may get its name later than a younger one: an empty file that was rotated.
    pub(super) fn insert(&mut self, ordinal: u32, key: GenerationKey) {
        let at = self.0.partition_point(|(known, _)| *known < ordinal);
        self.0.insert(at, (ordinal, key));
    }

    /// Forgets the generations before the one with this ordinal; the youngest stays.
    pub(super) fn drop_before(&mut self, ordinal: u32) {
        while self.0.len() > 1 && self.0[1].0 <= ordinal {
            self.0.pop_front();
        }
    }

    /// The ordinal of a name.
    pub fn ordinal(&self, key: &GenerationKey) -> Option<u32> {
        self.0.iter().find(|(_, known)| known == key).map(|(ordinal, _)| *ordinal)
    }
}
