//! Join: which lines are one event?

mod automaton;
mod book;
mod head;
mod joiner;
mod languages;
mod parts;
mod pending;
mod rules;
mod settings;
mod table;

#[cfg(test)]
mod tests;

pub use book::{RuleBook, WrongAnnotation};
pub use joiner::Joiner;
pub use rules::{Rules, RulesError};
pub use settings::{Language, Match, Pattern, Settings, Subject, UnknownLanguage};
