//! One batch under way: which of its documents have no verdict yet, and in what shape they are sent next.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use hyper::body::Bytes;
use tokio::time::Instant;

use super::dead_letters::DeadLetter;
use super::document;
use super::state::{wall_nanos, wall_time};
use super::verdict::{ItemOutcome, Reason};
use crate::event::{Batch, Item, Settled, Target, Verdict};

/// A batch until all its documents have a verdict.
#[derive(Debug)]
pub struct Delivery {
    /// As it came, but for its body.
    batch: Batch,
    /// Where it goes.
    target: Arc<Target>,
    /// Its body.
    body: Bytes,
    /// Documents without a verdict, in order.
    pending: Vec<u32>,
    /// A verdict for each document that is no longer in `pending`.
    verdicts: Vec<Verdict>,
    /// Documents that are no longer sent as they came.
    changed: BTreeMap<u32, Changed>,
    /// How many documents the next request may hold: fewer while looking for one that spoils the others.
    at_most: usize,
    /// Whether anything of it may be stored already.
    pub past: Past,
    /// The backing indices that it may be in, as far as they were known when it was sent, the oldest first.
    pub places: Vec<Arc<str>>,
    /// How often it was sent again for single documents' sake.
    pub tries: u32,
    /// When it may be sent again.
    pub not_before: Option<Instant>,
}

/// What is known of earlier tries of a batch.
///
/// ```text
/// Known ──no answer──► Doubtful ◄──no answer── Checked
///   └─ an earlier run ───▲  └────looked up──────▲
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Past {
    /// Each was answered, or there was none: nothing of what is pending is stored.
    Known,
    /// At least one may have been carried out without our knowing: what is pending is looked up by id before it
    /// is sent again, as an id is unique within one backing index only.
    Doubtful,
    /// It was doubtful, and looked up as well as could be.
    Checked,
}

/// A document that is sent in another shape than it came.
#[derive(Debug)]
struct Changed {
    /// Its action line and document.
    bytes: Vec<u8>,
    shape: Shape,
}

#[derive(Debug)]
enum Shape {
    /// Shortened to what may be sent.
    Cut,
    /// In the safe shape, because it was refused with this reason.
    Safe(Reason),
}

/// What to send next.
#[derive(Debug)]
pub struct Chunk {
    /// Which documents, in order.
    pub items: Vec<u32>,
    /// Their bulk lines.
    pub body: Bytes,
    /// A single document that is longer than the limit and could not be cut.
    pub oversize: bool,
    /// Bytes of the log that were cut away to make it fit.
    pub lost: u32,
}

/// What an answer changed.
#[derive(Debug, Default)]
pub struct Summary {
    /// Stored or set aside.
    pub stored: u64,
    /// Of those, set aside in the cluster's failure store.
    pub set_aside: u64,
    /// Stored before.
    pub duplicates: u64,
    /// To be sent again since the cluster was busy.
    pub busy: u64,
    /// The target may not be written to; whether that is for the disk's sake.
    pub held: Option<(Hold, Reason)>,
    /// Refused for good or for the first time, with the reason.
    pub refused: Vec<Reason>,
    /// What is to be kept as dead letters; settled by [`Delivery::buried`].
    pub dead: Vec<(u32, DeadLetter)>,
}

/// Why a target is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Rights, a block, a missing index.
    Closed,
    /// The flood stage of the disk.
    Flooded,
}

impl Delivery {
    /// Takes a batch.
    pub fn new(mut batch: Batch, target: Arc<Target>) -> Self {
        let count = batch.items.len();
        Self {
            body: Bytes::from(mem::take(&mut batch.body)),
            pending: (0..count as u32).collect(),
            verdicts: vec![Verdict::Dropped; count],
            changed: BTreeMap::new(),
            at_most: usize::MAX,
            past: Past::Known,
            places: Vec::new(),
            tries: 0,
            not_before: None,
            target,
            batch,
        }
    }

    /// Where it goes.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Whether an earlier run of the agent may have sent something of it.
    pub fn was_sent_before(&self) -> bool {
        self.batch.sent_before
    }

    /// It is about to be sent: one of `indices`, or a younger one, takes it.
    pub fn may_go_to(&mut self, indices: &[Arc<str>]) {
        for index in indices {
            if !self.places.contains(index) {
                self.places.push(Arc::clone(index));
            }
        }
    }

