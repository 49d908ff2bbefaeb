//! What is written when, and what is promised, with explicit time and a disk that fails.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot::Receiver;

use super::super::saved::Saved;
use super::super::seed;
use super::super::wreck::{Death, Wreck};
use super::*;
use crate::event::{GenerationKey, SourceId, SourceKey, Stream};

const INTERVAL: Duration = Duration::from_secs(1);
const KEY: GenerationKey = GenerationKey([1; 9]);

fn name(source: u32) -> SourceKey {
    SourceKey(Arc::from(format!("file/{source}")))
}

fn receipt(source: u32, index: u64, offset: u64) -> Receipt {
    Receipt { source: SourceId(source), key: name(source), index, generation: KEY, offset, anchor: 0 }
}

fn cut(source: u32, offset: u64) -> Record {
    Record::Cut { source: name(source), key: KEY, offset, stream: Stream::Stdout }
}

fn open(disk: &Wreck) -> (Store<Wreck>, Saved) {
    Store::open_on(disk.clone(), Path::new("/data"), Timestamp::UNIX_EPOCH).unwrap()
}

/// Where a source stands on the disk.
fn offset(saved: &Saved, source: u32) -> Option<u64> {
    Some(saved.sources.get(&name(source))?.position?.offset)
}

/// A clerk that notes its news down.
type Noting = Box<dyn FnMut(News<'_>)>;

fn clerk(disk: &Wreck) -> (Clerk<Wreck, Noting>, Rc<RefCell<Vec<String>>>) {
    let told = Rc::new(RefCell::new(Vec::new()));
    let note = Rc::clone(&told);
    let news: Noting = Box::new(move |news| {
        note.borrow_mut().push(match news {
            News::Settled(receipt) => format!("settled {}", receipt.offset),
            News::Saved(receipt) => format!("saved {}", receipt.offset),
            other => format!("{other:?}"),
        });
    });
    (Clerk::new(open(disk).0, INTERVAL, news), told)
}

fn ask(clerk: &mut Clerk<Wreck, Noting>, records: Vec<Record>, now: Instant) -> Receiver<()> {
    let (done, answer) = oneshot::channel();
    clerk.durable(records, done, now);
    answer
}

#[test]
fn positions_are_written_after_the_interval_and_unsynced() {
    let (disk, start) = (Wreck::default(), Instant::now());
    let (mut clerk, told) = clerk(&disk);
    assert_eq!(clerk.work(start), None, "nothing to do");
    clerk.settled(vec![receipt(1, 0, 100)], start);
    assert_eq!(clerk.work(start), Some(start + INTERVAL));
    clerk.settled(vec![receipt(1, 1, 200)], start + INTERVAL / 2);
    assert_eq!(clerk.work(start + INTERVAL / 2), Some(start + INTERVAL), "the first one's time counts");
    assert_eq!(offset(&open(&disk).1, 1), None);
    assert_eq!(clerk.work(start + INTERVAL), None);
    assert_eq!(offset(&open(&disk).1, 1), Some(200));
    assert_eq!(*told.borrow(), ["settled 100", "settled 200", "saved 200"]);
    assert_eq!(disk.state().syncs, 1, "only that of the new file");
}

#[test]
fn all_who_wait_share_one_sync() {
    let (disk, now) = (Wreck::default(), Instant::now());
    let (mut clerk, _) = clerk(&disk);
    let mut first = ask(&mut clerk, vec![cut(1, 5)], now);
    let mut second = ask(&mut clerk, vec![cut(2, 6)], now);
    clerk.settled(vec![receipt(1, 0, 3)], now);
    assert!(first.try_recv().is_err(), "not durable yet");
    let syncs = disk.state().syncs;
    assert_eq!(clerk.work(now), None);
    assert_eq!((first.try_recv(), second.try_recv()), (Ok(()), Ok(())));
    assert_eq!(disk.state().syncs - syncs, 2, "one for the new file, one for all records");
    assert_eq!(offset(&open(&disk).1, 1), Some(3), "the position went along");
}

#[test]
fn a_full_disk_makes_wait_and_is_told_at_each_try() {
    let (disk, start) = (Wreck::default(), Instant::now());
    let (mut clerk, told) = clerk(&disk);
    disk.state().space = Some(20);
    let mut answer = ask(&mut clerk, vec![cut(1, 5)], start);
    let mut now = start;
    for pause in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
        let retry = clerk.work(now).unwrap();
        assert_eq!(retry - now, Duration::from_millis(pause));
        assert_eq!(clerk.work(now + Duration::from_millis(pause - 1)), Some(retry), "not before its time");
        now = retry;
    }
    clerk.settled(vec![receipt(1, 0, 3)], now);
    clerk.note(vec![cut(1, 9)], now);
    assert!(answer.try_recv().is_err());
    assert_eq!(told.borrow().iter().filter(|news| news.starts_with("Refused")).count(), 9);
    disk.state().space = None;
    clerk.work(now);
    assert_eq!(answer.try_recv(), Ok(()));
    assert_eq!(told.borrow()[told.borrow().len() - 3..], ["settled 3", "saved 3", "Recovered"]);
    let saved = open(&disk).1;
    assert_eq!((offset(&saved, 1), saved.sources[&name(1)].cuts.len()), (Some(3), 2));
}

