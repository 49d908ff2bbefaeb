//! The keeper's work without its thread: what to write, when, and what to do when the disk refuses.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::disk::Disk;
use super::keeper::News;
use super::ledger::Ledger;
use super::store::Store;
use crate::event::{Receipt, Record};

/// The first pause after a write that failed; it doubles with each further failure.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What the keeper is asked to do.
pub(super) enum Order {
    /// Make these durable, then answer.
    Durable(Vec<Record>, oneshot::Sender<()>),
    /// Write these with the next positions.
    Note(Vec<Record>),
    /// The output is done with these.
    Settled(Vec<Receipt>),
    /// Make all durable, answer how that went, and end.
    Stop(oneshot::Sender<io::Result<()>>),
}

/// Owns the ledger and the store.
pub(super) struct Clerk<D, F> {
    store: Store<D>,
    ledger: Ledger,
    /// How long a moved position may wait to be written.
    interval: Duration,
    /// Records not written yet, in the order in which they came.
    noted: Vec<Record>,
    /// Who waits until all of `noted` is durable.
    waiting: Vec<oneshot::Sender<()>>,
    /// When `noted` and the moved positions are to be written though nobody waits; `None` when there are none.
    due: Option<Instant>,
    /// The disk refuses.
    trouble: Option<Trouble>,
    news: F,
}

/// A disk that refuses.
struct Trouble {
    /// The pause after the last try.
    pause: Duration,
    /// When to try again.
    retry: Instant,
}

impl<D: Disk, F: FnMut(News<'_>)> Clerk<D, F> {
    pub(super) fn new(store: Store<D>, interval: Duration, news: F) -> Self {
        Self {
            store,
            ledger: Ledger::new(),
            interval,
            noted: Vec::new(),
            waiting: Vec::new(),
            due: None,
            trouble: None,
            news,
        }
    }

    /// Takes records that somebody waits for.
    pub(super) fn durable(&mut self, records: Vec<Record>, done: oneshot::Sender<()>, now: Instant) {
        self.note(records, now);
        self.waiting.push(done);
    }

    /// Takes records that nobody waits for.
    pub(super) fn note(&mut self, records: Vec<Record>, now: Instant) {
        for record in &records {
            if let Record::Forget { source } = record {
                self.ledger.forget(source);
            }
        }
        self.noted.extend(records);
        self.due.get_or_insert(now + self.interval);
    }

    /// Takes receipts.
    pub(super) fn settled(&mut self, receipts: Vec<Receipt>, now: Instant) {
        for receipt in receipts {
            if let Some(at) = self.ledger.settle(receipt) {
                (self.news)(News::Settled(at));
                self.due.get_or_insert(now + self.interval);
            }
        }
    }

    /// Writes what is to be written by now. Returns when it wants to be asked again; `None`: not before the next
    /// order.
    pub(super) fn work(&mut self, now: Instant) -> Option<Instant> {
        let wanted = !self.waiting.is_empty() || self.due.is_some_and(|due| due <= now);
        let paused = self.trouble.as_ref().is_some_and(|trouble| now < trouble.retry);
        if wanted && !paused {
            match self.write(!self.waiting.is_empty()) {
                Ok(()) => self.written(),
                Err(error) => self.refused(&error, now),
            }
        }
        self.trouble.as_ref().map(|trouble| trouble.retry).or(self.due)
    }

    /// Makes all durable, with one try.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.write(true)?;
        self.written();
        Ok(())
    }

    /// The thread is alive.
    pub(super) fn alive(&mut self) {
        (self.news)(News::Alive);
    }

    /// One write for all that is noted, all who wait and all that moved.
    fn write(&mut self, durable: bool) -> io::Result<()> {
        let noted = self.noted.len();
        // Positions last: what they name was registered before them.
        self.noted.extend(self.ledger.advanced().map(position));
        self.store.append(&self.noted, durable).inspect_err(|_| self.noted.truncate(noted))
    }

    fn written(&mut self) {
        self.noted.clear();
        self.due = None;
        self.ledger.advanced().for_each(|receipt| (self.news)(News::Saved(receipt)));
        self.ledger.remembered();
        for done in mem::take(&mut self.waiting) {
            // Whoever stopped waiting does not mind.
            let _ = done.send(());
        }
        if self.trouble.take().is_some() {
            (self.news)(News::Recovered);
        }
        if let Err(error) = self.store.compact_if_due() {
            (self.news)(News::NotCompacted(&error));
        }
    }

    fn refused(&mut self, error: &io::Error, now: Instant) {
        let pause = self.trouble.as_ref().map_or(PAUSE, |trouble| LONGEST_PAUSE.min(trouble.pause * 2));
        self.trouble = Some(Trouble { pause, retry: now + pause });
        (self.news)(News::Refused(error));
    }
}

fn position(receipt: &Receipt) -> Record {
    Record::Position {
        source: receipt.key.clone(),
        key: receipt.generation,
        offset: receipt.offset,
        anchor: receipt.anchor,
    }
}

#[cfg(test)]
mod tests;
