//! Bodies being filled, one for each target.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ids;
use super::receipts::{Mark, Receipts};
use crate::event::{Batch, GenerationKey, Item, Record, SourceId, SourceKey, Target};

/// Offsets of items are 32 bits wide.
const MAX_BYTES: usize = 1 << 30;
/// A new body has room for a document beyond its limit, so that it rarely grows: the overhang of the last one,
/// and what an escaper reserves in advance.
const OVERHANG: usize = 128 * 1024;
/// How many bodies are kept for reuse: as many as may come back while the reader sleeps. They are of the budget, too.
const SPARE_BODIES: usize = 4;

/// When batches are sealed, and how they look.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// A body is at most this long, but for a document that is longer by itself. Bytes, at most 1 GiB.
    pub max_bytes: usize,
    /// A batch is sealed this long after its first item.
    pub max_wait: Duration,
    /// The same for batches begun before any was sealed: drawn at random up to `max_wait`, it spreads out
    /// agents that start together.
    pub first_wait: Duration,
    /// What a body looks like.
    pub layout: Layout,
}

/// What a body looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A bulk request: an action line before each document.
    Bulk {
        /// Whether the action line names the document's id; else Elasticsearch makes one.
        document_ids: bool,
    },
    /// What was written, nothing else.
    Lines,
}

impl Layout {
    /// Appends what comes before the document.
    pub fn write_action(self, body: &mut Vec<u8>, entry: &Entry<'_>) {
        match self {
            Self::Lines => {}
            Self::Bulk { document_ids: false } => body.extend_from_slice(b"{\"create\":{}}\n"),
            Self::Bulk { document_ids: true } => {
                body.extend_from_slice(b"{\"create\":{\"_id\":\"");
                ids::write(body, entry.start, entry.end);
                body.extend_from_slice(b"\"}}\n");
            }
        }
    }
}

