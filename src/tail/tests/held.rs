//! Files that lose their names while they are held.

use std::io::Read;

use super::super::chain::ORDINALS;
use super::{File, Log, Loss, Naming, PathBuf, Reached, Record, Resume, StartAt, Write, fs, numbers, range};
use crate::event::Rest;
use crate::tail::{Copying, Nameless};

fn holding(naming: Naming) -> Log {
    let mut log = Log::new(naming);
    log.chain.keep();
    log
}

impl Log {
    fn look(&mut self) -> Vec<Nameless> {
        self.chain.look(self.now, false);
        self.chain.nameless().collect()
    }

    /// Acknowledges all before an offset of a generation.
    fn acknowledge(&mut self, ordinal: u32, offset: u64) {
        let key = self.chain.keys().get(ordinal).unwrap();
        self.chain.acknowledged(&key, offset);
    }

    /// Copies a generation's rest, unpacked, to a file beside the log's folder.
    fn copy(&mut self, ordinal: u32) -> Rest {
        let (mut original, _) = self.chain.original(ordinal, self.now).unwrap().unwrap();
        let mut bytes = Vec::new();
        original.bytes.read_to_end(&mut bytes).unwrap();
        let path = self.path(&format!("copy-{ordinal}"));
        fs::write(&path, &bytes).unwrap();
        Rest {
            key: original.key,
            head_len: original.head_len,
            head: original.head,
            start: original.start,
            end: original.start + bytes.len() as u64,
            first_line: original.first_line,
            path,
            size: 7,
            open: |path| Ok(Box::new(File::open(path)?)),
        }
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }
}

/// Lines of one length.
const LINE: u64 = 48;

fn cri(from: usize, to: usize) -> String {
    (from..to).map(|index| format!("2026-11-22T10:00:00.{index:09}Z stdout F line {index:02}\n")).collect()
}

#[test]
fn what_is_read_is_held_until_it_is_acknowledged() {
    assert_eq!(cri(0, 1).len() as u64, LINE);
    let mut log = holding(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(log.lines().len(), 10);
    assert_eq!(log.look(), [], "it has a name");
    log.remove("0.log");
    let [held] = log.look()[..] else { panic!("it is held") };
    let expected = Nameless {
        ordinal: ORDINALS,
        since: log.now,
        bytes: 10 * LINE,
        is_copied: false,
        copying: Copying::NotYet,
    };
    assert_eq!(held, expected);
    log.acknowledge(ORDINALS, 4 * LINE);
    assert_eq!(log.look()[0].bytes, 6 * LINE);
    log.later(31).lines();
    assert!(log.chain.is_empty() && !log.chain.is_settled());
    assert_eq!(log.look()[0].bytes, 6 * LINE, "though it is read");
    log.acknowledge(ORDINALS, 10 * LINE);
    assert!(log.chain.is_settled());
    assert_eq!(log.look(), []);
}

#[test]
fn a_rest_is_read_where_its_generation_would_have_been() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = holding(naming);
        log.write("0.log", &cri(0, 10));
        assert_eq!(log.lines().len(), 10);
        log.rename("0.log", "0.log.20261122-100000");
        log.write("0.log", &cri(10, 20));
        log.survey();
        log.rename("0.log", "0.log.20261122-100010");
        log.write("0.log", &cri(20, 30));
        log.survey();
        log.remove("0.log.20261122-100000");
        log.remove("0.log.20261122-100010");
        log.acknowledge(ORDINALS, 4 * LINE);
        assert_eq!(log.look().len(), 2);
        let rests = vec![log.copy(ORDINALS), log.copy(2 * ORDINALS)];
        assert_eq!((rests[0].start, rests[0].end), (4 * LINE, 10 * LINE));
        assert_eq!(rests[0].first_line, cri(0, 1).trim_end().as_bytes());
        assert_eq!((rests[1].start, rests[1].end), (0, 10 * LINE));
        for (ordinal, rest) in rests.iter().enumerate() {
            log.chain.copied((ordinal as u32 + 1) * ORDINALS, Some(rest.clone()), log.now);
        }
        log.later(2).look();
        assert_eq!(
            log.look().iter().map(|held| held.bytes).collect::<Vec<_>>(),
            [7, 7],
            "only the copies are held"
        );
        assert_eq!(numbers(&log.lines()), range(10, 30), "the running agent reads them too: {naming:?}");

        let key = rests[0].key;
        let reached = Reached { key, offset: 6 * LINE, anchor: 0 };
        let resume =
            Resume { known: log.known.clone(), reached: Some(reached), start_at: StartAt::Beginning, rests };
        let mut log = Log::resuming(log.folder, naming, resume);
        assert_eq!(numbers(&log.lines()), range(6, 30), "{naming:?}");
        assert_eq!(log.chain.keys().get(ORDINALS), Some(key));
        assert_eq!(log.chain.take_losses(), []);
        assert_eq!(log.chain.take_discarded(), Vec::<PathBuf>::new());
    }
}