    /// The documents without a verdict and their ids, as JSON has them; `None` where they have none.
    pub fn ids(&self) -> Option<(Vec<u32>, Vec<String>)> {
        let id = |index: &u32| {
            let (action, _) = self.parts(*index);
            let (_, rest) = str::from_utf8(action).ok()?.split_once("\"_id\":\"")?;
            rest.split_once('"').map(|(id, _)| id.to_owned())
        };
        Some((self.pending.clone(), self.pending.iter().map(id).collect::<Option<_>>()?))
    }

    /// Of the documents `looked_up`, these are there.
    pub fn found(&mut self, looked_up: &[u32], there: &[bool]) {
        for (index, _) in looked_up.iter().zip(there).filter(|(_, there)| **there) {
            self.verdicts[*index as usize] = Verdict::Duplicate;
        }
        let mut there =
            looked_up.iter().zip(there).filter(|(_, there)| **there).map(|(index, _)| *index).peekable();
        self.pending.retain(|index| there.next_if_eq(index).is_none());
        self.shrink();
    }

    /// How many bytes it holds in memory.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Whether every document has its verdict.
    pub fn is_done(&self) -> bool {
        self.pending.is_empty()
    }

    /// Gives the batch back with its verdicts, and with its body's memory where nobody else holds it any more,
    /// for the next batch to be written into.
    pub fn settled(mut self) -> Settled {
        if self.body.is_unique() {
            self.batch.body = Vec::from(self.body);
        }
        Settled { batch: self.batch, verdicts: self.verdicts }
    }

    /// The next documents to send, in order, in no more than `limit` bytes. A single one that is larger is cut
    /// to fit; where that cannot be done, it is sent as it is.
    pub fn chunk(&mut self, limit: Option<usize>) -> Chunk {
        let limit = limit.unwrap_or(usize::MAX);
        let lost = match self.pending.first().copied() {
            Some(first) if self.line(first).len() > limit => self.cut(first, limit).unwrap_or_default(),
            _ => 0,
        };
        let mut bytes = 0;
        let fits = |index: &&u32| {
            bytes += self.line(**index).len();
            bytes <= limit
        };
        let count = self.pending.iter().take(self.at_most).take_while(fits).count().max(1);
        let items: Vec<u32> = self.pending.iter().take(count).copied().collect();
        let body = self.lines(&items);
        Chunk { oversize: body.len() > limit, items, body, lost }
    }

    /// Takes the answer for `sent`.
    pub fn answered(&mut self, sent: &[u32], outcomes: Vec<ItemOutcome>) -> Summary {
        let mut summary = Summary::default();
        let mut again = Vec::new();
        for (index, outcome) in sent.iter().copied().zip(outcomes) {
            let verdict = match outcome {
                ItemOutcome::Stored => {
                    summary.stored += 1;
                    Verdict::Shipped
                }
                ItemOutcome::SetAside => {
                    summary.stored += 1;
                    summary.set_aside += 1;
                    Verdict::Shipped
                }
                ItemOutcome::Duplicate => {
                    summary.duplicates += 1;
                    Verdict::Duplicate
                }
                ItemOutcome::Busy => {
                    summary.busy += 1;
                    again.push(index);
                    continue;
                }
                ItemOutcome::Held(reason) => {
                    summary.held.get_or_insert((Hold::Closed, *reason));
                    again.push(index);
                    continue;
                }
                ItemOutcome::Flooded(reason) => {
                    summary.held.get_or_insert((Hold::Flooded, *reason));
                    again.push(index);
                    continue;
                }
                ItemOutcome::Refused(reason) => {
                    if self.make_safe(index, &reason) {
                        again.push(index);
                    } else {
                        summary.dead.push((index, self.dead_letter(index, &reason)));
                    }
                    summary.refused.push(*reason);
                    continue;
                }
            };
            self.verdicts[index as usize] = verdict;
        }
        // Chunks are taken from the front, so what is to be sent again comes before what was not sent yet.
        again.extend_from_slice(&self.pending[sent.len()..]);
        self.pending = again;
        self.at_most = self.at_most.saturating_mul(2);
        self.shrink();
        summary
    }

    /// The dead letters at `indices` are kept, or not.
    pub fn buried(&mut self, indices: &[u32], verdict: Verdict) {
        for index in indices {
            self.verdicts[*index as usize] = verdict;
        }
    }

