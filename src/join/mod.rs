//! Join: which lines are one event?
//!
//! A stack trace is one event, in twelve languages, without configuration; so are the parts of a line that the
//! runtime cut; and whatever a user's patterns say. All other lines are events of their own, and pass a [`Joiner`]
//! as they lie in the read buffer: a look at the first byte, one pass of an automaton that soon dies, a scan for one
//! capital letter.
//!
//! Each language is a table of (from, pattern, to): see `languages/`. A line that may begin a trace is held until
//! the next of its stream tells; lines that may belong are held back with it, and given out as they were if they
//! turn out not to. Decisions rest on the bytes and on the runtime's timestamps alone, so that reading again gives
//! the same events. The one exception, an end set by the clock at the end of the file, is marked
//! [`crate::event::End::Clock`]: the caller makes it durable, and hands it to [`Joiner::replay`] after a crash.
//!
//! Nothing here reads, waits, or knows what becomes of an event.

mod automaton;
mod book;
mod head;
mod joiner;
mod languages;
mod parts;
mod patterns;
mod pending;
mod rules;
mod settings;
mod table;
mod work;

#[cfg(test)]
mod tests;

pub use book::{RuleBook, WrongAnnotation};
pub use joiner::Joiner;
pub use patterns::RulesError;
pub use rules::Rules;
pub use settings::{Language, Match, Pattern, Settings, Subject, UnknownLanguage};
