//! The assembler by example, and against a model of the ledger.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::event::{Batch, GenerationKey, Receipt, Record, SourceId, SourceKey, Stream, Target, TargetKind};

const WAIT: Duration = Duration::from_secs(1);
const KEY: GenerationKey = GenerationKey([1; 9]);

fn assembler(max_bytes: usize) -> Assembler {
    let layout = Layout::Lines;
    Assembler::new(Settings { max_bytes, max_wait: WAIT, first_wait: WAIT, layout })
}

fn target(name: &str) -> Arc<Target> {
    Arc::new(Target { name: name.into(), kind: TargetKind::DataStream, pipeline: String::new() })
}

fn key(source: u32) -> SourceKey {
    SourceKey(format!("file/{source}").into())
}

fn mark(offset: u64) -> Mark {
    Mark { generation: KEY, offset, anchor: offset + 1 }
}

/// Pushes `text` of source 0 at `offset`, one byte of log for each byte of document.
fn push(assembler: &mut Assembler, target: Option<&Arc<Target>>, offset: u64, text: &str, now: Instant) {
    let bytes = text.len() as u64;
    let entry = Entry {
        target,
        start: (&KEY, offset),
        end: (&KEY, offset + bytes),
        source: SourceId(0),
        bytes,
        time: Some(offset as i64),
        sent_before: false,
    };
    assembler.push(entry, |body| body.extend_from_slice(text.as_bytes()), now);
}

fn all_sealed(assembler: &mut Assembler) -> Vec<Batch> {
    std::iter::from_fn(|| assembler.sealed()).collect()
}

fn offsets(batch: &Batch) -> Vec<(u64, u64)> {
    batch.receipts.iter().map(|receipt| (receipt.index, receipt.offset)).collect()
}

#[test]
fn bulk_bodies_have_an_action_line_before_each_document() {
    for (document_ids, expected) in
        [(true, "{\"create\":{\"_id\":\"AQEBAQEBAQEB1212\"}}\n{}\n"), (false, "{\"create\":{}}\n{}\n")]
    {
        let now = Instant::now();
        let layout = Layout::Bulk { document_ids };
        let settings = Settings { max_bytes: 1000, max_wait: WAIT, first_wait: WAIT, layout };
        let mut assembler = Assembler::new(settings);
        assembler.mark(SourceId(0), &key(0), mark(0), now);
        push(&mut assembler, None, 3, "{}\n", now);
        push(&mut assembler, None, 6, "{\"a\":1}\n", now);
        assembler.flush();
        let batch = assembler.sealed().unwrap();
        assert_eq!(batch.item(0), expected.as_bytes());
        assert_eq!(batch.document(0), b"{}\n");
        assert_eq!(batch.document(1), b"{\"a\":1}\n");
        assert_eq!((batch.items[1].bytes, batch.oldest), (8, Some(3)));
    }
}

#[test]
fn a_batch_is_sealed_when_full_and_a_large_document_goes_alone() {
    let (mut assembler, now) = (assembler(10), Instant::now());
    assembler.mark(SourceId(0), &key(0), mark(0), now);
    let mut offset = 0;
    for text in ["aaaa\n", "bbbb\n", "cc\n", "ddddddddddddddddd\n", "e\n", "ffffffff\n"] {
        push(&mut assembler, None, offset, text, now);
        offset += text.len() as u64;
    }
    assembler.flush();
    let batches = all_sealed(&mut assembler);
    let bodies: Vec<_> = batches.iter().map(|batch| str::from_utf8(&batch.body).unwrap()).collect();
    assert_eq!(bodies, ["aaaa\nbbbb\n", "cc\n", "ddddddddddddddddd\n", "e\n", "ffffffff\n"]);
    assert!(batches.iter().map(|batch| batch.sequence).eq(0..5));
    assert_eq!(assembler.buffered_bytes(), 0);
}

#[test]
fn a_batch_is_sealed_when_old_and_the_first_ones_earlier() {
    let start = Instant::now();
    let first_wait = WAIT / 4;
    let mut assembler =
        Assembler::new(Settings { max_bytes: 1000, max_wait: WAIT, first_wait, layout: Layout::Lines });
    assembler.mark(SourceId(0), &key(0), mark(0), start);
    assert_eq!(assembler.deadline(), None);
    for (begin, wait) in [(start, first_wait), (start + WAIT * 5, WAIT)] {
        push(&mut assembler, None, 0, "a\n", begin);
        push(&mut assembler, None, 2, "b\n", begin + wait / 2);
        assert_eq!(assembler.deadline(), Some(begin + wait));
        assembler.expire(begin + wait - Duration::from_nanos(1));
        assert!(assembler.sealed().is_none());
        assembler.expire(begin + wait);
        assert_eq!(assembler.sealed().unwrap().body, b"a\nb\n");
        assert_eq!(assembler.deadline(), None);
    }
}

