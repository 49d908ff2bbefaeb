//! What is not delivered yet, and what became of the rest: an account per source that adds up.
//!
//! `written = acknowledged + dropped + dead_letter + truncated + lost + pending`, where `pending` is the lag. The
//! reader adds what it sees written, whoever ends a byte's way says so, and nobody subtracts: so lag and age stay
//! true while nothing moves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use super::lock;
use super::metrics::{Metrics, ResultLabel};
use super::status::FileState;
use crate::event::{Batch, Settled, SourceId, Verdict};

/// What became of a byte of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In the output, stored now or before.
    Acknowledged,
    /// Left out as the configuration asks (a filter, a rate limit), or refused and not kept.
    Dropped,
    /// Refused for good and kept.
    DeadLetter,
    /// Cut off what was too long.
    Truncated,
    /// Gone before it was read.
    Lost,
}

impl Fate {
    const ALL: [Self; 5] = [Self::Acknowledged, Self::Dropped, Self::DeadLetter, Self::Truncated, Self::Lost];

    /// The value of `result` in `skidder_bytes_total`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Dropped => "dropped",
            Self::DeadLetter => "dead_letter",
            Self::Truncated => "truncated",
            Self::Lost => "lost",
        }
    }
}

/// Whose log a source is; empty strings for a plain file. Also the labels of per-container metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
pub struct Owner {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
}

/// Where the reader is in a source: the file that it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The file's path.
    pub path: String,
    /// What the file is.
    pub state: FileState,
    /// The next byte to read.
    pub offset: u64,
    /// The file's (uncompressed) length as last seen.
    pub size: u64,
    /// How many files of the source are still to be read to their end, this one included.
    pub generations: usize,
}

/// The bytes of a source, or of all, since the agent started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// Seen in the files, from where the last run had left off.
    pub written: u64,
    /// See [`Fate::Acknowledged`].
    pub acknowledged: u64,
    /// See [`Fate::Dropped`].
    pub dropped: u64,
    /// See [`Fate::DeadLetter`].
    pub dead_letter: u64,
    /// See [`Fate::Truncated`].
    pub truncated: u64,
    /// See [`Fate::Lost`].
    pub lost: u64,
    /// What remains of `written`: read or not, not yet in any of the others.
    pub pending: u64,
}

impl AddAssign for Accounts {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.acknowledged += other.acknowledged;
        self.dropped += other.dropped;
        self.dead_letter += other.dead_letter;
        self.truncated += other.truncated;
        self.lost += other.lost;
        self.pending += other.pending;
    }
}

/// One source's account. The reader and the output's end each hold it; all are atomics.
#[derive(Debug)]
pub struct Account {
    owner: Owner,
    /// The source is gone: nothing more will be written.
    closed: AtomicBool,
    written: AtomicU64,
    read: AtomicU64,
    ended: [AtomicU64; Fate::ALL.len()],
    /// Of both, what another account has counted before.
    repeated: AtomicU64,
    /// Nanoseconds since 1970 of the oldest event that is in no batch yet; [`NONE`] for none.
    held: AtomicI64,
    reading: Mutex<Reading>,
    complaints: Mutex<Vec<String>>,
    counters: Counters,
}

/// A time that no event has.
const NONE: i64 = i64::MAX;

/// The metrics that an account moves.
#[derive(Clone, Debug)]
struct Counters {
    read_bytes: Counter,
    read_lines: Counter,
    ended: [Counter; Fate::ALL.len()],
    /// Bytes and lines read of the container, when metrics are split by it.
    container: Option<[Counter; 2]>,
}

/// All sources and the batches on their way.
#[derive(Debug)]
pub struct Backlog {
    metrics: Metrics,
    counters: Counters,
    books: Mutex<Books>,
    /// Batches that left the reader and are not settled: the time of their oldest event, by sequence.
    batches: Mutex<BTreeMap<u64, i64>>,
    per_container: Option<PerContainer>,
}

/// All accounts.
#[derive(Debug, Default)]
struct Books {
    /// By source; one that is closed stays until nothing of it is pending.
    accounts: BTreeMap<SourceId, Arc<Account>>,
    /// The sum of those that are gone.
    gone: Accounts,
}

/// `http.per_container_metrics`
#[derive(Debug, Default)]
struct PerContainer {
    read_bytes: Family<Owner, Counter>,
    read_lines: Family<Owner, Counter>,
    lag_bytes: Family<Owner, Gauge>,
}

impl Backlog {
    /// Without sources. `per_container` splits the metrics of reading and lag by container.
    pub fn new(metrics: &Metrics, per_container: bool) -> Arc<Self> {
        let result = |result| ResultLabel { result };
        let counters = Counters {
            read_bytes: metrics.read_bytes.clone(),
            read_lines: metrics.read_lines.clone(),
            ended: Fate::ALL.map(|fate| metrics.bytes.get_or_create_owned(&result(fate.name()))),
            container: None,
        };
        Arc::new(Self {
            metrics: metrics.clone(),
            counters,
            books: Mutex::default(),
            batches: Mutex::default(),
            per_container: per_container.then(PerContainer::default),
        })
    }

