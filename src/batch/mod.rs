//! Batch: what travels together?
//!
//! Documents are written straight into the body of the batch that is open for their target; a batch is sealed
//! when it is full or old. With each goes what the ledger must know: a receipt per source, which says how far
//! the source may be remembered once this batch and all before it are settled. It never waits, sends or
//! compresses, and it does not know what a document is.
//!
//! ```text
//!  push ──▶ open batch of the target ──full or old──▶ sealed ──▶ the output
//!  mark ──▶ receipts ────────────────────────────────▶ with it
//!  record ─▶ records ───────────────────with the next▶
//! ```

mod assembler;
pub mod ids;
mod receipts;

#[cfg(test)]
mod tests;

pub use assembler::{Assembler, Entry, Layout, Settings};
pub use receipts::Mark;
