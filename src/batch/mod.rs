//! Batch: what travels together?
