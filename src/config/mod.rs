//! Configuration: what a user may write, checked once.
