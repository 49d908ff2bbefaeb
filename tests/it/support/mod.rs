//! Fixtures: what the stories share.