    /// Opens the account of a source.
    pub fn open(&self, source: SourceId, owner: Owner) -> Arc<Account> {
        let container = self.per_container.as_ref().map(|metrics| {
            [metrics.read_bytes.get_or_create_owned(&owner), metrics.read_lines.get_or_create_owned(&owner)]
        });
        let account = Arc::new(Account {
            owner,
            closed: AtomicBool::default(),
            written: AtomicU64::default(),
            read: AtomicU64::default(),
            ended: Default::default(),
            repeated: AtomicU64::default(),
            held: AtomicI64::new(NONE),
            reading: Mutex::default(),
            complaints: Mutex::default(),
            counters: Counters { container, ..self.counters.clone() },
        });
        lock(&self.books).accounts.insert(source, Arc::clone(&account));
        account
    }

    /// Closes an account: the source's files are gone and read. It is shown until what is on its way is settled.
    pub fn close(&self, source: SourceId) {
        let mut books = lock(&self.books);
        if let Some(account) = books.accounts.get(&source) {
            account.closed.store(true, Relaxed);
        }
        self.forget_settled(&mut books, source);
    }

    /// Forgets an account that is closed and has nothing pending.
    fn forget_settled(&self, books: &mut Books, source: SourceId) {
        let Entry::Occupied(entry) = books.accounts.entry(source) else { return };
        let sums = entry.get().accounts();
        if !entry.get().closed.load(Relaxed) || sums.pending > 0 {
            return;
        }
        let gone = entry.remove();
        books.gone += sums;
        if let Some(metrics) = &self.per_container
            && books.accounts.values().all(|account| account.owner != gone.owner)
        {
            metrics.read_bytes.remove(&gone.owner);
            metrics.read_lines.remove(&gone.owner);
            metrics.lag_bytes.remove(&gone.owner);
        }
    }

    /// The reader, and with it all that is on its way, begins anew: so do the accounts. What the metrics have counted
    /// stays.
    pub fn begin_again(&self) {
        let mut books = lock(&self.books);
        for account in std::mem::take(&mut books.accounts).into_values() {
            let sums = account.accounts();
            // What is pending is seen again.
            books.gone += Accounts { written: sums.written - sums.pending, pending: 0, ..sums };
        }
        lock(&self.batches).clear();
        if let Some(metrics) = &self.per_container {
            metrics.read_bytes.clear();
            metrics.read_lines.clear();
            metrics.lag_bytes.clear();
        }
    }

    /// A source's account, for as long as it is open.
    pub fn account(&self, source: SourceId) -> Option<Arc<Account>> {
        lock(&self.books).accounts.get(&source).cloned()
    }

    /// A batch leaves the reader.
    pub fn left(&self, batch: &Batch) {
        if let Some(oldest) = batch.oldest {
            lock(&self.batches).insert(batch.sequence, oldest);
        }
    }

    /// The output is done with a batch: counts the bytes of its events. The events themselves the output has counted.
    pub fn settled(&self, settled: &Settled) {
        lock(&self.batches).remove(&settled.batch.sequence);
        let mut books = lock(&self.books);
        for (item, verdict) in settled.batch.items.iter().zip(&settled.verdicts) {
            let fate = match verdict {
                Verdict::Shipped | Verdict::Duplicate => Fate::Acknowledged,
                Verdict::DeadLetter => Fate::DeadLetter,
                Verdict::Dropped => Fate::Dropped,
            };
            match books.accounts.get(&item.source) {
                Some(account) => account.ended(fate, u64::from(item.bytes)),
                None => drop(self.counters.ended[fate as usize].inc_by(u64::from(item.bytes))),
            }
        }
        let closed = |(id, account): (&SourceId, &Arc<Account>)| account.closed.load(Relaxed).then_some(*id);
        let closed: Vec<SourceId> = books.accounts.iter().filter_map(closed).collect();
        for source in closed {
            self.forget_settled(&mut books, source);
        }
    }

    /// Bytes of a source that is gone, and has no account, were lost.
    pub fn lost(&self, bytes: u64) {
        self.counters.ended[Fate::Lost as usize].inc_by(bytes);
        let gone = &mut lock(&self.books).gone;
        gone.written += bytes;
        gone.lost += bytes;
    }

    /// All accounts together, those too that are gone.
    pub fn total(&self) -> Accounts {
        let books = lock(&self.books);
        let mut total = books.gone;
        books.accounts.values().for_each(|account| total += account.accounts());
        total
    }

    /// The time of the oldest event that was read and is not settled, in nanoseconds since 1970.
    pub fn oldest(&self) -> Option<i64> {
        let batches = lock(&self.batches).values().copied().min();
        let held = lock(&self.books).accounts.values().map(|account| account.held.load(Relaxed)).min();
        batches.into_iter().chain(held).min().filter(|&oldest| oldest != NONE)
    }

