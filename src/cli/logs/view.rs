//! What is shown of several sources, and in which order.

use std::collections::BTreeSet;
use std::time::Instant;

use super::filter::Filter;
use super::merge::{Merge, Tail};
use super::window::Window;
use crate::cli::pretty::PrettySubject;
use crate::event::Event;

/// Lets through what the filter takes, in the order of the times; with `--tail` the last few of each source. Once all
/// sources were read to their ends, as events come.
///
/// Sources are named by an index. The caller reads them in any order, best the one that [`View::wanting`] names;
/// what is shown goes to `show`, with its source.
#[derive(Debug)]
pub struct View {
    filter: Filter,
    order: Order,
    /// Sources that were not read to their ends yet.
    unread: BTreeSet<usize>,
    /// Whether they are followed, so that of several the order matters after their ends too.
    follows: bool,
    /// How many sources were opened.
    opened: usize,
}

/// ```text
///  Merged ──┐ all read               several, followed
///           ├──────────────▶ Arrival ───────────────────▶ Moment
///  Last ────┘ to their ends
/// ```
#[derive(Debug)]
enum Order {
    /// As they come.
    Arrival,
    /// By their times.
    Merged(Merge),
    /// The last so many of each source, kept until all are read.
    Last(usize, Vec<Tail>),
    /// By their times, as far as they come together.
    Moment(Window),
}

impl View {
    /// For so many sources, each of which is then [opened](View::open). A single source needs no order, and its events
    /// are not copied.
    pub fn new(filter: Filter, sources: usize, tail: Option<usize>) -> Self {
        let order = match (tail, sources) {
            (Some(count), _) => Order::Last(count, Vec::new()),
            (None, 0 | 1) => Order::Arrival,
            (None, _) => Order::Merged(Merge::default()),
        };
        Self { filter, order, unread: BTreeSet::new(), follows: false, opened: 0 }
    }

