//! Crashes at every byte, full disks, damaged files.

use std::path::Path;
use std::sync::Arc;

use super::super::seed;
use super::super::wreck::{Death, Wreck};
use super::*;
use crate::event::{GenerationKey, SourceKey, Stream};

fn name(source: u64) -> SourceKey {
    SourceKey(Arc::from(format!("pod/0a1b/web/{source}")))
}

fn generation(source: u64, number: u8) -> Record {
    let (source, key) = (name(source), GenerationKey([number; 9]));
    Record::Generation {
        source,
        key,
        head_len: 120,
        head: u64::MAX - 7,
        device: 1,
        inode: 2,
        start: 0,
        size: 0,
    }
}

fn position(source: u64, number: u8, offset: u64) -> Record {
    Record::Position { source: name(source), key: GenerationKey([number; 9]), offset, anchor: offset ^ 0xff }
}

fn cut(source: u64, number: u8, offset: u64) -> Record {
    Record::Cut { source: name(source), key: GenerationKey([number; 9]), offset, stream: Stream::Stderr }
}

fn open(disk: &Wreck) -> (Store<Wreck>, Saved) {
    Store::open_on(disk.clone(), Path::new("/data"), Timestamp::UNIX_EPOCH).unwrap()
}

/// A store's life: what was appended, and how much of it was promised.
struct Life {
    store: Store<Wreck>,
    /// What the first `n` records say, by `n`.
    states: Vec<Saved>,
    /// Records whose append was durable.
    durable: usize,
    /// Records whose append succeeded.
    written: usize,
}

impl Life {
    fn new(disk: &Wreck) -> Self {
        Self { store: open(disk).0, states: vec![Saved::default()], durable: 0, written: 0 }
    }

    /// Appends records that were not tried before.
    fn append(&mut self, records: &[Record], durable: bool) -> io::Result<()> {
        for record in records {
            let mut next = self.states.last().cloned().unwrap_or_default();
            next.apply(record);
            self.states.push(next);
        }
        self.retry(records, durable)
    }

    fn retry(&mut self, records: &[Record], durable: bool) -> io::Result<()> {
        self.store.append(records, durable)?;
        self.written = self.states.len() - 1;
        if durable {
            self.durable = self.written;
        }
        Ok(())
    }

    /// Every disk that may be found after a death now is a state between what was promised and what was tried, and
    /// goes on from there.
    fn check(&self, disk: &Wreck, what: &str) {
        for (death, survivor) in disk.survivors() {
            let (mut store, saved) = open(&survivor);
            let promised = if death == Death::Process { self.written } else { self.durable };
            let found = self.states[promised..].contains(&saved);
            assert!(found, "{what}, {death:?}: {saved:#?}\nis none of\n{:#?}", &self.states[promised..]);
            assert_eq!(store.damage(), None, "{what}, {death:?}");
            let mut expected = saved;
            expected.apply(&position(9, 9, 9));
            store.append(&[position(9, 9, 9)], true).unwrap();
            assert_eq!(open(&survivor).1, expected, "{what}, {death:?}: after going on");
        }
    }
}

/// Appends of all kinds, with the file written anew in between.
fn live(life: &mut Life) -> io::Result<()> {
    life.append(&[generation(1, 1), generation(2, 1)], true)?;
    life.append(&[position(1, 1, 100), cut(1, 1, 150)], false)?;
    life.append(&[position(2, 1, 70)], true)?;
    life.store.write_anew()?;
    life.append(&[cut(2, 1, 90), generation(1, 2), position(1, 2, 10)], false)?;
    life.store.write_anew()?;
    life.append(&[cut(1, 2, 40)], true)?;
    life.append(&[Record::Forget { source: name(2) }, position(1, 2, 50)], false)
}