#[test]
fn a_forgotten_source_does_not_come_back() {
    let (disk, now) = (Wreck::default(), Instant::now());
    let (mut clerk, _) = clerk(&disk);
    clerk.settled(vec![receipt(1, 0, 100), receipt(2, 0, 100)], now);
    clerk.note(vec![Record::Forget { source: name(1) }], now);
    clerk.finish().unwrap();
    let saved = open(&disk).1;
    assert_eq!((offset(&saved, 1), offset(&saved, 2)), (None, Some(100)));
}

/// What a run promised, as the model sees it.
struct Model {
    /// By source and receipt: settled.
    settled: Vec<Vec<bool>>,
    /// Each cut with the answer that it is durable.
    cuts: Vec<(u32, u64, Receiver<()>)>,
    durable: Vec<(u32, u64)>,
}

impl Model {
    /// Checks every disk that may be found after a death now.
    fn check(&mut self, disk: &Wreck, what: &str) {
        let durable = &mut self.durable;
        self.cuts.retain_mut(|(source, offset, answer)| match answer.try_recv() {
            Ok(()) => {
                durable.push((*source, *offset));
                false
            }
            Err(_) => true,
        });
        for (death, survivor) in disk.survivors() {
            let saved = open(&survivor).1;
            for (source, settled) in self.settled.iter().enumerate() {
                let most = 10 * settled.iter().take_while(|settled| **settled).count() as u64;
                let found = offset(&saved, source as u32).unwrap_or(0);
                assert!(
                    found <= most,
                    "{what}, {death:?}: source {source} stands at {found}, settled is {most}"
                );
            }
            for (source, cut) in &self.durable {
                let known = &saved.sources.get(&name(*source));
                let kept = known.is_some_and(|known| known.cuts.iter().any(|known| known.offset == *cut));
                let past = offset(&saved, *source).is_some_and(|offset| offset >= *cut);
                assert!(kept || past, "{what}, {death:?}: cut {cut} of source {source} was promised");
            }
        }
    }
}

#[test]
fn no_death_leaves_a_position_past_what_is_settled_nor_loses_what_was_promised() {
    let seed = seed();
    for round in 0..25 {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(round));
        let disk = if random.bool() { Wreck::default() } else { Wreck::flaky(4, random.u64(..)) };
        let (mut clerk, _) = clerk(&disk);
        let mut now = Instant::now();
        let mut model = Model { settled: vec![vec![]; 3], cuts: vec![], durable: vec![] };
        let mut under_way = Vec::new();
        for step in 0..60 {
            now += Duration::from_millis(random.u64(..500));
            let source = random.usize(..3);
            match random.u8(..4) {
                0 | 1 => {
                    let receipts = &mut model.settled[source];
                    receipts.push(false);
                    let end = 10 * receipts.len() as u64;
                    if random.bool() {
                        let answer = ask(&mut clerk, vec![cut(source as u32, end)], now);
                        model.cuts.push((source as u32, end, answer));
                    }
                    under_way.push(receipt(source as u32, receipts.len() as u64 - 1, end));
                }
                _ if under_way.is_empty() => {}
                _ => {
                    let done = under_way.swap_remove(random.usize(..under_way.len()));
                    model.settled[done.source.0 as usize][done.index as usize] = true;
                    clerk.settled(vec![done], now);
                }
            }
            clerk.work(now);
            model.check(&disk, &format!("seed {seed}, round {round}, step {step}"));
        }
        while clerk.finish().is_err() {}
        let (_, rest) = disk.survivors().into_iter().find(|(death, _)| *death == Death::Machine).unwrap();
        for (source, settled) in model.settled.iter().enumerate() {
            let most = settled.iter().take_while(|settled| **settled).count() as u64;
            assert_eq!(
                offset(&open(&rest).1, source as u32).unwrap_or(0),
                10 * most,
                "seed {seed}, at the end"
            );
        }
    }
}