    /// The sources are followed.
    pub fn follow(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Whether anything of a source may be shown.
    pub fn takes_source(&self, subject: &PrettySubject<'_>) -> bool {
        self.filter.takes_source(subject)
    }

    /// A source will be read. One that comes while others were read to their ends is shown as it comes.
    pub fn open(&mut self, source: usize) {
        self.unread.insert(source);
        self.opened += 1;
        match &mut self.order {
            Order::Arrival if self.follows && self.opened > 1 => {
                self.order = Order::Moment(Window::default())
            }
            Order::Arrival | Order::Moment(_) => {}
            Order::Merged(merge) => merge.open(source),
            Order::Last(count, tails) => {
                let needed = tails.len().max(source + 1);
                tails.resize_with(needed, || Tail::new(*count));
            }
        }
    }

    /// The source to read next; `None` when it does not matter.
    pub fn wanting(&self) -> Option<usize> {
        match &self.order {
            Order::Merged(merge) => merge.wanting(),
            Order::Arrival | Order::Last(..) | Order::Moment(_) => None,
        }
    }

    /// Takes an event of a source.
    pub fn event(
        &mut self,
        source: usize,
        event: &Event<'_>,
        now: Instant,
        show: &mut impl FnMut(usize, &Event<'_>),
    ) {
        let is_taken = self.filter.takes_event(event);
        match &mut self.order {
            Order::Arrival if is_taken => show(source, event),
            Order::Last(_, tails) if is_taken => tails[source].push(event),
            Order::Merged(merge) => {
                if is_taken {
                    merge.push(source, event);
                } else {
                    merge.pass(source, event);
                }
                drain(merge, show);
            }
            Order::Moment(window) if is_taken => window.push(source, event, now),
            Order::Arrival | Order::Last(..) | Order::Moment(_) => {}
        }
    }

    /// Shows what waits no longer; with `at_end`, all that was read of followed sources.
    pub fn pass(&mut self, now: Instant, at_end: bool, show: &mut impl FnMut(usize, &Event<'_>)) {
        match &mut self.order {
            Order::Moment(window) if at_end => window.flush(show),
            Order::Moment(window) => window.pass(now, show),
            _ => {}
        }
    }

    /// When [`View::pass`] has something to do.
    pub fn due(&self) -> Option<Instant> {
        match &self.order {
            Order::Moment(window) => window.due(),
            _ => None,
        }
    }

    /// A source was read to its end. After the last one, what was held back is shown, and from then on events as they
    /// come. Returns whether that was new.
    pub fn end(&mut self, source: usize, show: &mut impl FnMut(usize, &Event<'_>)) -> bool {
        if !self.unread.remove(&source) {
            return false;
        }
        if let Order::Merged(merge) = &mut self.order {
            merge.end(source);
            drain(merge, show);
        }
        if self.unread.is_empty() {
            self.finish(show);
        }
        true
    }

    fn finish(&mut self, show: &mut impl FnMut(usize, &Event<'_>)) {
        let next = match self.follows && self.opened > 1 {
            true => Order::Moment(Window::default()),
            false => Order::Arrival,
        };
        match std::mem::replace(&mut self.order, next) {
            Order::Arrival => {}
            // A source that came later was read to its end.
            Order::Moment(window) => self.order = Order::Moment(window),
            Order::Merged(mut merge) => flush(&mut merge, show),
            Order::Last(_, tails) => {
                let mut merge = Merge::new(tails.len());
                for (source, tail) in tails.into_iter().enumerate() {
                    tail.finish().for_each(|kept| merge.keep(source, kept));
                }
                flush(&mut merge, show);
            }
        }
    }
}

fn drain(merge: &mut Merge, show: &mut impl FnMut(usize, &Event<'_>)) {
    while let Some((source, kept)) = merge.pop() {
        show(source, &kept.event());
    }
}

fn flush(merge: &mut Merge, show: &mut impl FnMut(usize, &Event<'_>)) {
    merge.end_all();
    drain(merge, show);
}

#[cfg(test)]
mod tests {
    use super::super::samples::{arguments, event};
    use super::*;
    use crate::event::Stream;
    use crate::event::time::rfc3339;

    /// Shows the events of sources, each a list of (second, message), read as they are wanted, else in turn; then
    /// one more comes from source 0.
    fn shown(words: &[&str], sources: &[&[(i64, &str)]]) -> Vec<String> {
        let args = arguments(words);
        let filter = Filter::new(&args, jiff::Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC).unwrap();
        let at = |second: &i64| rfc3339(second * 1_000_000_000);
        let mut view = View::new(filter, sources.len(), args.tail);
        (0..sources.len()).for_each(|source| view.open(source));
        let mut out = Vec::new();
        let mut show = |source: usize, event: &Event<'_>| {
            out.push(format!("{source}:{}", String::from_utf8_lossy(event.message)));
        };
        let mut rest: Vec<_> = sources.iter().map(|events| events.iter()).collect();
        let mut open: Vec<usize> = (0..sources.len()).collect();
        while let Some(source) = view.wanting().or_else(|| open.first().copied()) {
            match rest[source].next() {
                Some((second, message)) => {
                    let now = Instant::now();
                    view.event(source, &event(&at(second), Stream::Stdout, message), now, &mut show);
                }
                None => {
                    open.retain(|one| *one != source);
                    view.end(source, &mut show);
                }
            }
        }
        view.event(0, &event(&at(&0), Stream::Stdout, "late"), Instant::now(), &mut show);
        out
    }

    const TWO: [&[(i64, &str)]; 2] = [&[(1, "a"), (4, "b"), (5, "c")], &[(2, "x"), (3, "y"), (9, "z")]];

    #[test]
    fn several_sources_by_time_then_as_they_come() {
        assert_eq!(shown(&[], &TWO), ["0:a", "1:x", "1:y", "0:b", "0:c", "1:z", "0:late"]);
    }

    #[test]
    fn the_last_of_each_source_by_time() {
        assert_eq!(shown(&["--tail=1"], &TWO), ["0:c", "1:z", "0:late"]);
        assert_eq!(shown(&["--tail=2"], &TWO), ["1:y", "0:b", "0:c", "1:z", "0:late"]);
        assert_eq!(shown(&["--tail=0"], &TWO), ["0:late"]);
    }

    #[test]
    fn the_last_of_what_the_filter_takes() {
        assert_eq!(shown(&["--tail=1", "--grep=[abx]"], &TWO), ["1:x", "0:b", "0:late"]);
    }

    #[test]
    fn one_source_as_it_comes() {
        assert_eq!(shown(&[], &[&[(5, "a"), (1, "b")]]), ["0:a", "0:b", "0:late"]);
    }
}
