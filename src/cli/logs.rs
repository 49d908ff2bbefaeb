//! `skidder logs`.

use super::{Failure, LogsArgs};

/// Not built yet.
pub fn execute(_args: LogsArgs) -> Result<(), Failure> {
    Err(Failure::Failed("logs is not built yet".into()))
}
