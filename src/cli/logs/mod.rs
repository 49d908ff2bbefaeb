//! `skidder logs`: what its arguments mean. Which files ([`files`]), which of their events ([`filter`], [`when`]), in
//! which order they are shown ([`merge`]).
//!
//! Nothing here reads a log or writes a line: the reading is the agent's own, the writing is
//! [`pretty`](super::pretty)'s.

pub mod files;
pub mod filter;
pub mod merge;
pub mod when;

use super::{Failure, LogsArgs};

/// Not built yet.
pub fn execute(_args: LogsArgs) -> Result<(), Failure> {
    Err(Failure::Failed("logs is not built yet".into()))
}
