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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::seed;
    use super::*;
    use crate::event::GenerationKey;

    fn receipt(source: u32, index: u64, offset: u64) -> Receipt {
        Receipt {
            source: SourceId(source),
            key: SourceKey(Arc::from(format!("file/{source}"))),
            index,
            generation: GenerationKey([1; 9]),
            offset,
            anchor: 0,
        }
    }

    fn advanced(ledger: &mut Ledger) -> Vec<(u32, u64)> {
        let moved = ledger.advanced().map(|receipt| (receipt.source.0, receipt.offset)).collect();
        ledger.remembered();
        moved
    }

    #[test]
    fn a_gap_is_waited_for() {
        let mut ledger = Ledger::new();
        assert_eq!(ledger.settle(receipt(1, 2, 300)), None);
        assert_eq!(ledger.settle(receipt(1, 1, 200)), None);
        assert_eq!((advanced(&mut ledger), ledger.parked()), (vec![], 2));
        assert_eq!(ledger.settle(receipt(1, 0, 100)).map(|at| at.offset), Some(300));
        assert_eq!((advanced(&mut ledger), ledger.parked()), (vec![(1, 300)], 0));
        assert_eq!(advanced(&mut ledger), [], "told once");
    }

    #[test]
    fn a_receipt_counts_once() {
        let mut ledger = Ledger::new();
        assert!(ledger.settle(receipt(1, 0, 100)).is_some());
        assert_eq!(ledger.settle(receipt(1, 0, 100)), None);
        assert!(ledger.settle(receipt(1, 1, 200)).is_some());
        assert_eq!(ledger.settle(receipt(1, 0, 100)), None);
        assert_eq!(advanced(&mut ledger), [(1, 200)]);
    }

    #[test]
    fn sources_do_not_wait_for_each_other_and_are_forgotten() {
        let mut ledger = Ledger::new();
        ledger.settle(receipt(1, 1, 100));
        ledger.settle(receipt(2, 0, 70));
        ledger.settle(receipt(3, 0, 80));
        ledger.forget(&SourceKey(Arc::from("file/2")));
        assert_eq!(advanced(&mut ledger), [(3, 80)]);
    }

    /// The model: a position may be told only when every receipt up to it is settled, and is told at once.
    #[test]
    fn the_position_never_passes_what_is_not_settled() {
        let seed = seed();
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..200 {
            let mut ledger = Ledger::new();
            let sources = random.u32(1..5);
            let count = random.u64(1..40);
            let mut waiting: Vec<_> = (0..sources)
                .flat_map(|source| (0..count).map(move |index| receipt(source, index, 10 * (index + 1))))
                .collect();
            random.shuffle(&mut waiting);
            let mut settled = vec![vec![false; count as usize]; sources as usize];
            let mut told = vec![0; sources as usize];
            for receipt in waiting {
                settled[receipt.source.0 as usize][receipt.index as usize] = true;
                ledger.settle(receipt.clone());
                if random.u8(..10) == 0 {
                    ledger.settle(receipt);
                }
                if random.bool() {
                    continue;
                }
                for (source, offset) in advanced(&mut ledger) {
                    told[source as usize] = offset;
                }
                for (settled, told) in settled.iter().zip(&told) {
                    let whole = settled.iter().take_while(|settled| **settled).count() as u64;
                    assert_eq!(*told, 10 * whole);
                }
            }
            assert_eq!(ledger.parked(), 0);
        }
    }
}
