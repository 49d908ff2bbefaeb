//! Observe: what the agent says of itself. Metrics, health, the status page, its own log.
//!
//! Rooms are handed what they move ([`Metrics`], an [`Account`], a [`Heartbeat`]); nothing here knows a room, and
//! nothing here decides anything.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub mod log;
pub mod metrics;

mod backlog;
mod exposition;
mod health;
mod http;
mod process;
mod repeats;
mod status;

pub use backlog::{Account, Accounts, Backlog, Fate, Owner, Reading};
pub use exposition::{Exposition, Format};
pub use health::{Health, Heartbeat, Readiness};
pub use http::{HttpError, Pages, Server};
pub use metrics::Metrics;
pub use repeats::{Repeats, Said};
pub use status::{
    Complaint, Configuration, FileState, FileStatus, LastError, OutputStatus, Status, StatusPage,
};

/// Locks what is changed in single steps only: a thread that panicked left it whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
