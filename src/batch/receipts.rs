//! How far each source may be remembered, told batch by batch.
//!
//! The reader marks the lowest byte of a source that it still holds: all below is in some batch, or was dropped
//! on purpose. When a batch is sealed while another that is still open holds something of the same source, the
//! mark is too high for its receipt: the other may be sealed later, and the ledger must not have passed what is
//! in it. So for each open batch the mark is kept that stood when the batch got its first item of the source.
//! Nothing in the batch lies below this floor, and marks only grow: the oldest floor is the safe position.

use std::collections::BTreeSet;

use crate::event::{BySource, GenerationKey, Receipt, SourceId, SourceKey};

/// The lowest byte of a source that the reader still holds: an event not given out yet, or the next byte to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The generation that holds it.
    pub generation: GenerationKey,
    /// The byte.
    pub offset: u64,
    /// See [`Receipt::anchor`].
    pub anchor: u64,
}

/// The marks of all sources, and what of them was told.
#[derive(Default)]
pub(super) struct Receipts {
    sources: BySource<Source>,
    /// Sources whose mark moved while no open batch held anything of them: no batch will tell it.
    moved: BTreeSet<SourceId>,
}

struct Source {
    key: SourceKey,
    /// Of its next receipt.
    index: u64,
    mark: Mark,
    /// The position of its last receipt, or the first mark.
    told: Mark,
    /// One for each open batch that holds something of the source, the oldest first. Nearly always at most one.
    floors: Vec<Floor>,
    /// No more marks and items will come.
    retired: bool,
}

struct Floor {
    batch: u64,
    mark: Mark,
}

impl Source {
    fn receipt(&mut self, source: SourceId) -> Receipt {
        let position = self.floors.first().map_or(self.mark, |floor| floor.mark);
        self.told = position;
        let index = self.index;
        self.index += 1;
        Receipt {
            source,
            key: self.key.clone(),
            index,
            generation: position.generation,
            offset: position.offset,
            anchor: position.anchor,
        }
    }

    /// Nothing is open and all is told.
    fn is_told(&self) -> bool {
        self.floors.is_empty() && self.told == self.mark
    }
}

impl Receipts {
    /// Moves a source's mark; the first one tells where its reading begins. Gives whether there is now
    /// something to tell that no open batch will.
    pub fn mark(&mut self, id: SourceId, key: &SourceKey, mark: Mark) -> bool {
        let source = self.sources.entry(id).or_insert_with(|| Source {
            key: key.clone(),
            index: 0,
            mark,
            told: mark,
            floors: Vec::new(),
            retired: false,
        });
        source.mark = mark;
        let moved = source.floors.is_empty() && !source.is_told();
        if moved {
            self.moved.insert(id);
        }
        moved
    }

    /// The open batch `batch` got an item of the source. Gives whether it is the first.
    pub fn hold(&mut self, id: SourceId, batch: u64) -> bool {
        let Some(source) = self.sources.get_mut(&id) else {
            debug_assert!(false, "{id:?} was not marked before its first item");
            return false;
        };
        if source.floors.iter().any(|floor| floor.batch == batch) {
            return false;
        }
        source.floors.push(Floor { batch, mark: source.mark });
        true
    }

    /// The receipts of a batch that is sealed now, for the sources that it holds items of.
    pub fn seal(&mut self, batch: u64, sources: &[SourceId]) -> Vec<Receipt> {
        let mut receipts = Vec::with_capacity(sources.len());
        for &id in sources {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            source.floors.retain(|floor| floor.batch != batch);
            receipts.push(source.receipt(id));
            self.drop_retired(id);
        }
        receipts
    }

    /// The receipts that no open batch will tell.
    pub fn take_moved(&mut self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        for id in std::mem::take(&mut self.moved) {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            if source.floors.is_empty() && !source.is_told() {
                receipts.push(source.receipt(id));
            }
            self.drop_retired(id);
        }
        receipts
    }

    /// Whether [`Receipts::take_moved`] may have something to tell.
    pub fn has_moved(&self) -> bool {
        !self.moved.is_empty()
    }

    /// No more marks and items of the source will come: it goes as soon as all is told.
    pub fn forget(&mut self, id: SourceId) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.retired = true;
            self.drop_retired(id);
        }
    }

    fn drop_retired(&mut self, id: SourceId) {
        if self.sources.get(&id).is_some_and(|source| source.retired && source.is_told()) {
            self.sources.remove(&id);
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }
}
