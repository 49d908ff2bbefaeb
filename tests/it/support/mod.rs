//! Fixtures: what the stories share.

pub mod fake;
