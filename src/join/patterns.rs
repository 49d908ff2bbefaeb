//! A user's patterns, compiled, and what is wrong with one that cannot be.

use regex::bytes::Regex;
use thiserror::Error;

use super::head;
use super::settings::Pattern;

/// A pattern that cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("multiline pattern '{pattern}': {}{message}{}", if .key.is_empty() { String::new() } else { format!("{key}: ") }, .position.map(|at| format!(" (at character {at})")).unwrap_or_default())]
pub struct RulesError {
    /// The pattern's name.
    pub pattern: String,
    /// Which of its keys is wrong: `start`, `continue`, `match`, or empty for the whole.
    pub key: &'static str,
    /// The character of the expression, counted from 1, where it is wrong; `None` when it is wrong as a whole.
    pub position: Option<usize>,
    /// What is wrong.
    pub message: String,
}

/// A pattern of one's own, compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) name: Box<str>,
    pub(super) start: Option<Regex>,
    pub(super) continuation: Option<Regex>,
}

impl Compiled {
    /// Compiles it; one without expressions must be the built-in.
    pub(super) fn new(pattern: &Pattern) -> Result<Self, RulesError> {
        let compile = |key, text: &Option<String>| {
            text.as_deref().map(|text| regex(&pattern.name, key, text)).transpose()
        };
        let mut compiled = Self {
            name: pattern.name.as_str().into(),
            start: compile("start", &pattern.start)?,
            continuation: compile("continue", &pattern.continuation)?,
        };
        if compiled.start.is_none() && compiled.continuation.is_none() {
            if pattern.name != Pattern::DATED {
                let message = "needs 'start' or 'continue'".to_owned();
                return Err(RulesError { pattern: pattern.name.clone(), key: "", position: None, message });
            }
            compiled.start = Some(regex(&pattern.name, "start", head::DATED_START)?);
        }
        Ok(compiled)
    }

    /// Whether a line begins an event by it.
    pub(super) fn starts(&self, line: &[u8]) -> bool {
        self.start.as_ref().is_some_and(|start| start.is_match(line))
    }
}

fn regex(pattern: &str, key: &'static str, text: &str) -> Result<Regex, RulesError> {
    let wrong = |position, message| RulesError { pattern: pattern.to_owned(), key, position, message };
    match regex_syntax::ast::parse::Parser::new().parse(text) {
        Err(error) => Err(wrong(Some(error.span().start.column), error.kind().to_string())),
        Ok(_) => Regex::new(text).map_err(|error| wrong(None, one_line(&error.to_string()))),
    }
}

/// The last line of what the library says, which holds the reason without the drawing above it.
fn one_line(message: &str) -> String {
    message.lines().last().unwrap_or(message).trim_start_matches("error: ").to_owned()
}
