//! The door: arguments → command → exit code.

fn main() {}
