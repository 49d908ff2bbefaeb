//! What travels from the reader to the output, and what comes of it.

use std::sync::Arc;

use super::{GenerationKey, SourceId, SourceKey, Stream};

/// Where documents go: the URL of a bulk request without the host. Compared by value; shared by [`Arc`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The data stream's or index's name.
    pub name: String,
    /// Which of the two it is.
    pub kind: TargetKind,
    /// The ingest pipeline; empty for none.
    pub pipeline: String,
}

/// What a [`Target`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// A data stream, made by Elasticsearch at the first document if a template matches.
    DataStream,
    /// A plain index.
    Index,
}

/// One document of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Where its action line begins in [`Batch::body`]; it ends where the next begins.
    pub start: u32,
    /// Where its document begins: after the action line's newline. For outputs without action lines, `start`.
    pub document: u32,
    /// Whose it is.
    pub source: SourceId,
    /// The bytes of the log that it stands for, for the accounts.
    pub bytes: u32,
}

/// What one source had to do with a batch: how far it may be remembered once this batch and all before it
/// are settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The source.
    pub source: SourceId,
    /// Its durable name.
    pub key: SourceKey,
    /// Counts the receipts of this source from 0: the ledger settles them in this order, gaps are waited for.
    pub index: u64,
    /// The generation that holds the lowest byte which the reader still holds after this batch (an event not
    /// given out yet, or the next byte to read).
    pub generation: GenerationKey,
    /// That byte.
    pub offset: u64,
    /// A hash of the bytes just before `offset` (plain files; see `tail::identity`), 0 for none.
    pub anchor: u64,
}

/// What must be durable before a batch that holds it may leave, or what the checkpoint keeps of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A generation was seen: its name and how to know it again.
    Generation {
        /// The source.
        source: SourceKey,
        /// The generation's name in document ids.
        key: GenerationKey,
        /// How many bytes at the file's start `head` covers.
        head_len: u32,
        /// Their xxh3 hash.
        head: u64,
        /// Device and inode where it was last seen; 0 for none.
        device: u64,
        /// See `device`.
        inode: u64,
        /// From where it is to be read when nothing of it was acknowledged yet (`start_at: end`), else 0.
        start: u64,
        /// How many bytes it held when it was last looked at: what is lost at least, should it vanish.
        size: u64,
    },
    /// A generation that is known holds so many bytes by now; one that is not known any more was acknowledged.
    Size {
        /// The source.
        source: SourceKey,
        /// The generation.
        key: GenerationKey,
        /// See [`Record::Generation`].
        size: u64,
    },
    /// All of the source before this byte of this generation is acknowledged, and all generations before it.
    Position {
        /// The source.
        source: SourceKey,
        /// The generation.
        key: GenerationKey,
        /// The lowest byte not acknowledged.
        offset: u64,
        /// See [`Receipt::anchor`].
        anchor: u64,
    },
    /// The clock ended an event here: a replay ends it here too.
    Cut {
        /// The source.
        source: SourceKey,
        /// The generation in which the event's last line ends.
        key: GenerationKey,
        /// The byte after that line.
        offset: u64,
        /// The event's stream.
        stream: Stream,
    },
    /// Documents may have been sent to this data stream.
    Stream {
        /// Its name.
        name: Arc<str>,
        /// The backing indices that acknowledged documents named, the current one last, as far back as something
        /// may be unsettled. Empty where none is known.
        indices: Vec<Arc<str>>,
    },
    /// The source's files are gone and all of it is settled.
    Forget {
        /// The source.
        source: SourceKey,
    },
}

/// Documents for one target, with what may be remembered once they are settled.
#[derive(Debug, Default)]
pub struct Batch {
    /// Counts the batches of this process, over all targets, in the order in which the reader gave them out.
    pub sequence: u64,
    /// Where it goes; `None` for an output without targets (standard output) and for a batch of receipts alone.
    pub target: Option<Arc<Target>>,
    /// Bulk lines (`action\ndocument\n`…), or what standard output prints.
    pub body: Vec<u8>,
    /// The documents in `body`, in order; empty when the batch only carries receipts.
    pub items: Vec<Item>,
    /// One for each source that this batch moves on, documents or not.
    pub receipts: Vec<Receipt>,
    /// What must be durable before the batch may leave.
    pub records: Vec<Record>,
    /// The earliest time of an event within, in nanoseconds since 1970; `None` when it has none.
    pub oldest: Option<i64>,
    /// Whether an earlier run of the agent may have sent documents of it.
    pub sent_before: bool,
}

impl Batch {
    /// The bytes of item `index`: action line and document, newlines included.
    pub fn item(&self, index: usize) -> &[u8] {
        &self.body[self.items[index].start as usize..self.item_end(index)]
    }

    /// The document of item `index`, newline included.
    pub fn document(&self, index: usize) -> &[u8] {
        &self.body[self.items[index].document as usize..self.item_end(index)]
    }

    fn item_end(&self, index: usize) -> usize {
        self.items.get(index + 1).map_or(self.body.len(), |next| next.start as usize)
    }

    /// Whether there is nothing in it at all, not even a receipt.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.receipts.is_empty() && self.records.is_empty()
    }
}

/// What became of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Stored.
    Shipped,
    /// Stored already: a 409 on `create`.
    Duplicate,
    /// Refused for good and kept as a dead letter.
    DeadLetter,
    /// Refused for good and not kept.
    Dropped,
}

/// A batch that the output is done with: each of its documents has a verdict.
#[derive(Debug)]
pub struct Settled {
    /// The batch as it came; `body` may have been taken.
    pub batch: Batch,
    /// One verdict for each of its items, in order.
    pub verdicts: Vec<Verdict>,
}
