//! Tail: which new bytes do they hold?
//!
//! The unit is a log with its chain of generations ([`Chain`]). It knows its files again whatever they are called
//! ([`identity`]), holds them open from the moment it sees them, and gives out whole lines, oldest first.
//!
//! Never looks at what a line says, never remembers what was acknowledged, never lists a folder.

mod chain;
mod generation;
mod held;
pub mod identity;
mod inherited;
mod keys;
mod late;
mod lines;
mod place;
mod resume;
mod survey;
#[cfg(test)]
mod tests;
mod truncated;

pub use chain::{Chain, HeldFiles, Loss, Turn};
pub use generation::LongLine;
pub use held::{Copying, Nameless};
pub use identity::{Head, Naming};
pub use inherited::OpenFile;
pub use keys::Keys;
pub use lines::{Lines, LinesIter};
pub use resume::{Known, Reached, Resume, StartAt};
pub use survey::{Changed, Unopened};
