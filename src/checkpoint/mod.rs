//! Checkpoint: where may we resume?
