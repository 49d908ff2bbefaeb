//! Which backing indices a data stream's documents go to: an id is unique within one of them only, so what may be
//! stored already must be looked up there before it is sent again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::Record;

/// How often an answer is asked for the index. Each time costs some 75 bytes for every document of one request;
/// what is missed in between is found out when something is looked up.
const NAMED_EVERY: Duration = Duration::from_secs(60);
/// How long an index is kept in mind after a younger one was named: what was sent to it may not be settled, or its
/// position not saved.
const KEPT_FOR: Duration = Duration::from_secs(3600);
/// At most so many are kept in mind.
const KEPT: usize = 8;

/// Keeps a record beyond the end of the process; the future ends when it is durable.
pub type Keep = Arc<dyn Fn(Record) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What is remembered of data streams from one run to the next.
#[derive(Clone)]
pub struct Memory {
    /// The indices of each stream that an earlier run may have sent to; see [`Record::Stream`].
    pub streams: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// Where it is kept from now on.
    pub keep: Keep,
}

/// Nothing is known, and nothing is kept.
impl Default for Memory {
    fn default() -> Self {
        Self { streams: BTreeMap::new(), keep: Arc::new(|_| Box::pin(std::future::ready(()))) }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// The data streams that are written to, and their indices.
#[derive(Debug)]
pub struct Backing {
    memory: Memory,
    streams: HashMap<String, State>,
}

/// ```text
/// ─► Wanted ─► Asking ─► Known ◄─ from an earlier run
///      ▲─trouble─┘
/// ```
#[derive(Debug)]
enum State {
    /// Its write index is to be asked for before the first document is sent.
    Wanted,
    /// Asked for.
    Asking,
    /// Known, as far as it can be.
    Known {
        /// The older ones of which something may be unsettled, the oldest first, and when each was superseded.
        older: VecDeque<(Arc<str>, Instant)>,
        /// The one that was named last; `None` where none was.
        current: Option<Arc<str>>,
        /// When an answer last named it.
        named: Option<Instant>,
    },
}

impl State {
    /// These are known, and of each something may be unsettled.
    fn known(indices: &[Arc<str>]) -> Self {
        let now = Instant::now();
        let (current, older) = indices.split_last().unzip();
        let older = older.unwrap_or_default().iter().map(|index| (Arc::clone(index), now));
        Self::Known { older: older.collect(), current: current.cloned(), named: None }
    }
}

impl Backing {
    /// Begins with what was remembered.
    pub fn new(memory: Memory) -> Self {
        // A stream that was not there when it was first sent to may be there by now.
        let known = memory.streams.iter().filter(|(_, indices)| !indices.is_empty());
        let streams = known.map(|(name, indices)| (name.to_string(), State::known(indices)));
        Self { streams: streams.collect(), memory }
    }

    /// A document is bound for `stream`.
    pub fn want(&mut self, stream: &str) {
        if !self.streams.contains_key(stream) {
            self.streams.insert(stream.to_owned(), State::Wanted);
        }
    }

    /// The next to ask for; the caller does.
    pub fn next(&mut self) -> Option<String> {
        let (stream, state) = self.streams.iter_mut().find(|(_, state)| matches!(state, State::Wanted))?;
        *state = State::Asking;
        Some(stream.clone())
    }

    /// It could not be asked for: to be asked for again.
    pub fn failed(&mut self, stream: String) {
        self.streams.insert(stream, State::Wanted);
    }

    /// How many of all indices of `stream` count, the youngest: what an earlier run has sent may be in any, else only
    /// the last is written to by us.
    pub fn of_concern(&self, stream: &str) -> usize {
        if self.of_earlier_run(stream).is_some() { KEPT } else { 1 }
    }

    /// What is known of `stream` before its first document.
    pub fn asked(&mut self, stream: String, indices: &[Arc<str>]) {
        self.streams.insert(stream, State::known(indices));
    }

    /// Whether documents may go to `stream`; always for what is no data stream.
    pub fn let_through(&self, stream: &str) -> bool {
        !matches!(self.streams.get(stream), Some(State::Wanted | State::Asking))
    }

    /// The index of `stream` that what is sent now goes to, as far as is known; or else to a younger one.
    pub fn current(&self, stream: &str) -> Option<&Arc<str>> {
        match self.streams.get(stream)? {
            State::Known { current, .. } => current.as_ref(),
            State::Wanted | State::Asking => None,
        }
    }

    /// The indices that an earlier run may have sent to; `None` when it never sent anything to `stream`.
    pub fn of_earlier_run(&self, stream: &str) -> Option<&[Arc<str>]> {
        self.memory.streams.get(stream).map(Vec::as_slice)
    }

    /// Whether the next answer is to name the index.
    pub fn is_to_be_named(&self, stream: &str, now: Instant) -> bool {
        match self.streams.get(stream) {
            Some(State::Known { named, .. }) => named.is_none_or(|at| now >= at + NAMED_EVERY),
            _ => false,
        }
    }

    /// An acknowledged document is in `index`.
    pub fn named(&mut self, stream: &str, index: &str, now: Instant) {
        let Some(State::Known { older, current, named }) = self.streams.get_mut(stream) else { return };
        *named = Some(now);
        if current.as_deref() == Some(index) {
            return;
        }
        older.extend(current.replace(index.into()).map(|superseded| (superseded, now)));
        while older.len() >= KEPT || older.front().is_some_and(|(_, since)| now >= *since + KEPT_FOR) {
            older.pop_front();
        }
        let indices: Vec<_> =
            older.iter().map(|(index, _)| Arc::clone(index)).chain(current.clone()).collect();
        // Late is good enough: until then the one before is looked in, and all that are younger.
        tokio::spawn((self.memory.keep)(record(stream, &indices)));
    }

    /// Where [`record`]s are kept.
    pub fn keep(&self) -> Keep {
        Arc::clone(&self.memory.keep)
    }
}

/// That `stream` may have been sent to, and what is known of it.
pub fn record(stream: &str, indices: &[Arc<str>]) -> Record {
    Record::Stream { name: stream.into(), indices: indices.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(backing: &Backing) -> Vec<String> {
        let State::Known { older, current, .. } = &backing.streams["s"] else { panic!("not known") };
        older.iter().map(|(index, _)| index).chain(current).map(ToString::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn an_index_is_kept_in_mind_for_an_hour() {
        let mut backing = Backing::new(Memory::default());
        backing.want("s");
        assert!(!backing.let_through("s"));
        assert_eq!(backing.next().as_deref(), Some("s"));
        backing.asked("s".into(), &["s-2".into()]);
        assert!(backing.let_through("s") && backing.let_through("another"));
        assert_eq!(kept(&backing), ["s-2"]);
        let now = Instant::now();
        assert!(backing.is_to_be_named("s", now));
        backing.named("s", "s-3", now);
        assert!(!backing.is_to_be_named("s", now) && backing.is_to_be_named("s", now + NAMED_EVERY));
        assert_eq!(kept(&backing), ["s-2", "s-3"]);
        backing.named("s", "s-4", now + Duration::from_secs(1800));
        assert_eq!(kept(&backing), ["s-2", "s-3", "s-4"]);
        backing.named("s", "s-5", now + KEPT_FOR);
        assert_eq!(kept(&backing), ["s-3", "s-4", "s-5"]);
        for number in 6..30 {
            backing.named("s", &format!("s-{number}"), now + KEPT_FOR);
        }
        assert_eq!(kept(&backing).len(), KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_earlier_run_left() {
        let streams = [("new".into(), Vec::new()), ("s".into(), vec!["s-7".into(), "s-8".into()])];
        let mut backing = Backing::new(Memory { streams: streams.into(), ..Memory::default() });
        backing.want("s");
        assert_eq!(backing.next(), None);
        assert_eq!(backing.current("s").map(|index| &**index), Some("s-8"));
        backing.want("new");
        assert_eq!(backing.next().as_deref(), Some("new"), "it may be there by now");
        assert_eq!((backing.of_concern("new"), backing.of_concern("never")), (KEPT, 1));
    }
}
