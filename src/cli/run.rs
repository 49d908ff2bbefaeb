//! `skidder run`.

use super::{Failure, RunArgs};

/// Not built yet.
pub fn execute(_args: RunArgs) -> Result<(), Failure> {
    Err(Failure::Failed("run is not built yet".into()))
}
