//! The one owner of ledger and store, on a thread of its own, as the disk may make it wait.

use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::clerk::{Clerk, Order};
use super::disk::Disk;
use super::store::Store;
use crate::event::{Receipt, Record};

/// How often the thread at least turns, so that its heartbeat can be told from a disk that hangs.
const TURN: Duration = Duration::from_secs(1);

/// A handle to the keeper of the checkpoint. Cheap to clone; when the last is dropped the keeper writes what it has
/// and ends.
#[derive(Clone, Debug)]
pub struct Keeper {
    /// `None`: nothing is kept.
    orders: Option<Sender<Order>>,
}

/// What the keeper tells while it works, on its own thread: be quick.
#[derive(Debug)]
pub enum News<'a> {
    /// The thread turned; it does so every second at least, unless the disk hangs.
    Alive,
    /// A source stands here now: all before is delivered. Not saved yet.
    Settled(&'a Receipt),
    /// That a source stands here is written (it survives the death of the process; of the machine, a little later).
    Saved(&'a Receipt),
    /// A write failed; it is tried again, and what must be durable waits. Told at each try.
    Refused(&'a io::Error),
    /// A write succeeded after [`News::Refused`].
    Recovered,
    /// The file could not be written anew and grows on; nothing is lost.
    NotCompacted(&'a io::Error),
}

/// The keeper ended before it could make durable what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the checkpoint is closed")]
pub struct Stopped;

impl Keeper {
    /// Starts the keeper's thread. A position that moved is written within `interval`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start<D: Disk + Send + 'static>(
        store: Store<D>,
        interval: Duration,
        news: impl FnMut(News<'_>) + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (orders, inbox) = mpsc::channel();
        let clerk = Clerk::new(store, interval, news);
        let thread = thread::Builder::new().name("checkpoint".into()).spawn(move || keep(clerk, &inbox))?;
        Ok((Self { orders: Some(orders) }, thread))
    }

    /// A keeper that keeps nothing: for reading without a `data_dir`.
    pub fn forgetful() -> Self {
        Self { orders: None }
    }

    /// Returns when the records, and all given before them, survive a power loss. Calls that wait at the same time
    /// share one write. A full disk makes it wait, never fail.
    ///
    /// # Errors
    /// [`Stopped`]: the keeper ended first, and the records may be lost.
    pub async fn durable(&self, records: Vec<Record>) -> Result<(), Stopped> {
        let Some(orders) = &self.orders else { return Ok(()) };
        let (done, answer) = oneshot::channel();
        orders.send(Order::Durable(records, done)).map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// As [`Keeper::durable`], for a thread that may wait.
    ///
    /// # Errors
    /// As there.
    pub fn durable_blocking(&self, records: Vec<Record>) -> Result<(), Stopped> {
        let Some(orders) = &self.orders else { return Ok(()) };
        let (done, answer) = oneshot::channel();
        orders.send(Order::Durable(records, done)).map_err(|_| Stopped)?;
        answer.blocking_recv().map_err(|_| Stopped)
    }

    /// Writes the records with the next positions; nothing waits for them.
    pub fn note(&self, records: Vec<Record>) {
        self.tell(Order::Note(records));
    }

    /// The output is done with what these receipts stand for.
    pub fn settled(&self, receipts: Vec<Receipt>) {
        if !receipts.is_empty() {
            self.tell(Order::Settled(receipts));
        }
    }

    /// Makes all durable that was given before, and ends the keeper, whoever else holds a handle.
    ///
    /// # Errors
    /// When the disk refuses; the keeper ends all the same.
    pub async fn flush_and_stop(self) -> io::Result<()> {
        let Some(orders) = self.orders else { return Ok(()) };
        let (done, answer) = oneshot::channel();
        let stopped = || io::Error::other(Stopped);
        orders.send(Order::Stop(done)).map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// A keeper that ended takes no orders; who must know asks with [`Keeper::durable`].
    fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }
}

/// The thread: takes all orders there are, then works, then waits.
fn keep<D: Disk, F: FnMut(News<'_>)>(mut clerk: Clerk<D, F>, inbox: &Receiver<Order>) {
    let mut wake = None;
    loop {
        clerk.alive();
        match inbox.recv_timeout(patience(wake)) {
            Ok(order) => {
                for order in std::iter::once(order).chain(inbox.try_iter()) {
                    if obey(&mut clerk, order).is_break() {
                        return;
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                // Nobody is left to be told; positions that are too old are safe.
                let _ = clerk.finish();
                return;
            }
        }
        wake = clerk.work(Instant::now());
    }
}

fn patience(wake: Option<Instant>) -> Duration {
    wake.map_or(TURN, |wake| TURN.min(wake.saturating_duration_since(Instant::now())))
}

fn obey<D: Disk, F: FnMut(News<'_>)>(clerk: &mut Clerk<D, F>, order: Order) -> ControlFlow<()> {
    let now = Instant::now();
    match order {
        Order::Durable(records, done) => clerk.durable(records, done, now),
        Order::Note(records) => clerk.note(records, now),
        Order::Settled(receipts) => clerk.settled(receipts, now),
        Order::Stop(done) => {
            let _ = done.send(clerk.finish());
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use jiff::Timestamp;
    use tokio::task::JoinSet;

    use super::super::wreck::Wreck;
    use super::*;
    use crate::event::{GenerationKey, SourceId, SourceKey, Stream};

    fn open(disk: &Wreck) -> Store<Wreck> {
        Store::open_on(disk.clone(), Path::new("/data"), Timestamp::UNIX_EPOCH).unwrap().0
    }

    fn start(disk: &Wreck) -> (Keeper, JoinHandle<()>) {
        Keeper::start(open(disk), Duration::from_secs(3600), |_| {}).unwrap()
    }

    fn cut(offset: u64) -> Record {
        let (source, key) = (SourceKey(Arc::from("file/1")), GenerationKey([1; 9]));
        Record::Cut { source, key, offset, stream: Stream::None }
    }

    fn receipt() -> Receipt {
        let (key, generation) = (SourceKey(Arc::from("file/2")), GenerationKey([1; 9]));
        Receipt { source: SourceId(2), key, index: 0, generation, offset: 70, anchor: 0 }
    }

    #[tokio::test]
    async fn many_who_wait_are_few_writes() {
        let disk = Wreck::default();
        let (keeper, _thread) = start(&disk);
        keeper.durable(vec![cut(0)]).await.unwrap();
        let before = disk.state().syncs;
        let mut waiting = JoinSet::new();
        let held = disk.clone();
        {
            // The disk hangs on the first, while the others queue.
            let _hanging = held.state();
            for offset in 1..100 {
                let keeper = keeper.clone();
                let (done, answer) = oneshot::channel();
                keeper.tell(Order::Durable(vec![cut(offset)], done));
                waiting.spawn(answer);
            }
        }
        assert!(waiting.join_all().await.iter().all(Result::is_ok));
        assert!(disk.state().syncs - before <= 2, "{} syncs", disk.state().syncs - before);
        assert_eq!(open(&disk).saved().sources.values().map(|source| source.cuts.len()).sum::<usize>(), 100);
    }

    #[tokio::test]
    async fn stopping_writes_what_is_there_and_refuses_what_comes_after() {
        let disk = Wreck::default();
        let (keeper, thread) = start(&disk);
        keeper.note(vec![cut(1)]);
        keeper.settled(vec![receipt()]);
        let other = keeper.clone();
        keeper.flush_and_stop().await.unwrap();
        thread.join().unwrap();
        assert_eq!(open(&disk).saved().sources.len(), 2);
        assert_eq!(other.durable(vec![cut(2)]).await, Err(Stopped));
        assert!(other.flush_and_stop().await.is_err());
    }

    #[tokio::test]
    async fn a_stop_on_a_full_disk_says_so_and_promises_nothing() {
        let disk = Wreck::default();
        disk.state().space = Some(0);
        let (keeper, thread) = start(&disk);
        let waiting = tokio::spawn({
            let keeper = keeper.clone();
            async move { keeper.durable(vec![cut(1)]).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(keeper.flush_and_stop().await.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(waiting.await.unwrap(), Err(Stopped));
        thread.join().unwrap();
    }

    #[test]
    fn the_last_handle_dropped_writes_what_is_there() {
        let disk = Wreck::default();
        let (keeper, thread) = start(&disk);
        keeper.settled(vec![receipt()]);
        drop(keeper);
        thread.join().unwrap();
        assert_eq!(open(&disk).saved().sources.len(), 1);
    }
}