#[test]
fn targets_that_are_equal_share_a_batch() {
    let (mut assembler, now) = (assembler(1000), Instant::now());
    assembler.mark(SourceId(0), &key(0), mark(0), now);
    for (offset, name) in ["a", "b", "a", "b"].into_iter().enumerate() {
        push(&mut assembler, Some(&target(name)), offset as u64, "\n", now);
    }
    assembler.flush();
    let batches = all_sealed(&mut assembler);
    let names: Vec<_> = batches
        .iter()
        .map(|batch| (batch.target.as_ref().unwrap().name.as_str(), batch.items.len()))
        .collect();
    assert_eq!(names, [("a", 2), ("b", 2)]);
}

#[test]
fn a_receipt_never_passes_what_is_still_open_elsewhere() {
    let (mut assembler, now) = (assembler(10), Instant::now());
    let (a, b) = (target("a"), target("b"));
    assembler.mark(SourceId(0), &key(0), mark(0), now);
    push(&mut assembler, Some(&a), 0, "aaaa\n", now);
    assembler.mark(SourceId(0), &key(0), mark(5), now);
    push(&mut assembler, Some(&b), 5, "bbbb\n", now);
    push(&mut assembler, Some(&a), 10, "aaaa\n", now);
    assert_eq!(offsets(&assembler.sealed().unwrap()), [(0, 5)], "b is open since mark 5");
    assembler.mark(SourceId(0), &key(0), mark(15), now);
    push(&mut assembler, Some(&a), 15, "aaaaaaaaa\n", now);
    assert_eq!(offsets(&assembler.sealed().unwrap()), [(1, 5)], "b is still open: unmoved");
    assembler.mark(SourceId(0), &key(0), mark(25), now);
    assembler.flush();
    assert_eq!(offsets(&assembler.sealed().unwrap()), [(2, 25)]);
    assert!(assembler.sealed().is_none(), "all is told");
}

#[test]
fn what_has_no_documents_travels_bare() {
    let (mut assembler, start) = (assembler(1000), Instant::now());
    assembler.mark(SourceId(0), &key(0), mark(7), start);
    assembler.flush();
    assert!(assembler.sealed().is_none(), "where reading begins is known already");

    assembler.mark(SourceId(0), &key(0), mark(9), start);
    assembler.mark(SourceId(0), &key(0), mark(11), start + WAIT / 2);
    assert_eq!(assembler.deadline(), Some(start + WAIT));
    assembler.expire(start + WAIT);
    let batch = assembler.sealed().unwrap();
    let expected =
        Receipt { source: SourceId(0), key: key(0), index: 0, generation: KEY, offset: 11, anchor: 12 };
    assert_eq!(batch.receipts, [expected]);
    assert!(batch.target.is_none() && batch.items.is_empty());

    assembler.record(Record::Forget { source: key(0) }, start);
    assert_eq!(assembler.deadline(), Some(start + WAIT));
    push(&mut assembler, None, 11, "a\n", start + WAIT / 2);
    assembler.expire(start + WAIT);
    let batch = assembler.sealed().unwrap();
    assert_eq!((batch.items.len(), batch.records.len(), batch.receipts.len()), (0, 1, 0));
    assembler.record(Record::Forget { source: key(0) }, start + WAIT);
    assembler.expire(start + WAIT * 2);
    let batch = assembler.sealed().unwrap();
    assert_eq!((batch.items.len(), batch.records.len()), (1, 1), "a record rides with the next batch");
    assert_eq!(assembler.deadline(), None);
}

#[test]
fn a_forgotten_source_gets_its_last_receipt_and_goes() {
    let (mut assembler, now) = (assembler(1000), Instant::now());
    assembler.mark(SourceId(0), &key(0), mark(0), now);
    push(&mut assembler, None, 0, "a\n", now);
    assembler.mark(SourceId(0), &key(0), mark(2), now);
    assembler.mark(SourceId(1), &key(1), mark(0), now);
    assembler.mark(SourceId(1), &key(1), mark(5), now);
    assembler.mark(SourceId(2), &key(2), mark(0), now);
    (0..3).for_each(|source| assembler.forget(SourceId(source)));
    assembler.flush();
    let receipts: Vec<_> = all_sealed(&mut assembler).iter().flat_map(offsets).collect();
    assert_eq!(receipts, [(0, 2), (0, 5)]);
    assert!(assembler.receipts.is_empty());
}