    /// Each source's owner, what is read of it, and its account.
    pub(super) fn sources(&self) -> Vec<Arc<Account>> {
        lock(&self.books).accounts.values().cloned().collect()
    }

    /// Gives the metrics of reading and lag to `registry`: whole, or split by container.
    pub(super) fn register(&self, registry: &mut Registry) {
        let (bytes, bytes_help) = ("skidder_read_bytes", "Bytes read from log files");
        let (lines, lines_help) = ("skidder_read_lines", "Lines read from log files");
        let (lag, lag_help) =
            ("skidder_lag_bytes", "Bytes of the log files, read or not, not yet acknowledged");
        if let Some(by) = &self.per_container {
            registry.register(bytes, bytes_help, by.read_bytes.clone());
            registry.register(lines, lines_help, by.read_lines.clone());
            registry.register(lag, lag_help, by.lag_bytes.clone());
        } else {
            registry.register(bytes, bytes_help, self.metrics.read_bytes.clone());
            registry.register(lines, lines_help, self.metrics.read_lines.clone());
            registry.register(lag, lag_help, self.metrics.lag_bytes.clone());
        }
    }

    /// Sets the gauges of lag and age as they are at `now` (nanoseconds since 1970).
    pub(super) fn measure(&self, now: i64) {
        let age = self.oldest().map_or(0, |oldest| now.saturating_sub(oldest).max(0));
        self.metrics.oldest_unshipped_seconds.set(age as f64 / 1e9);
        let mut lags = BTreeMap::new();
        for account in lock(&self.books).accounts.values() {
            *lags.entry(account.owner.clone()).or_default() += account.accounts().pending.cast_signed();
        }
        self.metrics.lag_bytes.set(lags.values().sum());
        if let Some(metrics) = &self.per_container {
            for (owner, lag) in lags {
                metrics.lag_bytes.get_or_create_owned(&owner).set(lag);
            }
        }
    }
}

impl Account {
    /// The source's files hold so many bytes more than before (at first: more than were acknowledged by the last
    /// run).
    pub fn grew(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
    }

    /// So much was read.
    pub fn read(&self, bytes: u64, lines: u64) {
        self.read.fetch_add(bytes, Relaxed);
        self.counters.read_bytes.inc_by(bytes);
        self.counters.read_lines.inc_by(lines);
        if let Some([container_bytes, container_lines]) = &self.counters.container {
            container_bytes.inc_by(bytes);
            container_lines.inc_by(lines);
        }
    }

    /// So many bytes came to this end. [`Backlog::settled`] does it for the documents of a batch.
    pub fn ended(&self, fate: Fate, bytes: u64) {
        self.ended[fate as usize].fetch_add(bytes, Relaxed);
        self.counters.ended[fate as usize].inc_by(bytes);
    }

    /// So many bytes had come to their end before this account was opened, and were counted then.
    pub fn had_ended(&self, bytes: u64) {
        self.ended[Fate::Acknowledged as usize].fetch_add(bytes, Relaxed);
        self.repeated.fetch_add(bytes, Relaxed);
    }

    /// The time of the oldest event (nanoseconds since 1970) that was read and is in no batch yet.
    pub fn holds(&self, oldest: Option<i64>) {
        self.held.store(oldest.unwrap_or(NONE), Relaxed);
    }

    /// Shows where the reader is.
    pub fn show(&self, reading: Reading) {
        *lock(&self.reading) = reading;
    }

    /// What the source's pod asks for and does not get, in words; replaces what was said before.
    pub fn complain(&self, complaints: Vec<String>) {
        *lock(&self.complaints) = complaints;
    }

    /// See [`Account::complain`].
    pub(super) fn complaints(&self) -> Vec<String> {
        lock(&self.complaints).clone()
    }

    /// The sums.
    pub fn accounts(&self) -> Accounts {
        // The ends first: bytes are written before they end, so that the difference is never below 0.
        let [acknowledged, dropped, dead_letter, truncated, lost] =
            Fate::ALL.map(|fate| self.ended[fate as usize].load(Relaxed));
        let written = self.written.load(Relaxed);
        let ended = acknowledged + dropped + dead_letter + truncated + lost;
        let pending = written.saturating_sub(ended);
        let repeated = self.repeated.load(Relaxed);
        let (written, acknowledged) =
            (written.saturating_sub(repeated), acknowledged.saturating_sub(repeated));
        Accounts { written, acknowledged, dropped, dead_letter, truncated, lost, pending }
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Where the reader is, as last shown.
    pub fn reading(&self) -> Reading {
        lock(&self.reading).clone()
    }

    /// Bytes read since the agent started.
    pub fn read_bytes(&self) -> u64 {
        self.read.load(Relaxed)
    }
}

#[cfg(test)]
mod tests;