/// What is to be known of a document besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Where it goes; `None` for an output without targets.
    pub target: Option<&'a Arc<Target>>,
    /// The generation and the byte where its event begins.
    pub start: (&'a GenerationKey, u64),
    /// The generation and the byte after its event's last line.
    pub end: (&'a GenerationKey, u64),
    /// Whose it is.
    pub source: SourceId,
    /// The bytes of the log that it stands for.
    pub bytes: u64,
    /// Its time, in nanoseconds since 1970, where it is known.
    pub time: Option<i64>,
    /// Whether an earlier run of the agent may have sent it.
    pub sent_before: bool,
}

/// Puts documents together into batches. See the [module](super).
pub struct Assembler {
    settings: Settings,
    /// How long a batch begun now may wait: `first_wait` until one was sealed.
    wait: Duration,
    /// The batches that are being filled, none empty, each target once, the oldest first.
    open: Vec<Open>,
    /// Where in `open` the last document went: mostly the next goes there too.
    last: usize,
    /// Counts the batches that were begun.
    begun: u64,
    pub(super) receipts: Receipts,
    /// What goes with the next batch.
    records: Vec<Record>,
    /// When a batch without documents must go, for receipts and records that no other took along.
    bare_due: Option<Instant>,
    sealed: VecDeque<Batch>,
    /// Of the next batch that is sealed.
    sequence: u64,
    /// Bytes of the bodies in `open` and `sealed`.
    buffered: usize,
    /// Bodies for reuse, empty. Kept only while batches are sealed because they are full: a quiet node gives
    /// the memory back.
    pub(super) spare: Vec<Vec<u8>>,
    keeps_spare: bool,
}

/// A batch that is being filled.
struct Open {
    /// Its number among those begun, for [`Receipts`].
    number: u64,
    batch: Batch,
    /// When it is to be sealed even if it is not full.
    due: Instant,
    /// Those with items in it, each once.
    sources: Vec<SourceId>,
    /// Whose the last item was: the next is mostly the same's.
    last_source: Option<SourceId>,
}

impl Assembler {
    /// An assembler with nothing in it.
    pub fn new(settings: Settings) -> Self {
        let settings = Settings { max_bytes: settings.max_bytes.min(MAX_BYTES), ..settings };
        Self {
            settings,
            wait: settings.first_wait.min(settings.max_wait),
            open: Vec::new(),
            last: 0,
            begun: 0,
            receipts: Receipts::default(),
            records: Vec::new(),
            bare_due: None,
            sealed: VecDeque::new(),
            sequence: 0,
            buffered: 0,
            spare: Vec::new(),
            keeps_spare: false,
        }
    }

    /// Adds a document. `write` appends it, with its newline, to what it is given. Its source must have been
    /// marked before, and nothing of the event may lie below that mark.
    pub fn push(&mut self, entry: Entry<'_>, write: impl FnOnce(&mut Vec<u8>), now: Instant) {
        let mut at = self.open_for(entry.target, now);
        let body = &mut self.open[at].batch.body;
        let mut start = body.len();
        self.settings.layout.write_action(body, &entry);
        let action = body.len() - start;
        write(body);
        self.buffered += body.len() - start;
        if body.len() > self.settings.max_bytes && start > 0 {
            at = self.split_off(at, start, now);
            start = 0;
        }
        self.add(at, &entry, start, action);
        if self.open[at].batch.body.len() >= self.settings.max_bytes {
            self.keeps_spare = true;
            self.seal(at);
        }
    }

    /// Marks the lowest byte of a source that the reader still holds: to be called once before the source's
    /// first item, with the byte where reading begins (which is remembered already and makes no receipt), and
    /// after each block. Marks never go back.
    pub fn mark(&mut self, source: SourceId, key: &SourceKey, mark: Mark, now: Instant) {
        if self.receipts.mark(source, key, mark) {
            self.bare_due.get_or_insert(now + self.wait);
        }
    }

    /// Adds what must be durable before any batch that is sealed after this may leave. It goes with the next
    /// batch, whichever that is.
    pub fn record(&mut self, record: Record, now: Instant) {
        self.records.push(record);
        self.bare_due.get_or_insert(now + self.wait);
    }

    /// No more marks and items of the source will come. What is still open of it gets its receipt as ever.
    pub fn forget(&mut self, source: SourceId) {
        self.receipts.forget(source);
    }

    /// The next sealed batch, in the order of sealing.
    pub fn sealed(&mut self) -> Option<Batch> {
        let batch = self.sealed.pop_front()?;
        self.buffered -= batch.body.len();
        Some(batch)
    }

    /// Seals what has waited long enough.
    pub fn expire(&mut self, now: Instant) {
        let mut quiet = self.open.is_empty();
        while let Some(at) = self.open.iter().position(|open| open.due <= now) {
            quiet = true;
            self.seal(at);
        }
        if quiet {
            self.keeps_spare = false;
            self.spare.clear();
        }
        if self.bare_due.is_some_and(|due| due <= now) {
            self.seal_bare();
        }
    }

    /// Seals everything.
    pub fn flush(&mut self) {
        while !self.open.is_empty() {
            self.seal(0);
        }
        self.seal_bare();
    }

    /// When [`Assembler::expire`] will next have something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.due).chain(self.bare_due).min()
    }

    /// Bytes in bodies that were not handed out yet, and in empty ones.
    pub fn buffered_bytes(&self) -> usize {
        self.buffered + self.spare_bytes()
    }

    /// Bytes that the next documents find in bodies which are there already, empty.
    pub fn spare_bytes(&self) -> usize {
        self.spare.iter().map(Vec::capacity).sum()
    }

    /// Gives the memory of an empty body back; false when there is none.
    pub fn drop_spare(&mut self) -> bool {
        self.spare.pop().is_some()
    }

    /// Takes back the body of a settled batch for reuse.
    pub fn recycle(&mut self, mut body: Vec<u8>) {
        let usual = OVERHANG..=2 * (self.settings.max_bytes + OVERHANG);
        if self.keeps_spare && self.spare.len() < SPARE_BODIES && usual.contains(&body.capacity()) {
            body.clear();
            self.spare.push(body);
        }
    }

    /// Where in `open` the batch for `target` is; one is begun where there is none.
    fn open_for(&mut self, target: Option<&Arc<Target>>, now: Instant) -> usize {
        let is_for = |open: &Open| open.batch.target.as_ref() == target;
        if !self.open.get(self.last).is_some_and(is_for) {
            self.last = match self.open.iter().position(is_for) {
                Some(at) => at,
                None => {
                    let body = self.empty_body();
                    self.begin(target.cloned(), body, now)
                }
            };
        }
        self.last
    }

    fn empty_body(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| Vec::with_capacity(self.settings.max_bytes + OVERHANG))
    }

    fn begin(&mut self, target: Option<Arc<Target>>, body: Vec<u8>, now: Instant) -> usize {
        self.open.push(Open {
            number: self.begun,
            batch: Batch { target, body, ..Batch::default() },
            due: now + self.wait,
            sources: Vec::new(),
            last_source: None,
        });
        self.begun += 1;
        self.open.len() - 1
    }

    /// The bytes from `start` do not fit in the batch any more: it is sealed without them, and they begin the
    /// next, of which this gives the place.
    fn split_off(&mut self, at: usize, start: usize, now: Instant) -> usize {
        let mut next = self.empty_body();
        let full = &mut self.open[at].batch;
        next.extend_from_slice(&full.body[start..]);
        full.body.truncate(start);
        let target = full.target.clone();
        self.keeps_spare = true;
        self.seal(at);
        self.last = self.begin(target, next, now);
        self.last
    }

    /// Enters the document that was just written to the body: its action line begins at `start` and is `action`
    /// bytes long.
    fn add(&mut self, at: usize, entry: &Entry<'_>, start: usize, action: usize) {
        let open = &mut self.open[at];
        open.batch.items.push(Item {
            start: start as u32,
            document: (start + action) as u32,
            source: entry.source,
            bytes: u32::try_from(entry.bytes).unwrap_or(u32::MAX),
        });
        open.batch.sent_before |= entry.sent_before;
        open.batch.oldest = match (open.batch.oldest, entry.time) {
            (Some(oldest), Some(time)) => Some(oldest.min(time)),
            (oldest, time) => oldest.or(time),
        };
        if open.last_source != Some(entry.source) {
            open.last_source = Some(entry.source);
            if self.receipts.hold(entry.source, open.number) {
                open.sources.push(entry.source);
            }
        }
    }

    fn seal(&mut self, at: usize) {
        let open = self.open.remove(at);
        let receipts = self.receipts.seal(open.number, &open.sources);
        self.hand_out(Batch { receipts, ..open.batch });
    }

    /// Seals a batch of the receipts and records that no other took along, where there are any. They do not
    /// ride with documents: a batch that its target holds back would hold them back too.
    fn seal_bare(&mut self) {
        let receipts = self.receipts.take_moved();
        let batch = Batch { receipts, ..Batch::default() };
        if !(batch.is_empty() && self.records.is_empty()) {
            self.hand_out(batch);
        }
        self.bare_due = None;
    }

    fn hand_out(&mut self, batch: Batch) {
        let records = std::mem::take(&mut self.records);
        if !self.receipts.has_moved() {
            self.bare_due = None;
        }
        self.wait = self.settings.max_wait;
        self.sealed.push_back(Batch { sequence: self.sequence, records, ..batch });
        self.sequence += 1;
    }
}
