//! What is shown of several sources, and in which order.

use super::filter::Filter;
use super::merge::{Merge, Tail};
use crate::event::Event;

/// Lets through what the filter takes, in the order of the times; with `--tail` the last few of each source. Once
/// [`View::follow`]ing, as events come.
///
/// Sources are named by an index. The caller reads them in any order, best the one that [`View::wanting`] names;
/// what is shown goes to `show`, with its source.
#[derive(Debug)]
pub struct View {
    filter: Filter,
    order: Order,
}

/// ```text
///  Merged ──┐
///           ├── follow ──▶ Arrival
///  Last ────┘
/// ```
#[derive(Debug)]
enum Order {
    /// As they come.
    Arrival,
    /// By their times.
    Merged(Merge),
    /// The last of each source, kept until all are read.
    Last(Vec<Tail>),
}

impl View {
    /// For so many sources. A single source needs no order, and its events are not copied.
    pub fn new(filter: Filter, sources: usize, tail: Option<usize>) -> Self {
        let order = match (tail, sources) {
            (Some(count), _) => Order::Last((0..sources).map(|_| Tail::new(count)).collect()),
            (None, 0 | 1) => Order::Arrival,
            (None, _) => Order::Merged(Merge::new(sources)),
        };
        Self { filter, order }
    }

    /// The source to read next; `None` when it does not matter.
    pub fn wanting(&self) -> Option<usize> {
        match &self.order {
            Order::Merged(merge) => merge.wanting(),
            Order::Arrival | Order::Last(_) => None,
        }
    }

    /// Takes an event of a source.
    pub fn event(&mut self, source: usize, event: &Event<'_>, show: &mut impl FnMut(usize, &Event<'_>)) {
        let is_taken = self.filter.takes_event(event);
        match &mut self.order {
            Order::Arrival if is_taken => show(source, event),
            Order::Last(tails) if is_taken => tails[source].push(event),
            Order::Merged(merge) => {
                if is_taken {
                    merge.push(source, event);
                } else {
                    merge.pass(source, event);
                }
                drain(merge, show);
            }
            Order::Arrival | Order::Last(_) => {}
        }
    }

    /// A source was read to its end.
    pub fn end(&mut self, source: usize, show: &mut impl FnMut(usize, &Event<'_>)) {
        if let Order::Merged(merge) = &mut self.order {
            merge.end(source);
            drain(merge, show);
        }
    }

    /// All sources were read to their ends: shows what was held back, and from now on events as they come.
    pub fn follow(&mut self, show: &mut impl FnMut(usize, &Event<'_>)) {
        match std::mem::replace(&mut self.order, Order::Arrival) {
            Order::Arrival => {}
            Order::Merged(mut merge) => finish(&mut merge, show),
            Order::Last(tails) => {
                let mut merge = Merge::new(tails.len());
                for (source, tail) in tails.into_iter().enumerate() {
                    tail.finish().for_each(|kept| merge.keep(source, kept));
                }
                finish(&mut merge, show);
            }
        }
    }
}

fn drain(merge: &mut Merge, show: &mut impl FnMut(usize, &Event<'_>)) {
    while let Some((source, kept)) = merge.pop() {
        show(source, &kept.event());
    }
}

fn finish(merge: &mut Merge, show: &mut impl FnMut(usize, &Event<'_>)) {
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
    /// follows, and one more comes from source 0.
    fn shown(words: &[&str], sources: &[&[(i64, &str)]]) -> Vec<String> {
        let args = arguments(words);
        let filter = Filter::new(&args, jiff::Timestamp::UNIX_EPOCH, &jiff::tz::TimeZone::UTC).unwrap();
        let at = |second: &i64| rfc3339(second * 1_000_000_000);
        let mut view = View::new(filter, sources.len(), args.tail);
        let mut out = Vec::new();
        let mut show = |source: usize, event: &Event<'_>| {
            out.push(format!("{source}:{}", String::from_utf8_lossy(event.message)));
        };
        let mut rest: Vec<_> = sources.iter().map(|events| events.iter()).collect();
        let mut open: Vec<usize> = (0..sources.len()).collect();
        while let Some(source) = view.wanting().or_else(|| open.first().copied()) {
            match rest[source].next() {
                Some((second, message)) => {
                    view.event(source, &event(&at(second), Stream::Stdout, message), &mut show);
                }
                None => {
                    open.retain(|one| *one != source);
                    view.end(source, &mut show);
                }
            }
        }
        view.follow(&mut show);
        view.event(0, &event(&at(&0), Stream::Stdout, "late"), &mut show);
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