    /// A request of `sent` documents failed for the sake of one that is not known: the next has half as many.
    pub fn halve(&mut self, sent: usize) {
        self.at_most = (sent / 2).max(1);
    }

    /// A request of `sent` documents was not answered. It may have been too large for something on the way that
    /// closes the connection in place of saying so, or too slow: the next has half as many, down to a sixteenth
    /// of what is left.
    pub fn unanswered(&mut self, sent: usize) {
        self.past = Past::Doubtful;
        self.at_most = (sent / 2).max(self.pending.len() / 16).max(1);
    }

    /// The first document alone is refused by more than its mapping, so that no shape would help.
    pub fn refuse_first(&mut self, reason: &Reason) -> Option<(u32, DeadLetter)> {
        if self.pending.is_empty() {
            return None;
        }
        let index = self.pending.remove(0);
        Some((index, self.dead_letter(index, reason)))
    }

    /// The document's action line and document, as it is sent now.
    fn line(&self, index: u32) -> &[u8] {
        self.changed.get(&index).map_or_else(|| &self.body[self.range(index)], |changed| &changed.bytes)
    }

    /// Where a document lies in the body as it came.
    fn range(&self, index: u32) -> Range<usize> {
        let (item, next) = (self.item(index), self.batch.items.get(index as usize + 1));
        item.start as usize..next.map_or(self.body.len(), |next| next.start as usize)
    }

    fn item(&self, index: u32) -> &Item {
        &self.batch.items[index as usize]
    }

    /// The lines of `items`: a slice of the body where it can be, else a copy.
    fn lines(&self, items: &[u32]) -> Bytes {
        let (Some(first), Some(last)) = (items.first(), items.last()) else { return Bytes::new() };
        let contiguous = (last - first) as usize + 1 == items.len();
        if contiguous && self.changed.range(first..=last).next().is_none() {
            return self.body.slice(self.range(*first).start..self.range(*last).end);
        }
        let mut lines = Vec::with_capacity(items.iter().map(|index| self.line(*index).len()).sum());
        for index in items {
            lines.extend_from_slice(self.line(*index));
        }
        Bytes::from(lines)
    }

    /// Action line and document as they came.
    fn parts(&self, index: u32) -> (&[u8], &[u8]) {
        let range = self.range(index);
        let document = self.item(index).document as usize;
        (&self.body[range.start..document], &self.body[document..range.end])
    }

    /// Cuts a document to fit, and says how many bytes of the log that cost. They no longer count as the
    /// document's own: what is cut is not acknowledged.
    fn cut(&mut self, index: u32, limit: usize) -> Option<u32> {
        let line = self.line(index);
        let (action, document) = line.split_at(memchr::memchr(b'\n', line)? + 1);
        let cut = document::cut(document, limit.checked_sub(action.len())?)?;
        let bytes = [action, &cut.document].concat();
        let shape = self.changed.remove(&index).map_or(Shape::Cut, |changed| changed.shape);
        self.changed.insert(index, Changed { bytes, shape });
        let item = &mut self.batch.items[index as usize];
        let lost = u32::try_from(cut.lost).unwrap_or(u32::MAX).min(item.bytes);
        item.bytes -= lost;
        Some(lost)
    }

    /// Puts a refused document into its safe shape; false when it is in it already or cannot be.
    fn make_safe(&mut self, index: u32, reason: &Reason) -> bool {
        if matches!(self.changed.get(&index), Some(Changed { shape: Shape::Safe(_), .. })) {
            return false;
        }
        let line = self.line(index);
        let Some(end) = memchr::memchr(b'\n', line) else { return false };
        let (action, document) = line.split_at(end + 1);
        let Some(safe) = document::safe(document, reason, wall_nanos()) else { return false };
        let bytes = [document::safe_action(action), safe].concat();
        self.changed.insert(index, Changed { bytes, shape: Shape::Safe(reason.clone()) });
        true
    }

    /// The document as it came, and why it was refused first.
    fn dead_letter(&self, index: u32, reason: &Reason) -> DeadLetter {
        let first = match self.changed.get(&index) {
            Some(Changed { shape: Shape::Safe(first), .. }) => first,
            _ => reason,
        };
        let (action, document) = self.parts(index);
        DeadLetter::new(wall_time(), &self.target, first, action, document)
    }

