//! Many patterns, one pass: an automaton over the rules that are asked of a line together.
//!
//! It is built state by state, as lines lead there: all of it would take megabytes and most of a second, and nearly
//! all lines of a node stay in a few of its states.

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::hybrid::{BuildError, LazyStateID};
use regex_automata::nfa::thompson;
use regex_automata::util::pool::Pool;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::work;

/// How much the states of one automaton may take, in bytes; when they take more they are forgotten and made anew.
/// The traces of all languages in turn take a third of it.
const CACHE: usize = 1 << 20;

/// Patterns that all begin where the line begins, or after colours there: loggers write them even where nobody sees
/// them.
#[derive(Debug)]
pub(super) struct Automaton {
    dfa: DFA,
    /// Its states so far: for the thread that asks first one at hand, for each other thread its own.
    caches: Pool<Cache, Make>,
    /// For each first byte: whether any pattern can still match.
    live: [bool; 256],
}

/// Makes the states of a thread.
type Make = Box<dyn Fn() -> Cache + Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>;

impl Automaton {
    /// Builds it; the patterns are numbered in this order. The message is the library's own.
    pub(super) fn new(patterns: &[&str]) -> Result<Self, String> {
        let said = |error: BuildError| error.to_string();
        let dfa = DFA::builder()
            .configure(
                DFA::config()
                    .match_kind(MatchKind::All)
                    .cache_capacity(CACHE)
                    .skip_cache_capacity_check(true),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true))
            .thompson(thompson::Config::new().utf8(false))
            .build_many(patterns)
            .map_err(said)?;
        let live = live(&dfa).map_err(|error| error.to_string())?;
        let states = dfa.clone();
        Ok(Self { dfa, caches: Pool::new(Box::new(move || states.create_cache())), live })
    }

    /// Whether a line that begins with `first` can match at all.
    #[inline]
    pub(super) fn may_begin(&self, first: u8) -> bool {
        self.live[usize::from(first)]
    }

    /// Tells `hit` each pattern that matches, by its number and perhaps more than once.
    #[inline]
    pub(super) fn walk(&self, line: &[u8], mut hit: impl FnMut(usize)) {
        let line = uncoloured(line);
        // Taken out of its guard once, not for each byte.
        let mut guard = self.caches.get();
        let cache: &mut Cache = &mut guard;
        // There always is a next state: the cache is cleared, never given up.
        let Ok(mut state) = self.dfa.start_state(cache, &start()) else { return };
        for (at, &byte) in line.iter().enumerate() {
            // Nearly all states are plain ones that are known: between them there is nothing to be found out.
            let known = (!state.is_tagged()).then(|| self.dfa.next_state_untagged(cache, state, byte));
            state = match known.filter(|next| !next.is_unknown()) {
                Some(next) => next,
                None => match self.dfa.next_state(cache, state, byte) {
                    Ok(next) => next,
                    Err(_) => return,
                },
            };
            if state.is_tagged() {
                if state.is_dead() {
                    work::add(at + 1);
                    return;
                }
                self.hits(cache, state, &mut hit);
            }
        }
        work::add(line.len());
        if let Ok(end) = self.dfa.next_eoi_state(cache, state) {
            self.hits(cache, end, &mut hit);
        }
    }

    /// Bytes on the heap, once these states are known.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.dfa.memory_usage() + self.caches.get().memory_usage()
    }

    fn hits(&self, cache: &Cache, state: LazyStateID, hit: &mut impl FnMut(usize)) {
        if state.is_match() {
            for index in 0..self.dfa.match_len(cache, state) {
                hit(self.dfa.match_pattern(cache, state, index).as_usize());
            }
        }
    }
}

fn start() -> start::Config {
    start::Config::new().anchored(Anchored::Yes)
}

/// Tries each first byte.
fn live(dfa: &DFA) -> Result<[bool; 256], Box<dyn std::error::Error>> {
    let (mut cache, mut live) = (dfa.create_cache(), [false; 256]);
    let classes = dfa.byte_classes();
    let mut by_class = [None; 256];
    for byte in 0..=u8::MAX {
        let known = &mut by_class[usize::from(classes.get(byte))];
        live[usize::from(byte)] = match *known {
            Some(is_live) => is_live,
            None => {
                let begin = dfa.start_state(&mut cache, &start())?;
                *known.insert(!dfa.next_state(&mut cache, begin, byte)?.is_dead())
            }
        };
    }
    // Colours are stepped over.
    live[usize::from(ESCAPE)] = true;
    Ok(live)
}

const ESCAPE: u8 = 0x1b;

/// The line without the colours (`ESC [ 1;31 m`) that it begins with.
fn uncoloured(mut line: &[u8]) -> &[u8] {
    while let [ESCAPE, b'[', rest @ ..] = line {
        let parameters = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';')).count();
        match &rest[parameters..] {
            [b'm', rest @ ..] => line = rest,
            _ => break,
        }
    }
    line
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
