//! One budget for the memory of all that is read and not yet acknowledged. When it is spent, reading stops.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget. The reader charges the batches it gives out; who settles them gives back.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    given_out: AtomicUsize,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(max: usize) -> Self {
        Self { max, given_out: AtomicUsize::new(0) }
    }

    /// Takes bytes that leave the reader.
    pub fn charge(&self, bytes: usize) {
        self.given_out.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives bytes back that are settled.
    pub fn release(&self, bytes: usize) {
        self.given_out.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether there is room for `more` bytes beside the `held` ones of the reader itself.
    pub fn has_room(&self, held: usize, more: usize) -> bool {
        self.given_out.load(Ordering::Relaxed) + held + more <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_charged_is_given_back() {
        let budget = Budget::new(100);
        assert!(budget.has_room(60, 40));
        budget.charge(50);
        assert!(!budget.has_room(60, 0));
        budget.release(50);
        assert!(budget.has_room(60, 40));
    }
}