#[test]
fn bodies_are_reused_while_batches_are_full_and_let_go_when_they_are_not() {
    let (mut assembler, now) = (assembler(2), Instant::now());
    assembler.mark(SourceId(0), &key(0), mark(0), now);
    push(&mut assembler, None, 0, "a\n", now);
    let body = assembler.sealed().unwrap().body;
    let address = body.as_ptr();
    assembler.recycle(body);
    push(&mut assembler, None, 2, "b\n", now);
    let body = assembler.sealed().unwrap().body;
    assert_eq!((body.as_ptr(), body.as_slice()), (address, &b"b\n"[..]));
    assembler.recycle(body);
    push(&mut assembler, None, 4, "c", now);
    push(&mut assembler, None, 5, "d", now);
    push(&mut assembler, None, 6, "e", now);
    assembler.expire(now + WAIT);
    for batch in all_sealed(&mut assembler) {
        assembler.recycle(batch.body);
    }
    assert!(assembler.spare.is_empty());
}

/// A byte of a source in the model: the ordinal of its generation, then the offset.
type Place = (u8, u64);

fn generation(source: u32, ordinal: u8) -> GenerationKey {
    GenerationKey([source as u8, ordinal, 0, 0, 0, 0, 0, 0, 7])
}

/// A source as its reader sees it.
#[derive(Default)]
struct Reader {
    next: Place,
    /// Read and not given out.
    pending: Vec<(Place, Place)>,
    marked: Place,
}

impl Reader {
    fn lowest_held(&self) -> Place {
        self.pending.iter().map(|event| event.0).min().unwrap_or(self.next)
    }
}

/// What the ledger does with receipts: applies them in the order of their indexes.
#[derive(Default)]
struct Ledger {
    settled: BTreeMap<u64, Place>,
    next: u64,
    position: Place,
}

impl Ledger {
    fn settle(&mut self, receipt: &Receipt) {
        let place = (receipt.generation.0[1], receipt.offset);
        assert_eq!(receipt.anchor, receipt.offset ^ 5);
        assert!(self.settled.insert(receipt.index, place).is_none(), "the index came twice");
        while let Some(position) = self.settled.remove(&self.next) {
            assert!(position >= self.position, "{position:?} is before {:?}", self.position);
            self.position = position;
            self.next += 1;
        }
    }
}

/// The assembler between readers and ledgers that do what they like.
struct World {
    random: fastrand::Rng,
    now: Instant,
    assembler: Assembler,
    targets: Vec<Arc<Target>>,
    readers: Vec<Reader>,
    ledgers: HashMap<SourceId, Ledger>,
    /// Documents that were pushed and not settled, by their text: where each begins.
    unsettled: HashMap<Vec<u8>, (SourceId, Place)>,
    in_flight: Vec<Batch>,
    pushed: u64,
    /// Records so far, and those in batches taken so far.
    records: u64,
    taken_records: u64,
    /// How many records there were when a document was pushed.
    records_before: HashMap<Vec<u8>, u64>,
    sequence: u64,
}

const MODEL_BYTES: usize = 120;

