//! One budget for the memory of all that is read and not yet acknowledged. When it is spent, reading stops.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The budget. The reader charges the batches it gives out; who settles them gives back.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    given_out: Mutex<GivenOut>,
}

#[derive(Debug, Default)]
struct GivenOut {
    total: usize,
    by_batch: HashMap<u64, usize>,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(max: usize) -> Self {
        Self { max, given_out: Mutex::default() }
    }

    /// Takes the bytes of a batch that leaves the reader.
    pub fn charge(&self, sequence: u64, bytes: usize) {
        let mut given_out = self.lock();
        given_out.total += bytes;
        given_out.by_batch.insert(sequence, bytes);
    }

    /// Gives back those of a batch that is settled.
    pub fn release(&self, sequence: u64) {
        let mut given_out = self.lock();
        let bytes = given_out.by_batch.remove(&sequence).unwrap_or_default();
        given_out.total -= bytes;
    }

    /// Whether there is room for `more` bytes beside the `held` ones of the reader itself. Where nothing else is
    /// held there always is, so that a small budget never stops everything.
    pub fn has_room(&self, held: usize, more: usize) -> bool {
        let total = self.lock().total;
        total + held == 0 || total + held + more <= self.max
    }

    /// A panic of another thread leaves sums as they are.
    fn lock(&self) -> MutexGuard<'_, GivenOut> {
        self.given_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_given_back() {
        let budget = Budget::new(100);
        assert!(budget.has_room(60, 40));
        budget.charge(7, 50);
        assert!(!budget.has_room(60, 0));
        budget.release(7);
        budget.release(7);
        assert!(budget.has_room(60, 40));
        assert!(budget.has_room(0, 1000) && !budget.has_room(1, 1000));
    }
}
