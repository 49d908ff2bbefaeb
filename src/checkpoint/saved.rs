//! What the checkpoint says: the sum of all its records.

use std::collections::BTreeMap;

use crate::event::{GenerationKey, Record, SourceKey, Stream};

/// What is known of each source: what a start begins with, and what the store keeps in memory so that it can
/// write itself anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// By durable name.
    pub sources: BTreeMap<SourceKey, SavedSource>,
}

/// What is known of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedSource {
    /// The generations not older than that of `position`, in the order of their registration: oldest first.
    pub generations: Vec<SavedGeneration>,
    /// Where it may resume; `None` when nothing was acknowledged yet.
    pub position: Option<SavedPosition>,
    /// Where the clock ended events after `position`.
    pub cuts: Vec<SavedCut>,
}

/// A generation that was seen, see [`Record::Generation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedGeneration {
    /// Its name in document ids.
    pub key: GenerationKey,
    /// How many bytes at the file's start `head` covers.
    pub head_len: u32,
    /// Their xxh3 hash.
    pub head: u64,
    /// Device where it was last seen; 0 for none.
    pub device: u64,
    /// Inode where it was last seen; 0 for none.
    pub inode: u64,
    /// From where it is to be read when nothing of it was acknowledged yet.
    pub start: u64,
}

/// The lowest byte that is not acknowledged, see [`Record::Position`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedPosition {
    /// The generation; all before it are acknowledged.
    pub key: GenerationKey,
    /// The byte.
    pub offset: u64,
    /// A hash of the bytes just before it; 0 for none.
    pub anchor: u64,
}

/// Where the clock ended an event, see [`Record::Cut`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedCut {
    /// The generation in which the event's last line ends.
    pub key: GenerationKey,
    /// The byte after that line.
    pub offset: u64,
    /// The event's stream.
    pub stream: Stream,
}

impl Saved {
    /// Adds one record. Applying a record again changes nothing.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Generation { source, key, head_len, head, device, inode, start } => {
                let (head_len, head, device) = (*head_len, *head, *device);
                self.source(source).register(SavedGeneration {
                    key: *key,
                    head_len,
                    head,
                    device,
                    inode: *inode,
                    start: *start,
                });
            }
            Record::Position { source, key, offset, anchor } => {
                self.source(source).move_to(SavedPosition { key: *key, offset: *offset, anchor: *anchor });
            }
            Record::Cut { source, key, offset, stream } => {
                self.source(source).cut(SavedCut { key: *key, offset: *offset, stream: *stream });
            }
            Record::Forget { source } => {
                self.sources.remove(source);
            }
        }
    }

    /// The fewest records that add up to this.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        self.sources.iter().flat_map(|(key, source)| source.records(key))
    }

    fn source(&mut self, key: &SourceKey) -> &mut SavedSource {
        self.sources.entry(key.clone()).or_default()
    }
}

impl SavedSource {
    fn register(&mut self, generation: SavedGeneration) {
        match self.generations.iter_mut().find(|known| known.key == generation.key) {
            Some(known) => *known = generation,
            None => self.generations.push(generation),
        }
    }

    /// Moves on, and drops what lies behind: older generations and the cuts in them or before the position.
    fn move_to(&mut self, position: SavedPosition) {
        self.position = Some(position);
        let behind = self.generations.iter().position(|known| known.key == position.key).unwrap_or(0);
        let older: Vec<_> = self.generations.drain(..behind).map(|generation| generation.key).collect();
        self.cuts.retain(|cut| !older.contains(&cut.key) && !position.is_past(cut));
    }

    fn cut(&mut self, cut: SavedCut) {
        let settled = self.position.is_some_and(|position| position.is_past(&cut));
        if !settled && !self.cuts.contains(&cut) {
            self.cuts.push(cut);
        }
    }

    fn records(&self, source: &SourceKey) -> impl Iterator<Item = Record> {
        let generations = self.generations.iter().map(|generation| Record::Generation {
            source: source.clone(),
            key: generation.key,
            head_len: generation.head_len,
            head: generation.head,
            device: generation.device,
            inode: generation.inode,
            start: generation.start,
        });
        let position = self.position.map(|SavedPosition { key, offset, anchor }| Record::Position {
            source: source.clone(),
            key,
            offset,
            anchor,
        });
        let cuts = self.cuts.iter().map(|&SavedCut { key, offset, stream }| Record::Cut {
            source: source.clone(),
            key,
            offset,
            stream,
        });
        generations.chain(position).chain(cuts)
    }
}

impl SavedPosition {
    /// Whether the event that ended at `cut` lies wholly before this position of the same generation.
    fn is_past(&self, cut: &SavedCut) -> bool {
        cut.key == self.key && cut.offset <= self.offset
    }
}