#[test]
fn a_rest_that_was_acknowledged_is_not_read_again() {
    let mut log = holding(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(log.lines().len(), 10);
    log.remove("0.log");
    log.look();
    let rest = log.copy(ORDINALS);
    let mut other = rest.clone();
    other.key.0[0] ^= 1;
    let reached = Reached { key: rest.key, offset: rest.end, anchor: 0 };
    let rests = vec![other.clone(), rest.clone()];
    let resume =
        Resume { known: log.known.clone(), reached: Some(reached), start_at: StartAt::Beginning, rests };
    let mut log = Log::resuming(log.folder, Naming::FirstLine, resume);
    assert!(log.lines().is_empty());
    assert_eq!(log.chain.take_discarded(), [other.path, rest.path]);
    assert!(log.chain.is_empty());
}

#[test]
fn what_the_checkpoint_has_forgotten_is_read_from_its_rest() {
    let mut log = holding(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(log.lines().len(), 10);
    log.remove("0.log");
    log.look();
    let resume = Resume { rests: vec![log.copy(ORDINALS)], ..Resume::default() };
    let mut log = Log::resuming(log.folder, Naming::FirstLine, resume);
    assert_eq!(numbers(&log.lines()), range(0, 10));
}

#[test]
fn a_file_that_went_on_after_it_was_copied_is_copied_anew() {
    let mut log = holding(Naming::FirstLine);
    let mut writer = File::create(log.path("0.log")).unwrap();
    writer.write_all(cri(0, 5).as_bytes()).unwrap();
    log.survey();
    log.remove("0.log");
    log.look();
    let first = log.copy(ORDINALS);
    log.chain.copied(ORDINALS, Some(first.clone()), log.now);
    assert!(log.look()[0].is_copied);
    writer.write_all(cri(5, 8).as_bytes()).unwrap();
    assert!(!log.look()[0].is_copied);
    let second = Rest { path: log.path("second"), ..log.copy(ORDINALS) };
    assert_eq!(second.end, 8 * LINE);
    log.chain.copied(ORDINALS, Some(second), log.now);
    assert_eq!(log.chain.take_discarded(), [first.path], "the old one is kept until then");
    assert!(log.look()[0].is_copied);
}

#[test]
fn a_file_that_was_empty_when_it_was_last_looked_at_can_be_copied() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = holding(naming);
        let mut writer = File::create(log.path("0.log")).unwrap();
        assert!(log.lines().is_empty());
        writer.write_all(cri(0, 3).as_bytes()).unwrap();
        log.remove("0.log");
        assert_eq!(log.look()[0].bytes, 3 * LINE, "{naming:?}");
        assert!(
            matches!(log.chain.take_records()[..], [Record::Generation { .. }]),
            "and the checkpoint knows of it"
        );
        assert_eq!(log.copy(ORDINALS).end, 3 * LINE);
    }
}

#[test]
fn of_what_is_given_up_only_the_unread_is_lost_and_once() {
    let mut log = holding(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(log.lines().len(), 10);
    let key = log.known[0].key;
    log.write("0.log", &cri(10, 13));
    log.remove("0.log");
    log.write("0.log", &cri(20, 30));
    log.survey();
    assert_eq!(log.look()[0].bytes, 13 * LINE);
    log.chain.give_up(ORDINALS);
    assert_eq!(log.chain.take_losses(), [Loss { bytes: 3 * LINE, reason: "held_files" }]);
    assert_eq!(log.look(), []);
    assert_eq!(numbers(&log.lines()), range(20, 30));
    let reached = Reached { key, offset: 4 * LINE, anchor: 0 };
    let mut log = log.restart_at(Some(reached));
    assert_eq!(numbers(&log.lines()), range(20, 30));
    assert_eq!(
        log.chain.take_losses(),
        [Loss { bytes: 6 * LINE, reason: "rotated" }],
        "what was read, not acknowledged"
    );
}

#[test]
fn a_file_that_lost_its_name_by_packing_is_held_packed() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = holding(naming);
        log.write("0.log", &cri(0, 10));
        log.survey();
        for round in 1..4 {
            let name = format!("0.log.20261122-10000{round}");
            log.rename("0.log", &name);
            log.write("0.log", &cri(round * 10, round * 10 + 10));
            log.survey();
            log.pack(&name);
            log.survey();
            assert_eq!(log.look(), [], "all have names: {naming:?}");
        }
        log.remove("0.log.20261122-100001.gz");
        assert_eq!(log.look().len(), 1);
        assert_eq!(numbers(&log.lines()), range(0, 40), "{naming:?}");
    }
}

#[test]
fn what_vanished_is_counted_with_what_was_seen_of_it() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(log.lines().len(), 10);
    let reached = Reached { key: log.chain.keys().get(ORDINALS).unwrap(), offset: 10 * LINE, anchor: 0 };
    log.write("0.log", &cri(10, 14));
    log.chain.look(log.now, true);
    log.rename("0.log", "0.log.20261122-100000");
    log.write("0.log", &cri(14, 20));
    log.survey();
    log.remove("0.log");
    log.remove("0.log.20261122-100000");
    log.write("0.log", &cri(50, 60));
    let mut log = log.restart_at(Some(reached));
    assert_eq!(numbers(&log.lines()), range(50, 60));
    assert_eq!(log.chain.take_losses(), [Loss { bytes: (4 + 6) * LINE, reason: "rotated" }]);
}
