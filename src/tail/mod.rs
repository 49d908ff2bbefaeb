//! Tail: which new bytes do they hold?
