//! Spool: what was unlinked before it was delivered.
//!
//! A file that is unlinked while bytes of it are not acknowledged is held open by `tail`, and so it is there until the
//! agent ends. [`decide`] says which of these files are copied to `data_dir/spool`, where the end of the agent does
//! not matter, and which are given up since there is no room. The copies are made by a thread of their own
//! ([`Spool`]), safe against a crash at any instruction: a file has its name only when all of it is on the disk.
//!
//! Never reads what a line says, never decides what is acknowledged.

mod copyist;
mod file;
mod hold;

pub use copyist::{Copied, Order, Spool, Stock};
pub use file::{Kept, Log};
pub use hold::{CopyState, Disk, Held, PATIENCE, Step, decide, room};
