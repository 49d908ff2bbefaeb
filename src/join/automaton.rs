//! Many patterns, one pass: a dense automaton over the rules that are asked of a line together.

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::work;

/// Colours before what a pattern says, as loggers write them even where nobody sees them.
const COLOURS: &str = r"(?:\x1b\[[0-9;]*m)*";

/// Patterns that all begin where the line begins.
#[derive(Debug)]
pub(super) struct Automaton {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
    /// For each first byte: whether any pattern can still match.
    live: [bool; 256],
}

impl Automaton {
    /// Builds it; the patterns are numbered in this order. The message is the library's own.
    pub(super) fn new(patterns: &[&str]) -> Result<Self, String> {
        let anchored: Vec<String> =
            patterns.iter().map(|pattern| format!("{COLOURS}(?:{pattern})")).collect();
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .start_kind(StartKind::Anchored)
                    .match_kind(MatchKind::All)
                    .accelerate(false)
                    .dfa_size_limit(Some(16 << 20))
                    .determinize_size_limit(Some(64 << 20)),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true))
            .build_many(&anchored)
            .map_err(|error| error.to_string())?;
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::Yes))
            .map_err(|error| error.to_string())?;
        let live = std::array::from_fn(|byte| !dfa.is_dead_state(dfa.next_state(start, byte as u8)));
        Ok(Self { dfa, start, live })
    }

    /// Whether a line that begins with `first` can match at all.
    #[inline]
    pub(super) fn may_begin(&self, first: u8) -> bool {
        self.live[usize::from(first)]
    }

    /// Tells `hit` each pattern that matches, by its number and perhaps more than once.
    #[inline]
    pub(super) fn walk(&self, line: &[u8], mut hit: impl FnMut(usize)) {
        let mut state = self.start;
        for (at, &byte) in line.iter().enumerate() {
            state = self.dfa.next_state(state, byte);
            if self.dfa.is_special_state(state) {
                if self.dfa.is_dead_state(state) {
                    work::add(at + 1);
                    return;
                }
                self.hits(state, &mut hit);
            }
        }
        work::add(line.len());
        self.hits(self.dfa.next_eoi_state(state), &mut hit);
    }

    /// Bytes on the heap.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.dfa.memory_usage()
    }

    fn hits(&self, state: StateID, hit: &mut impl FnMut(usize)) {
        if self.dfa.is_match_state(state) {
            for index in 0..self.dfa.match_len(state) {
                hit(self.dfa.match_pattern(state, index).as_usize());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(automaton: &Automaton, line: &str) -> Vec<usize> {
        let mut found = Vec::new();
        automaton.walk(line.as_bytes(), |pattern| {
            if !found.contains(&pattern) {
                found.push(pattern);
            }
        });
        found.sort_unstable();
        found
    }

    #[test]
    fn tells_all_that_match_from_the_line_s_begin() {
        let automaton = Automaton::new(&["ab", "a.*z$", "b", r"\s*$"]).unwrap();
        assert_eq!(matched(&automaton, "abz"), [0, 1]);
        assert_eq!(matched(&automaton, "abc"), [0]);
        assert_eq!(matched(&automaton, "bab"), [2]);
        assert_eq!(matched(&automaton, "\x1b[31mab\x1b[0m"), [0]);
        assert_eq!(matched(&automaton, ""), [3]);
        assert!(matched(&automaton, "cab").is_empty());
        assert!(automaton.may_begin(b'a') && !automaton.may_begin(b'c'));
    }
}
