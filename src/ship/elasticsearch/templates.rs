//! Which data streams still need their template before their first document.

use std::collections::BTreeMap;

use super::setup::{Done, SetupError};

/// ```text
///          ┌──────── trouble ───────┐
///          ▼                        │
/// ─► Wanted ────────► Asking ───────┼──► There
///          ▲                        └──► Without
///          └── the stream is held ─────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not asked for yet.
    Wanted,
    /// Asked for.
    Asking,
    /// Installed, by us or by another.
    There,
    /// Not allowed or refused. Documents are indexed as the cluster guesses, which is better than not at all;
    /// asked for again when the cluster will not have them without.
    Without,
}

/// The data streams that were written to, and their templates.
#[derive(Debug, Default)]
pub struct Templates {
    states: BTreeMap<String, State>,
    /// The role may not install any: said once, and not asked for each new stream.
    denied: bool,
}

impl Templates {
    /// A document is bound for `stream`.
    pub fn want(&mut self, stream: &str) {
        if !self.states.contains_key(stream) {
            let state = if self.denied { State::Without } else { State::Wanted };
            self.states.insert(stream.to_owned(), state);
        }
    }

    /// The next to ask for; the caller does.
    pub fn next(&mut self) -> Option<String> {
        let (stream, state) = self.states.iter_mut().find(|(_, state)| **state == State::Wanted)?;
        *state = State::Asking;
        Some(stream.clone())
    }

    /// Whether this is the first stream of all.
    pub fn is_first(&self) -> bool {
        self.states.len() == 1
    }

    /// Whether documents may go to `name`; always for what is no data stream of ours.
    pub fn let_through(&self, name: &str) -> bool {
        !matches!(self.states.get(name), Some(State::Wanted | State::Asking))
    }

    /// Takes what became of asking, and says it. True when it is to be asked again.
    pub fn answered(&mut self, stream: String, result: &Result<Vec<(String, Done)>, SetupError>) -> bool {
        let state = match result {
            Ok(done) => {
                for (name, done) in done.iter().filter(|(_, done)| *done != Done::Unchanged) {
                    tracing::info!("template {name}: {done}");
                }
                self.denied = false;
                State::There
            }
            Err(SetupError::Trouble { .. } | SetupError::Credentials { .. }) => State::Wanted,
            Err(error) => {
                let denied = matches!(error, SetupError::Denied { .. });
                if !(denied && self.denied) {
                    tracing::warn!("{error}; going on without");
                }
                self.denied |= denied;
                State::Without
            }
        };
        self.states.insert(stream, state);
        state == State::Wanted
    }

    /// `stream` may not be written to: perhaps because its template is missing.
    pub fn held(&mut self, stream: &str) {
        if let Some(state) = self.states.get_mut(stream)
            && *state == State::Without
        {
            *state = State::Wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_once_and_again_when_held() {
        let denied = || Err(SetupError::Denied { name: "x".into(), words: "no".into() });
        let mut templates = Templates::default();
        assert!(templates.let_through("an-index"));
        templates.want("a");
        assert!(!templates.let_through("a") && templates.is_first());
        assert_eq!(templates.next().as_deref(), Some("a"));
        assert_eq!(templates.next(), None);
        let trouble = Err(SetupError::Trouble { name: "x".into(), words: "away".into() });
        assert!(templates.answered("a".into(), &trouble));
        assert_eq!(templates.next().as_deref(), Some("a"));
        assert!(!templates.answered("a".into(), &denied()));
        templates.want("b");
        assert!(templates.let_through("a") && templates.let_through("b"), "not asked for each");
        templates.held("b");
        assert_eq!(templates.next().as_deref(), Some("b"));
        assert!(!templates.answered("b".into(), &Ok(vec![("t".into(), Done::Made)])));
        templates.held("b");
        assert_eq!(templates.next(), None);
    }
}