impl World {
    fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let now = Instant::now();
        let layout = Layout::Bulk { document_ids: random.bool() };
        let first_wait = WAIT.mul_f64(random.f64());
        let settings = Settings { max_bytes: MODEL_BYTES, max_wait: WAIT, first_wait, layout };
        let mut assembler = Assembler::new(settings);
        let readers: Vec<_> = (0..random.usize(1..4)).map(|_| Reader::default()).collect();
        for source in 0..readers.len() as u32 {
            let mark = Mark { generation: generation(source, 0), offset: 0, anchor: 5 };
            assembler.mark(SourceId(source), &key(source), mark, now);
        }
        Self {
            now,
            assembler,
            targets: (0..random.usize(1..4)).map(|number| target(&number.to_string())).collect(),
            ledgers: (0..readers.len() as u32).map(|source| (SourceId(source), Ledger::default())).collect(),
            readers,
            random,
            unsettled: HashMap::new(),
            in_flight: Vec::new(),
            pushed: 0,
            records: 0,
            taken_records: 0,
            records_before: HashMap::new(),
            sequence: 0,
        }
    }

    fn step(&mut self) {
        let source = self.random.u32(..self.readers.len() as u32);
        match self.random.u8(..20) {
            0..6 => self.read(source),
            6..11 => self.give_out(source),
            11..14 => self.mark(source),
            14 => {
                self.records += 1;
                let record = Record::Cut { source: key(source), key: KEY, offset: 0, stream: Stream::Stdout };
                self.assembler.record(record, self.now);
            }
            15 => {
                self.now += WAIT.mul_f64(self.random.f64());
                self.assembler.expire(self.now);
                assert!(self.assembler.deadline().is_none_or(|deadline| deadline > self.now));
            }
            16 if self.random.u8(..8) == 0 => self.assembler.flush(),
            16..18 => self.take(),
            _ => self.settle(),
        }
    }

    fn read(&mut self, source: u32) {
        let length = self.random.u64(1..50);
        let reader = &mut self.readers[source as usize];
        let start = reader.next;
        if self.random.u8(..30) == 0 && start.0 < 200 {
            reader.next = (start.0 + 1, length);
        } else {
            reader.next.1 += length;
        }
        reader.pending.push((start, reader.next));
    }

    /// One of the events at hand, not always the first: another stream's may be finished earlier.
    fn give_out(&mut self, source: u32) {
        let reader = &mut self.readers[source as usize];
        if reader.pending.is_empty() {
            return;
        }
        let (start, end) = reader.pending.remove(self.random.usize(..reader.pending.len()));
        if self.random.u8(..6) == 0 {
            return;
        }
        let document = format!("{:>width$}\n", self.pushed, width = self.random.usize(1..40)).into_bytes();
        self.pushed += 1;
        self.unsettled.insert(document.clone(), (SourceId(source), start));
        self.records_before.insert(document.clone(), self.records);
        let (start_key, end_key) = (generation(source, start.0), generation(source, end.0));
        let entry = Entry {
            target: self.random.choice(&self.targets),
            start: (&start_key, start.1),
            end: (&end_key, end.1),
            source: SourceId(source),
            bytes: 1,
            time: None,
            sent_before: false,
        };
        self.assembler.push(entry, |body| body.extend_from_slice(&document), self.now);
    }

    fn mark(&mut self, source: u32) {
        let reader = &mut self.readers[source as usize];
        reader.marked = reader.lowest_held();
        let (ordinal, offset) = reader.marked;
        let mark = Mark { generation: generation(source, ordinal), offset, anchor: offset ^ 5 };
        self.assembler.mark(SourceId(source), &key(source), mark, self.now);
    }

    fn take(&mut self) {
        while let Some(batch) = self.assembler.sealed() {
            assert!(!batch.is_empty());
            assert_eq!(batch.sequence, self.sequence);
            self.sequence += 1;
            assert!(batch.body.len() <= MODEL_BYTES || batch.items.len() == 1);
            let sources: HashSet<_> = batch.receipts.iter().map(|receipt| receipt.source).collect();
            assert_eq!(sources.len(), batch.receipts.len(), "one receipt a source");
            self.taken_records += batch.records.len() as u64;
            for index in 0..batch.items.len() {
                let document = batch.document(index);
                assert_eq!(self.unsettled[document].0, batch.items[index].source);
                assert!(sources.contains(&batch.items[index].source));
                assert!(self.records_before[document] <= self.taken_records, "a record comes too late");
            }
            self.in_flight.push(batch);
        }
    }

    fn settle(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let batch = self.in_flight.swap_remove(self.random.usize(..self.in_flight.len()));
        for index in 0..batch.items.len() {
            assert!(self.unsettled.remove(batch.document(index)).is_some(), "a document came twice");
        }
        for receipt in &batch.receipts {
            self.ledgers.get_mut(&receipt.source).unwrap().settle(receipt);
        }
        self.assembler.recycle(batch.body);
        for (source, start) in self.unsettled.values() {
            assert!(self.ledgers[source].position <= *start, "{source:?}: an unsettled event was passed");
        }
        for (source, ledger) in &self.ledgers {
            assert!(
                ledger.position <= self.readers[source.0 as usize].marked,
                "{source:?}: the mark was passed"
            );
        }
    }

    fn end(mut self) {
        for source in 0..self.readers.len() as u32 {
            while !self.readers[source as usize].pending.is_empty() {
                self.give_out(source);
            }
            self.mark(source);
            self.assembler.forget(SourceId(source));
        }
        self.assembler.flush();
        self.take();
        while !self.in_flight.is_empty() {
            self.settle();
        }
        assert!(self.unsettled.is_empty());
        for (source, ledger) in &self.ledgers {
            assert_eq!(ledger.position, self.readers[source.0 as usize].next, "{source:?}: all is reached");
        }
        // Empty bodies are held too, until they are dropped.
        while self.assembler.drop_spare() {}
        assert_eq!((self.assembler.buffered_bytes(), self.assembler.deadline()), (0, None));
        assert_eq!(self.taken_records, self.records);
        assert!(self.assembler.receipts.is_empty());
    }
}

#[test]
fn the_ledger_never_passes_what_is_unsettled_and_reaches_everything() {
    let seed = std::env::var("SKIDDER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("SKIDDER_SEED={seed}");
    for round in 0..400 {
        let mut world = World::new(seed.wrapping_add(round));
        for _ in 0..world.random.usize(..600) {
            world.step();
        }
        world.end();
    }
}