#[test]
fn a_crash_at_any_step_leaves_what_was_promised() {
    let whole = Wreck::default();
    live(&mut Life::new(&whole)).unwrap();
    let steps = whole.state().spent;
    assert!(steps > 1_000, "{steps} steps are few");
    for steps in 0..=steps {
        let disk = Wreck::crashing_after(steps);
        let mut life = Life::new(&disk);
        let lived = live(&mut life);
        assert_eq!(lived.is_ok(), steps == whole.state().spent);
        life.check(&disk, &format!("after {steps} steps"));
    }
}

#[test]
fn failing_calls_and_crashes_between_them_leave_what_was_promised() {
    let seed = seed();
    for round in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(round));
        let disk = Wreck::flaky(random.u32(2..6), random.u64(..));
        let mut life = Life::new(&disk);
        for step in 0..30 {
            let (source, number, offset) = (random.u64(0..3), random.u8(1..4), random.u64(..1_000));
            let records = match random.u8(..8) {
                0 => vec![generation(source, number)],
                1 => vec![cut(source, number, offset)],
                2 => vec![Record::Forget { source: name(source) }],
                3 => vec![
                    generation(source, number),
                    position(source, number, offset),
                    cut(source, number, 1_001),
                ],
                _ => vec![position(source, number, offset)],
            };
            let durable = random.bool();
            let mut tried = life.append(&records, durable);
            life.check(&disk, &format!("seed {seed}, round {round}, step {step}, {tried:?}"));
            while tried.is_err() {
                tried = life.retry(&records, durable);
                life.check(&disk, &format!("seed {seed}, round {round}, step {step} again, {tried:?}"));
            }
            if random.u8(..4) == 0 {
                life.store.due = 0;
                let _ = life.store.compact_if_due();
                life.check(&disk, &format!("seed {seed}, round {round}, step {step}, written anew"));
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_space() {
    let disk = Wreck::default();
    let mut life = Life::new(&disk);
    life.append(&[generation(1, 1)], true).unwrap();
    let full = disk.read(FILE).unwrap().unwrap().len() + 30;
    disk.state().space = Some(full);
    for _ in 0..3 {
        let refused = life.retry(&[position(1, 1, 100)], true).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        life.states.truncate(2);
        life.check(&disk, "full");
    }
    life.store.due = 0;
    assert!(life.store.compact_if_due().is_err(), "no space for a second file");
    assert_eq!(disk.names(), [FILE], "the space is given back");
    disk.state().space = None;
    life.append(&[position(1, 1, 100)], true).unwrap();
    life.check(&disk, "space again");
}

#[test]
fn a_file_that_was_removed_is_written_anew() {
    let mut disk = Wreck::default();
    let mut life = Life::new(&disk);
    life.append(&[generation(1, 1), position(1, 1, 7)], true).unwrap();
    disk.remove(FILE).unwrap();
    assert!(life.append(&[position(1, 1, 8)], true).is_err());
    life.retry(&[position(1, 1, 8)], true).unwrap();
    life.check(&disk, "written anew");
}

/// A checkpoint of three lines below its header, and where each line ends.
fn three_lines() -> (Vec<u8>, Vec<usize>) {
    let disk = Wreck::default();
    let mut store = open(&disk).0;
    store.append(&[generation(1, 1), position(1, 1, 7), position(2, 1, 9)], true).unwrap();
    let bytes = disk.read(FILE).unwrap().unwrap();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    (bytes, ends)
}

#[test]
fn a_torn_last_line_is_cut_off_in_silence() {
    let (bytes, ends) = three_lines();
    let mut expected = Saved::default();
    expected.apply(&generation(1, 1));
    expected.apply(&position(1, 1, 7));
    for len in ends[2]..bytes.len() {
        let disk = Wreck::holding(FILE, &bytes[..len]);
        let (mut store, saved) = open(&disk);
        assert_eq!((&saved, store.damage()), (&expected, None), "{len} bytes");
        store.append(&[position(2, 1, 9)], true).unwrap();
        assert_eq!(disk.read(FILE).unwrap().unwrap(), bytes, "{len} bytes");
    }
}

#[test]
fn any_flipped_bit_is_noticed_and_the_other_lines_are_kept() {
    let (bytes, ends) = three_lines();
    let whole = line::read(&bytes).unwrap().saved;
    for at in 0..bytes.len() {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1 << (at % 8);
        let disk = Wreck::holding(FILE, &spoilt);
        let (mut store, saved) = open(&disk);
        if at + 1 == bytes.len() {
            assert_eq!(store.damage(), None, "without its newline the last line is torn");
            continue;
        }
        let damage = store.damage().cloned().unwrap_or_else(|| panic!("bit in byte {at} was not noticed"));
        assert_eq!(damage.aside, "checkpoint.damaged-19700101T000000Z");
        assert_eq!(disk.read(&damage.aside).unwrap().unwrap(), spoilt, "kept as it was");
        assert!(
            damage.to_string().contains("1 lines could not be read")
                || spoilt[at] == b'\n'
                || bytes[at] == b'\n'
        );
        if at < ends[0] - 1 {
            assert_eq!(saved, whole, "only the header is lost");
        }
        store.append(&[position(3, 1, 1)], true).unwrap();
        let (again, resaved) = open(&disk);
        assert_eq!(again.damage(), None, "said once");
        assert_eq!(&resaved, store.saved());
    }
}

#[test]
fn a_crash_while_a_damaged_file_is_set_aside_loses_none_of_it() {
    let (mut spoilt, ends) = three_lines();
    spoilt[ends[1] - 5] ^= 1;
    let whole = Wreck::holding(FILE, &spoilt);
    open(&whole);
    let steps = whole.state().spent;
    for steps in 0..=steps {
        let disk = Wreck::holding(FILE, &spoilt);
        disk.sync_all();
        disk.state().steps = Some(steps);
        let _ = Store::open_on(disk.clone(), Path::new("/data"), Timestamp::UNIX_EPOCH);
        for (death, survivor) in disk.survivors() {
            let kept = survivor.names().iter().any(|name| survivor.read(name).unwrap().unwrap() == spoilt);
            assert!(kept, "after {steps} steps, {death:?}: the damaged file is gone");
            assert_eq!(open(&survivor).1.sources.len(), 2, "after {steps} steps, {death:?}");
        }
    }
}

#[test]
fn a_newer_version_is_refused() {
    let json = br#"{"checkpoint":{"version":2}}"#;
    let line = [format!("{:08x} ", crc32fast::hash(json)).as_bytes(), json, b"\nwhatever\n"].concat();
    let disk = Wreck::holding(FILE, &line);
    let error = Store::open_on(disk, Path::new("/data"), Timestamp::UNIX_EPOCH).unwrap_err();
    assert_eq!(
        error.to_string(),
        "reading /data/checkpoint: the checkpoint has version 2, and this agent knows versions up to 1; run the newer \
         agent, or move the file away to begin anew"
    );
}

#[test]
fn ten_thousand_dead_files_take_little_and_nothing_when_forgotten() {
    let disk = Wreck::default();
    let mut store = open(&disk).0;
    for turn in 0..4 {
        for source in 0..10_000 {
            let cuts = [cut(source, turn, 5), cut(source, turn, 6)];
            store.append(&[generation(source, turn), position(source, turn, 3)], false).unwrap();
            store.append(&cuts, false).unwrap();
            store.append(&[position(source, turn, 100)], false).unwrap();
            store.compact_if_due().unwrap();
        }
    }
    let most = 2 * 10_000 * 420 + SLACK;
    assert!(store.size() < most, "{} bytes", store.size());
    assert!(
        store.saved().sources.values().all(|source| source.generations.len() == 1 && source.cuts.is_empty())
    );
    for source in 0..10_000 {
        store.append(&[Record::Forget { source: name(source) }], false).unwrap();
        store.compact_if_due().unwrap();
    }
    store.due = 0;
    store.compact_if_due().unwrap();
    assert!(store.size() < 100, "{} bytes", store.size());
    assert_eq!(open(&disk).1, Saved::default());
}
