//! What is delivered: pure, without I/O or time.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Receipt, SourceId, SourceKey};

/// Settles the receipts of each source strictly in the order of [`Receipt::index`]: a source stands at receipt *i*
/// only when 0 to *i* are all settled. What comes before its turn is parked.
///
/// Batches may overtake each other on their way (several are in flight, some are retried); the receipts put that
/// right. Never holds more than the receipts of batches in flight, and one per source.
#[derive(Debug, Default)]
pub struct Ledger {
    sources: BTreeMap<SourceId, Track>,
    /// Sources whose position moved since [`Ledger::remembered`].
    moved: BTreeSet<SourceId>,
}

/// One source.
#[derive(Debug, Default)]
struct Track {
    /// The index of the receipt that is waited for: all below are settled.
    next: u64,
    /// Where the source stands: the receipt before `next`; `None` while `next` is 0.
    at: Option<Receipt>,
    /// Settled before their turn, by index; all above `next`.
    parked: BTreeMap<u64, Receipt>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Settles one receipt. Returns where its source stands now when it moved, which may be further than this
    /// receipt (it filled a gap) — or `None`: a gap is before it, or it was settled already.
    pub fn settle(&mut self, receipt: Receipt) -> Option<&Receipt> {
        let source = receipt.source;
        let track = self.sources.entry(source).or_default();
        if receipt.index != track.next {
            if receipt.index > track.next {
                track.parked.insert(receipt.index, receipt);
            }
            return None;
        }
        track.stand_at(receipt);
        while let Some(receipt) = track.parked.remove(&track.next) {
            track.stand_at(receipt);
        }
        self.moved.insert(source);
        track.at.as_ref()
    }

    /// Where the sources stand that moved since [`Ledger::remembered`] was last called, by source.
    pub fn advanced(&self) -> impl Iterator<Item = &Receipt> {
        self.moved.iter().filter_map(|source| self.sources.get(source)?.at.as_ref())
    }

    /// All that [`Ledger::advanced`] told is saved.
    pub fn remembered(&mut self) {
        self.moved.clear();
    }

    /// Drops a source, whose files are gone and which is settled.
    pub fn forget(&mut self, key: &SourceKey) {
        let Self { sources, moved } = self;
        sources.retain(|source, track| {
            let other = track.at.as_ref().is_none_or(|at| at.key != *key);
            if !other {
                moved.remove(source);
            }
            other
        });
    }

    /// How many receipts wait for one before them.
    pub fn parked(&self) -> usize {
        self.sources.values().map(|track| track.parked.len()).sum()
    }
}

impl Track {
    fn stand_at(&mut self, receipt: Receipt) {
        self.next = receipt.index + 1;
        self.at = Some(receipt);
    }
}