    /// Gives back the body's memory when little of it is still needed.
    fn shrink(&mut self) {
        let needed: usize = self.pending.iter().map(|index| self.range(*index).len()).sum();
        if self.pending.is_empty() || needed > self.body.len() / 2 {
            return;
        }
        let mut body = Vec::with_capacity(needed);
        let mut pending = self.pending.iter().copied().peekable();
        for index in 0..self.batch.items.len() as u32 {
            let range = self.range(index);
            let item = &mut self.batch.items[index as usize];
            let action = item.document - item.start;
            item.start = body.len() as u32;
            item.document = item.start;
            if pending.next_if_eq(&index).is_some() {
                item.document += action;
                body.extend_from_slice(&self.body[range]);
            }
        }
        self.body = Bytes::from(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{SourceId, TargetKind};

    /// Documents `{"n":0}` and so on, with ids.
    fn delivery(count: usize) -> Delivery {
        let target =
            Target { name: "logs-a-b".into(), kind: TargetKind::DataStream, pipeline: String::new() };
        let mut batch = Batch::default();
        for n in 0..count {
            let start = batch.body.len() as u32;
            batch.body.extend_from_slice(format!("{{\"create\":{{\"_id\":\"{n}\"}}}}\n").as_bytes());
            let document = batch.body.len() as u32;
            batch.body.extend_from_slice(format!("{{\"n\":{n}}}\n").as_bytes());
            batch.items.push(Item { start, document, source: SourceId(0), bytes: 10 });
        }
        Delivery::new(batch, Arc::new(target))
    }

    fn outcomes(items: &[u32], busy: impl Fn(u32) -> bool) -> Vec<ItemOutcome> {
        items.iter().map(|item| if busy(*item) { ItemOutcome::Busy } else { ItemOutcome::Stored }).collect()
    }

    #[test]
    fn what_is_sent_again_is_what_came() {
        let mut delivery = delivery(10);
        let whole = delivery.body.clone();
        let chunk = delivery.chunk(None);
        assert_eq!((chunk.items.len(), chunk.body.as_ptr()), (10, whole.as_ptr()), "nothing is copied");
        let line = whole.len() / 10;

        let summary = delivery.answered(&chunk.items, outcomes(&chunk.items, |item| item % 4 == 1));
        assert_eq!((summary.stored, summary.busy), (7, 3));
        assert!(delivery.bytes() < whole.len() / 2, "what is stored is no longer held");
        let chunk = delivery.chunk(None);
        assert_eq!(chunk.items, [1, 5, 9]);
        let expected = [1, 5, 9].map(|item| whole.slice(item * line..(item + 1) * line)).concat();
        assert_eq!(chunk.body, expected);

        let chunk = delivery.chunk(Some(line * 2));
        assert_eq!(chunk.items, [1, 5]);
        delivery.answered(&chunk.items, outcomes(&chunk.items, |item| item == 5));
        assert_eq!(delivery.chunk(None).items, [5, 9], "in order, whatever was sent when");
        delivery.answered(&[5, 9], outcomes(&[5, 9], |_| false));
        assert!(delivery.is_done());
        assert_eq!(delivery.settled().verdicts, [Verdict::Shipped; 10]);
    }

    #[test]
    fn halving_finds_one() {
        let mut delivery = delivery(8);
        for expected in [8, 4, 2, 1] {
            let chunk = delivery.chunk(None);
            assert_eq!(chunk.items.len(), expected);
            delivery.halve(expected);
        }
        let (index, letter) = delivery.refuse_first(&Reason::default()).unwrap();
        assert_eq!((index, letter.id.as_deref(), letter.document.get()), (0, Some("0"), "{\"n\":0}"));
        delivery.buried(&[0], Verdict::DeadLetter);
        let chunk = delivery.chunk(None);
        assert_eq!(chunk.items, [1]);
        delivery.answered(&chunk.items, outcomes(&chunk.items, |_| false));
        assert_eq!(delivery.chunk(None).items, [2, 3], "twice as many after each success");
    }

    #[test]
    fn a_body_comes_back_for_the_next_batch() {
        let mut delivery = delivery(3);
        let (memory, chunk) = (delivery.body.as_ptr(), delivery.chunk(None));
        delivery.answered(&chunk.items, outcomes(&chunk.items, |_| false));
        drop(chunk);
        assert_eq!(delivery.settled().batch.body.as_ptr(), memory);
    }
}
