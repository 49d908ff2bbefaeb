//! What the checkpoint knows of a log when the agent starts.

use super::identity::Head;
use crate::event::{GenerationKey, Rest};

/// Where reading begins in a log that was never seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartAt {
    /// At the first byte of the oldest generation.
    #[default]
    Beginning,
    /// At the end of what is there.
    End,
}

/// A generation that the checkpoint knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its name in document ids.
    pub key: GenerationKey,
    /// How to know it again.
    pub head: Head,
    /// Where it was last seen.
    pub device: u64,
    /// Where it was last seen.
    pub inode: u64,
    /// From where it is to be read when nothing of it was acknowledged.
    pub start: u64,
    /// How many bytes it held when it was last looked at.
    pub size: u64,
}

/// How far a log was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The generation.
    pub key: GenerationKey,
    /// The lowest byte that was not acknowledged.
    pub offset: u64,
    /// A hash of the bytes before it; 0 for none.
    pub anchor: u64,
}

/// What the checkpoint knows of a log.
#[derive(Clone, Debug, Default)]
pub struct Resume {
    /// The generations, oldest first.
    pub known: Vec<Known>,
    /// How far it was acknowledged; `None` when nothing was.
    pub reached: Option<Reached>,
    /// Where to begin when the log is not known.
    pub start_at: StartAt,
    /// What was copied of generations whose files had lost their names, oldest first.
    pub rests: Vec<Rest>,
}

impl Resume {
    /// A log that was never seen.
    pub fn fresh(start_at: StartAt) -> Self {
        Self { start_at, ..Self::default() }
    }

    /// Whether the log was seen before.
    pub fn is_known(&self) -> bool {
        !self.known.is_empty() || self.reached.is_some()
    }

    /// How many bytes are known that nobody has acknowledged, of generations that are not there any more.
    pub fn missing(&self, is_there: impl Fn(&GenerationKey) -> bool) -> u64 {
        let gone = self.known.iter().filter(|known| !is_there(&known.key));
        gone.map(|known| known.size.saturating_sub(self.low(&known.key).unwrap_or(known.start))).sum()
    }

    /// Whether there are copies to be read.
    pub fn has_rests(&self) -> bool {
        !self.rests.is_empty()
    }

    /// The lowest byte of a known generation that was not acknowledged; `None` for one that is not known: it was
    /// never seen, or is acknowledged.
    pub fn low(&self, key: &GenerationKey) -> Option<u64> {
        let known = self.known.iter().find(|known| known.key == *key)?;
        Some(self.reached.filter(|reached| reached.key == *key).map_or(known.start, |reached| reached.offset))
    }
}
