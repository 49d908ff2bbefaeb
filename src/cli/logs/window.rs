//! What several followed logs give within a moment, in the order of its times.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::merge::Kept;
use crate::event::{Event, time};

/// How long an event waits for older ones of other logs: their writers, and our reading of them in turn, are no further
/// apart. Nobody who looks notices it.
const MOMENT: Duration = Duration::from_millis(200);

/// So many events wait at the most; what comes so fast cannot be read by a person anyhow.
const MOST: usize = 20_000;

/// Events that wait for older ones. Within a source the order stays as it is, even where times step back.
#[derive(Debug, Default)]
pub struct Window {
    /// By time, then as they came.
    waiting: BTreeMap<(i64, u64), Waiting>,
    came: u64,
    /// The time of the last event of each source.
    reached: HashMap<usize, i64>,
}

#[derive(Debug)]
struct Waiting {
    source: usize,
    kept: Kept,
    until: Instant,
}

impl Window {
    /// An event of a source.
    pub fn push(&mut self, source: usize, event: &Event<'_>, now: Instant) {
        let reached = self.reached.entry(source).or_insert(i64::MIN);
        *reached = time::nanos(event.time).unwrap_or(*reached).max(*reached);
        let waiting = Waiting { source, kept: Kept::from(event), until: now + MOMENT };
        self.waiting.insert((*reached, self.came), waiting);
        self.came += 1;
    }

    /// Shows what has waited, and what is older.
    pub fn pass(&mut self, now: Instant, show: &mut impl FnMut(usize, &Event<'_>)) {
        let over = self.waiting.iter().rev().find(|(_, waiting)| waiting.until <= now).map(|(key, _)| *key);
        while let Some(first) = self.waiting.first_entry()
            && (over.is_some_and(|over| *first.key() <= over) || first.key().1 + (MOST as u64) < self.came)
        {
            let Waiting { source, kept, .. } = first.remove();
            show(source, &kept.event());
        }
    }

    /// Shows all.
    pub fn flush(&mut self, show: &mut impl FnMut(usize, &Event<'_>)) {
        for Waiting { source, kept, .. } in std::mem::take(&mut self.waiting).into_values() {
            show(source, &kept.event());
        }
    }

    /// When [`Window::pass`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|waiting| waiting.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::event;
    use super::*;
    use crate::event::Stream;
    use crate::event::time::rfc3339;

    #[test]
    fn what_comes_within_a_moment_is_ordered() {
        let (mut window, start, mut shown) = (Window::default(), Instant::now(), Vec::new());
        let mut come = |source, second: i64, message: &str, at| {
            window.push(source, &event(&rfc3339(second * 1_000_000_000), Stream::Stdout, message), at);
        };
        come(0, 5, "c", start);
        come(1, 3, "a", start + MOMENT / 2);
        come(1, 2, "b", start + MOMENT / 2);
        come(1, 9, "d", start + MOMENT / 2);
        let mut show =
            |_: usize, event: &Event<'_>| shown.push(String::from_utf8_lossy(event.message).into_owned());
        window.pass(start, &mut show);
        assert_eq!(window.due(), Some(start + MOMENT));
        window.pass(start + MOMENT, &mut show);
        assert_eq!(window.due(), Some(start + MOMENT * 3 / 2));
        window.flush(&mut show);
        assert_eq!(window.due(), None);
        assert_eq!(shown, ["a", "b", "c", "d"], "b is a's neighbour, whatever its time");
    }
}
