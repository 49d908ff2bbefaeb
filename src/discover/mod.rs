//! Discover: which files exist?
