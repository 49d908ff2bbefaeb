//! What the checkpoint says: the sum of all its records.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{GenerationKey, Record, SourceKey, Stream};

/// What is known of each source: what a start begins with, and what the store keeps in memory so that it can
/// write itself anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// By durable name.
    pub sources: BTreeMap<SourceKey, SavedSource>,
    /// The data streams that may have been sent to, and their indices; see [`Record::Stream`].
    pub streams: BTreeMap<Arc<str>, Vec<Arc<str>>>,
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
    /// How many bytes it held when it was last looked at.
    pub size: u64,
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
            Record::Generation { source, key, head_len, head, device, inode, start, size } => {
                let (head_len, head, device) = (*head_len, *head, *device);
                self.source(source).register(SavedGeneration {
                    key: *key,
                    head_len,
                    head,
                    device,
                    inode: *inode,
                    start: *start,
                    size: *size,
                });
            }
            Record::Size { source, key, size } => {
                let source = self.sources.get_mut(source);
                let known =
                    source.and_then(|source| source.generations.iter_mut().find(|known| known.key == *key));
                if let Some(known) = known {
                    known.size = *size;
                }
            }
            Record::Position { source, key, offset, anchor } => {
                self.source(source).move_to(SavedPosition { key: *key, offset: *offset, anchor: *anchor });
            }
            Record::Cut { source, key, offset, stream } => {
                self.source(source).cut(SavedCut { key: *key, offset: *offset, stream: *stream });
            }
            Record::Stream { name, indices } => {
                self.streams.insert(Arc::clone(name), indices.clone());
            }
            Record::Forget { source } => {
                self.sources.remove(source);
            }
        }
    }

    /// A generation's file was renamed, and is another source's by now: what is known of it goes along.
    pub fn move_generation(&mut self, from: &SourceKey, to: &SourceKey, key: GenerationKey) {
        let Some(former) = self.sources.get_mut(from) else { return };
        let Some(at) = former.generations.iter().position(|known| known.key == key) else { return };
        let generation = former.generations.remove(at);
        let position = former.position.take_if(|position| position.key == key);
        let cuts: Vec<_> = former.cuts.extract_if(.., |cut| cut.key == key).collect();
        let new = self.source(to);
        new.register(generation);
        if let Some(position) = position {
            new.move_to(position);
        }
        cuts.into_iter().for_each(|cut| new.cut(cut));
    }

    /// The fewest records that add up to this.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let streams = self.streams.iter();
        let streams = streams
            .map(|(name, indices)| Record::Stream { name: Arc::clone(name), indices: indices.clone() });
        streams.chain(self.sources.iter().flat_map(|(key, source)| source.records(key)))
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
        self.drop_settled();
    }

    fn move_to(&mut self, position: SavedPosition) {
        self.position = Some(position);
        self.drop_settled();
    }

    fn cut(&mut self, cut: SavedCut) {
        if !self.cuts.contains(&cut) {
            self.cuts.push(cut);
        }
        self.drop_settled();
    }

    /// Drops what lies before the position: older generations, the cuts in them, and the cuts before it in its own.
    fn drop_settled(&mut self) {
        let Some(position) = self.position else { return };
        let older = self.generations.iter().position(|known| known.key == position.key).unwrap_or(0);
        for older in self.generations.drain(..older) {
            self.cuts.retain(|cut| cut.key != older.key);
        }
        self.cuts.retain(|cut| cut.key != position.key || cut.offset > position.offset);
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
            size: generation.size,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> GenerationKey {
        GenerationKey([number; 9])
    }

    fn name() -> SourceKey {
        SourceKey(Arc::from("pod/1/web/0"))
    }

    fn generation(number: u8, head_len: u32) -> Record {
        Record::Generation {
            source: name(),
            key: key(number),
            head_len,
            head: 1,
            device: 2,
            inode: 3,
            start: 4,
            size: 6,
        }
    }

    fn position(number: u8, offset: u64) -> Record {
        Record::Position { source: name(), key: key(number), offset, anchor: 5 }
    }

    fn cut(number: u8, offset: u64, stream: Stream) -> Record {
        Record::Cut { source: name(), key: key(number), offset, stream }
    }

    fn sum(records: &[Record]) -> Saved {
        let mut saved = Saved::default();
        records.iter().for_each(|record| saved.apply(record));
        saved
    }

    type Keyed<T> = Vec<(GenerationKey, T)>;

    /// What is left of the only source, as (generations with their head's length, cuts).
    fn left(records: &[Record]) -> (Keyed<u32>, Keyed<u64>) {
        let saved = sum(records);
        assert_eq!(sum(&saved.records().collect::<Vec<_>>()), saved, "its records add up to it");
        let source = &saved.sources[&name()];
        (
            source.generations.iter().map(|generation| (generation.key, generation.head_len)).collect(),
            source.cuts.iter().map(|cut| (cut.key, cut.offset)).collect(),
        )
    }

    #[test]
    fn a_generation_seen_again_keeps_its_place() {
        let records = [generation(1, 10), generation(2, 10), generation(1, 20)];
        assert_eq!(left(&records).0, [(key(1), 20), (key(2), 10)]);
    }

    #[test]
    fn a_position_leaves_behind_what_is_settled() {
        let before = [
            generation(1, 10),
            cut(1, 900, Stream::Stdout),
            generation(2, 10),
            cut(2, 50, Stream::Stdout),
            cut(2, 51, Stream::Stderr),
            generation(3, 10),
            cut(3, 7, Stream::Stderr),
        ];
        assert_eq!(left(&before).0.len(), 3, "nothing is acknowledged yet");
        let after = [&before[..], &[position(2, 50)]].concat();
        assert_eq!(left(&after), (vec![(key(2), 10), (key(3), 10)], vec![(key(2), 51), (key(3), 7)]));
    }

    #[test]
    fn a_settled_cut_is_not_kept() {
        assert_eq!(left(&[generation(1, 10), position(1, 50), cut(1, 50, Stream::Stdout)]).1, []);
    }

    #[test]
    fn a_cut_is_kept_once_per_stream() {
        let cuts = [cut(1, 5, Stream::Stdout), cut(1, 5, Stream::Stderr), cut(1, 5, Stream::Stdout)];
        assert_eq!(left(&cuts).1.len(), 2);
    }

    #[test]
    fn of_a_stream_the_last_word_counts() {
        let stream = |indices: &[&str]| Record::Stream {
            name: "logs-a-b".into(),
            indices: indices.iter().map(|&name| name.into()).collect(),
        };
        let saved = sum(&[stream(&[]), generation(1, 10), stream(&["x-1", "x-2"])]);
        assert_eq!(saved.records().collect::<Vec<_>>(), [stream(&["x-1", "x-2"]), generation(1, 10)]);
    }

    #[test]
    fn the_size_of_what_is_settled_is_not_kept() {
        let size = |number, size| Record::Size { source: name(), key: key(number), size };
        let saved = sum(&[generation(1, 10), generation(2, 10), position(2, 5), size(1, 70), size(2, 80)]);
        let known: Vec<_> =
            saved.sources[&name()].generations.iter().map(|known| (known.key, known.size)).collect();
        assert_eq!(known, [(key(2), 80)]);
        assert_eq!(sum(&[size(1, 70)]), Saved::default());
    }

    #[test]
    fn a_forgotten_source_is_gone_and_may_come_again() {
        let forget = Record::Forget { source: name() };
        assert_eq!(sum(&[generation(1, 10), position(1, 5), forget.clone()]), Saved::default());
        assert_eq!(left(&[generation(1, 10), forget, generation(2, 10)]).0, [(key(2), 10)]);
    }

    #[test]
    fn a_generation_goes_to_another_source_with_all_that_is_known_of_it() {
        let (from, to) = (name(), SourceKey(Arc::from("file/other")));
        let mut saved = sum(&[
            generation(1, 10),
            position(1, 5),
            cut(1, 9, Stream::None),
            generation(2, 10),
            cut(2, 9, Stream::None),
        ]);
        let before = saved.clone();
        saved.move_generation(&from, &to, key(3));
        saved.move_generation(&to, &from, key(1));
        assert_eq!(saved, before, "what is not known does not move");
        saved.move_generation(&from, &to, key(1));
        let (old, new) = (&saved.sources[&from], &saved.sources[&to]);
        let keys =
            |source: &SavedSource| source.generations.iter().map(|known| known.key).collect::<Vec<_>>();
        assert_eq!((keys(old), keys(new)), (vec![key(2)], vec![key(1)]));
        assert_eq!((old.position, new.position), (None, before.sources[&from].position));
        assert_eq!((old.cuts.len(), new.cuts.len()), (1, 1));
        assert_eq!(sum(&saved.records().collect::<Vec<_>>()), saved);
    }
}
