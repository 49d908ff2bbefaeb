//! Checkpoint: where may we resume?
//!
//! A [`Ledger`] of what is delivered, and a [`Store`] of it on the disk that survives a crash at any
//! instruction. The [`Keeper`] owns both on a thread of its own; everyone else holds a handle to it. The [`gate`]
//! stands before the output: what a batch needs to be durable is durable before the batch leaves. The [`Lock`]
//! keeps a second agent away from the same `data_dir`.
//!
//! ```text
//!  reader ══ batches ══▶ gate ══ batches ══▶ ship ── receipts ──▶ Keeper ─▶ Ledger
//!                          │                                        │
//!                          └── records that must be durable ────────┴─────▶ Store
//! ```
//!
//! The one invariant: *a saved position never passes a byte that is not settled*. Everything else may be lost in
//! a crash: a position that is too old only means that events are sent again, under the ids they had.

mod clerk;
mod disk;
mod gate;
mod keeper;
mod ledger;
mod line;
mod lock;
mod saved;
mod store;
#[cfg(test)]
mod wreck;

pub use disk::{Disk, Folder};
pub use gate::gate;
pub use keeper::{Keeper, News, Stopped};
pub use ledger::Ledger;
pub use line::{Newer, Reading, read};
pub use lock::{Attempt, Lock, LockError};
pub use saved::{Saved, SavedCut, SavedGeneration, SavedPosition, SavedSource};
pub use store::{Damage, Store, StoreError};

/// The seed of a random test, printed so that `SKIDDER_SEED` can repeat it.
#[cfg(test)]
fn seed() -> u64 {
    let given = std::env::var("SKIDDER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("SKIDDER_SEED={seed}");
    seed
}
