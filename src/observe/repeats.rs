//! Each error once, and then counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many different things are remembered; beyond, the one said longest ago is forgotten.
const CAPACITY: usize = 1_000;

/// Tells whether a thing was said already, so that a fault that comes a thousand times a second is one line in the
/// log, and one more each `every` with a count.
#[derive(Debug)]
pub struct Repeats {
    every: Duration,
    said: HashMap<String, Last>,
}

#[derive(Debug)]
struct Last {
    at: Instant,
    /// Times since then that nothing was said.
    silent: u64,
}

/// Whether to say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is new: say it.
    First,
    /// It was said `every` ago or longer: say that it came this often since, this time included.
    Again(u64),
    /// It was said just now: say nothing.
    Already,
}

impl Repeats {
    /// Says a thing again after `every`, if it comes again.
    pub fn new(every: Duration) -> Self {
        Self { every, said: HashMap::new() }
    }

    /// A thing happened. `what` names it: leave out what differs from time to time (offsets, durations), keep what
    /// makes it another thing (the file, the status).
    pub fn note(&mut self, what: &str, now: Instant) -> Said {
        if let Some(last) = self.said.get_mut(what) {
            last.silent += 1;
            if now.saturating_duration_since(last.at) < self.every {
                return Said::Already;
            }
            let times = last.silent;
            *last = Last { at: now, silent: 0 };
            return Said::Again(times);
        }
        if self.said.len() >= CAPACITY {
            self.forget_oldest();
        }
        self.said.insert(what.to_owned(), Last { at: now, silent: 0 });
        Said::First
    }

    /// It is over: the next time it is new. Returns how often it came that was not said, or `None` when it never
    /// came.
    pub fn over(&mut self, what: &str) -> Option<u64> {
        self.said.remove(what).map(|last| last.silent)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.said.iter().min_by_key(|(_, last)| last.at).map(|(what, _)| what.clone());
        if let Some(what) = oldest {
            self.said.remove(&what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_a_thing_once_and_then_how_often() {
        let start = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(60));
        assert_eq!(repeats.note("403", start), Said::First);
        assert_eq!(repeats.note("403", start), Said::Already);
        assert_eq!(repeats.note("503", start), Said::First);
        assert_eq!(repeats.note("403", start + Duration::from_secs(59)), Said::Already);
        assert_eq!(repeats.note("403", start + Duration::from_secs(60)), Said::Again(3));
        assert_eq!(repeats.note("403", start + Duration::from_secs(61)), Said::Already);
        assert_eq!(repeats.over("403"), Some(1));
        assert_eq!(repeats.over("403"), None);
        assert_eq!(repeats.note("403", start + Duration::from_secs(62)), Said::First);
    }

    #[test]
    fn remembers_a_bounded_number() {
        let start = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(60));
        for number in 0..=CAPACITY as u64 {
            repeats.note(&number.to_string(), start + Duration::from_millis(number));
        }
        assert_eq!(repeats.said.len(), CAPACITY);
        assert_eq!(repeats.note("0", start), Said::First, "the oldest was forgotten");
        assert_eq!(repeats.note("1000", start), Said::Already);
    }
}
