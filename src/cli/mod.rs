//! Command line: what each command says and does.

pub mod fields;
pub mod level;
pub mod logs;
pub mod pretty;
