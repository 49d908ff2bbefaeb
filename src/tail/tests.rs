//! Stories of one log: written, rotated, packed, truncated, deleted, resumed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::chain::ORDINALS;
use super::{Chain, Head, Known, Loss, Naming, Reached, Resume, StartAt, Turn};
use crate::event::{GenerationFile, GenerationKey, Record, SourceKey};

mod held;
mod inherited;
mod late;
mod steps;
mod truncated;

/// A log's folder, and a chain over it with a clock of its own.
struct Log {
    folder: tempfile::TempDir,
    naming: Naming,
    chain: Chain,
    now: Instant,
    known: Vec<Known>,
}

impl Log {
    fn new(naming: Naming) -> Self {
        Self::resuming(tempfile::tempdir().unwrap(), naming, Resume::default())
    }

    fn resuming(folder: tempfile::TempDir, naming: Naming, resume: Resume) -> Self {
        let live = folder.path().join("0.log");
        let known = resume.known.clone();
        let chain = Chain::new(SourceKey("test".into()), naming, live, 1 << 20, resume);
        Self { folder, naming, chain, now: Instant::now(), known }
    }

    /// The agent is killed and starts again; all that it had read was acknowledged.
    fn restart(mut self) -> Self {
        let low = self.chain.position().unwrap();
        let reached = self.chain.durable(low).map(|(key, offset, anchor)| Reached { key, offset, anchor });
        self.restart_at(reached)
    }

    /// The agent is killed and starts again with what was acknowledged.
    fn restart_at(self, reached: Option<Reached>) -> Self {
        let resume = Resume { known: self.known, reached, start_at: StartAt::Beginning, rests: Vec::new() };
        Self::resuming(self.folder, self.naming, resume)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn pack(&self, name: &str) {
        let mut packed = Vec::new();
        let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
        encoder.write_all(&fs::read(self.path(name)).unwrap()).unwrap();
        encoder.finish().unwrap();
        fs::write(self.path(&format!("{name}.tmp")), packed).unwrap();
        self.rename(&format!("{name}.tmp"), &format!("{name}.gz"));
        fs::remove_file(self.path(name)).unwrap();
    }

    fn survey(&mut self) {
        let files = listed(self.folder.path());
        assert!(self.chain.survey(&files, self.now).unwrap().is_empty());
        for record in self.chain.take_records().into_iter().chain(self.chain.take_notes()) {
            if let Record::Size { key, size, .. } = record
                && let Some(known) = self.known.iter_mut().find(|known| known.key == key)
            {
                known.size = size;
            }
            if let Record::Generation { key, head_len, head, device, inode, start, size, .. } = record {
                self.known.retain(|known| known.key != key);
                self.known.push(Known {
                    key,
                    head: Head { len: head_len, hash: head },
                    device,
                    inode,
                    start,
                    size,
                });
            }
        }
    }

    /// All lines that are there now, with the survey that a notification would bring.
    fn lines(&mut self) -> Vec<String> {
        self.survey();
        let mut out = Vec::new();
        let mut buffer = vec![0; 4096];
        loop {
            match self.chain.turn(&mut buffer, self.now).unwrap() {
                Turn::Lines(lines) => {
                    out.extend(
                        lines.into_iter().map(|line| String::from_utf8_lossy(line.bytes).into_owned()),
                    );
                }
                Turn::Long(..) => panic!("no long lines here"),
                Turn::Progress => {}
                Turn::Survey => self.survey(),
                Turn::End => break,
            }
        }
        self.survey();
        out
    }

    fn later(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }
}

fn listed(folder: &Path) -> Vec<GenerationFile> {
    crate::discover::generations(&folder.join("0.log")).unwrap()
}

fn cri(from: usize, to: usize) -> String {
    (from..to).map(|index| format!("2026-11-22T10:00:00.{index:09}Z stdout F line {index}\n")).collect()
}

fn numbers(lines: &[String]) -> Vec<usize> {
    lines.iter().map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
}

fn range(from: usize, to: usize) -> Vec<usize> {
    (from..to).collect()
}

#[test]
fn rotation_as_the_kubelet_does_it() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = Log::new(naming);
        log.write("0.log", &cri(0, 10));
        assert_eq!(numbers(&log.lines()), range(0, 10));
        log.rename("0.log", "0.log.20261122-100000");
        log.write("0.log.20261122-100000", &cri(10, 15));
        log.write("0.log", &cri(16, 20));
        // The runtime may still write to the renamed file: the new one waits.
        assert_eq!(numbers(&log.lines()), range(10, 15));
        log.write("0.log.20261122-100000", &cri(15, 16));
        assert_eq!(numbers(&log.lines()), [15]);
        assert_eq!(numbers(&log.later(2).lines()), range(16, 20));
        log.pack("0.log.20261122-100000");
        log.rename("0.log", "0.log.20261122-100010");
        log.write("0.log", &cri(20, 30));
        assert!(numbers(&log.lines()).is_empty());
        log.chain.closed(&log.path("0.log.20261122-100010"));
        assert_eq!(numbers(&log.lines()), range(20, 30));
    }
}

#[test]
fn a_failed_reopen_renames_back() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    log.lines();
    log.rename("0.log", "0.log.20261122-100000");
    log.survey();
    log.write("0.log.20261122-100000", &cri(10, 12));
    log.rename("0.log.20261122-100000", "0.log");
    log.write("0.log", &cri(12, 13));
    assert_eq!(numbers(&log.lines()), range(10, 13));
}

#[test]
fn many_rotations_unseen_are_caught_up_in_order() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = Log::new(naming);
        log.write("0.log", &cri(0, 10));
        assert_eq!(numbers(&log.lines()), range(0, 10));
        log.write("0.log", &cri(10, 20));
        for (round, name) in ["0.log.20261122-100000", "0.log.20261122-100010", "0.log.20261122-100020"]
            .into_iter()
            .enumerate()
        {
            log.rename("0.log", name);
            if round < 2 {
                log.pack(name);
            }
            log.write("0.log", &cri(20 + round * 10, 30 + round * 10));
        }
        let mut log = log.restart();
        let mut seen = numbers(&log.lines());
        seen.extend(numbers(&log.later(2).lines()));
        assert_eq!(seen, range(10, 50), "{naming:?}");
    }
}

#[test]
fn what_rotated_away_before_the_restart_is_said_to_be_lost() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    log.lines();
    fs::remove_file(log.path("0.log")).unwrap();
    log.write("0.log", &cri(10, 20));
    let mut log = log.restart();
    assert_eq!(numbers(&log.lines()), range(10, 20));
    assert_eq!(log.chain.take_losses(), [Loss { bytes: 0, reason: "rotated" }]);
}

#[test]
fn a_reused_inode_is_no_identity() {
    // The kubelet's rotation gives the live file one of two inodes in turn; play it on the saved record.
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    log.lines();
    fs::write(log.path("0.log"), cri(50, 70)).unwrap();
    let inode = fs::metadata(log.path("0.log")).unwrap().ino();
    assert_eq!(log.known[0].inode, inode);
    let mut log = log.restart();
    assert_eq!(numbers(&log.lines()), range(50, 70));
}

#[test]
fn a_plain_file_of_which_nothing_is_acknowledged_is_read_from_its_start_again() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", &cri(0, 5));
    log.lines();
    let acknowledged = log.chain.position().unwrap();
    let (key, offset, anchor) = log.chain.durable(acknowledged).unwrap();
    log.rename("0.log", "0.log.1");
    log.write("0.log", &cri(5, 6));
    log.lines();
    log.write("0.log", &cri(6, 7));
    assert_eq!(numbers(&log.later(2).lines()), range(5, 7));
    // It is told better by now, but nothing of it is acknowledged.
    log.chain.lengthen_head();
    log.survey();
    let reached = Some(Reached { key, offset, anchor });
    let resume = Resume { known: log.known, reached, start_at: StartAt::Beginning, rests: Vec::new() };
    let mut log = Log::resuming(log.folder, Naming::Mark, resume);
    log.lines();
    assert_eq!(numbers(&log.later(2).lines()), range(5, 7));
}

#[test]
fn a_late_line_in_a_rotated_file_does_not_bring_it_all_again() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", &cri(0, 5));
    log.lines();
    log.rename("0.log", "0.log.1");
    log.write("0.log", "");
    log.lines();
    assert!(log.later(2).lines().is_empty());
    log.write("0.log.1", &cri(5, 6));
    assert!(log.later(2).lines().is_empty(), "it was closed a second after its successor came");
    log.write("0.log", &cri(6, 8));
    assert_eq!(numbers(&log.later(2).lines()), range(6, 8));
}

#[test]
fn two_plain_files_that_begin_alike_have_names_of_their_own() {
    let mut names: Vec<GenerationKey> = Vec::new();
    for _ in 0..2 {
        let mut log = Log::new(Naming::Mark);
        log.write("0.log", "banner\n");
        log.lines();
        names.push(log.known[0].key);
    }
    assert_ne!(names[0], names[1]);
}

#[test]
fn short_and_empty_files_keep_their_name() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = Log::new(naming);
        log.write("0.log", "");
        assert!(numbers(&log.lines()).is_empty());
        log.write("0.log", "7");
        assert!(numbers(&log.lines()).is_empty());
        log.write("0.log", "7\n");
        assert_eq!(numbers(&log.lines()), [77]);
        let key = log.known.last().unwrap().key;
        log.write("0.log", "8\n");
        let mut log = log.restart();
        assert_eq!(numbers(&log.lines()), [8]);
        assert_eq!(log.chain.keys().get(ORDINALS), Some(key));
    }
}

#[test]
fn a_deleted_file_is_read_to_its_end() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 5));
    log.survey();
    log.write("0.log", &cri(5, 10));
    fs::remove_file(log.path("0.log")).unwrap();
    assert_eq!(numbers(&log.lines()), range(0, 10));
    assert_eq!(log.chain.held_files().deleted, 1);
    log.later(31).lines();
    assert!(log.chain.is_empty());
}

#[test]
fn the_same_path_with_new_content_is_another_generation() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    log.survey();
    fs::remove_file(log.path("0.log")).unwrap();
    log.write("0.log", &cri(30, 40));
    let mut seen = numbers(&log.lines());
    seen.extend(numbers(&log.later(2).lines()));
    assert_eq!(seen, [range(0, 10), range(30, 40)].concat());
}

#[test]
fn only_what_comes_is_wanted() {
    let resume = Resume::fresh(StartAt::End);
    let mut log = Log::resuming(tempfile::tempdir().unwrap(), Naming::FirstLine, resume);
    log.write("0.log.20261122-100000", &cri(0, 10));
    log.write("0.log", &cri(10, 20));
    assert!(numbers(&log.lines()).is_empty());
    log.write("0.log", &cri(20, 25));
    assert_eq!(numbers(&log.lines()), range(20, 25));
}

#[test]
fn a_folder_that_changes_while_it_is_looked_at_is_listed_again() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(numbers(&log.lines()), range(0, 10));
    log.rename("0.log", "0.log.20261122-100000");
    log.write("0.log", &cri(10, 20));
    let mut log = log.restart();
    let stale = listed(log.folder.path());
    log.pack("0.log.20261122-100000");
    assert_eq!(log.chain.survey(&stale, log.now).unwrap_err(), super::Changed);
    assert_eq!(numbers(&log.lines()), range(10, 20));
    assert_eq!(log.chain.take_losses(), []);
}

#[test]
fn another_file_in_the_place_of_a_listed_one_hides_nothing() {
    let mut log = Log::new(Naming::FirstLine);
    log.write("0.log", &cri(0, 10));
    assert_eq!(numbers(&log.lines()), range(0, 10));
    log.rename("0.log", "0.log.20261122-100000");
    log.write("0.log", &cri(10, 11));
    let stale = listed(log.folder.path());
    log.rename("0.log", "0.log.20261122-100010");
    log.write("0.log", &cri(11, 20));
    assert_eq!(log.chain.survey(&stale, log.now).unwrap_err(), super::Changed);
    let mut seen = numbers(&log.lines());
    seen.extend(numbers(&log.later(2).lines()));
    seen.extend(numbers(&log.later(2).lines()));
    assert_eq!(seen, range(10, 20));
}

#[test]
fn a_file_that_was_seen_empty_is_known_when_it_is_packed() {
    for naming in [Naming::FirstLine, Naming::Mark] {
        let mut log = Log::new(naming);
        log.write("0.log", &cri(0, 5));
        log.survey();
        log.rename("0.log", "0.log.20261122-100000");
        log.write("0.log", "");
        log.survey();
        log.write("0.log", &cri(5, 10));
        log.rename("0.log", "0.log.20261122-100010");
        log.pack("0.log.20261122-100010");
        log.write("0.log", &cri(10, 15));
        let mut seen = numbers(&log.lines());
        seen.extend(numbers(&log.later(2).lines()));
        seen.extend(numbers(&log.later(2).lines()));
        assert_eq!(seen, range(0, 15), "{naming:?}");
    }
}

#[test]
fn a_file_that_may_not_be_opened_is_tried_again() {
    let mut log = Log::new(Naming::FirstLine);
    std::os::unix::fs::symlink("0.log", log.path("0.log")).unwrap();
    let looping = GenerationFile { path: log.path("0.log"), packed: false, device: 0, inode: 1, size: 0 };
    assert_eq!(log.chain.survey(&[looping], log.now).unwrap().len(), 1);
    fs::remove_file(log.path("0.log")).unwrap();
    log.write("0.log", &cri(0, 3));
    assert_eq!(numbers(&log.lines()), range(0, 3));
}

/// Emptied under the reader, and killed before anything of what came then was acknowledged.
#[test]
fn older_files_stay_delivered_when_the_one_that_was_read_last_is_gone() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", "oldest\n");
    log.lines();
    log.rename("0.log", "0.log.1");
    log.write("0.log", "older\n");
    assert!(log.lines().is_empty());
    assert_eq!(log.later(2).lines(), ["older"]);
    let (key, offset, anchor) = {
        let low = log.chain.position().unwrap();
        log.chain.durable(low).unwrap()
    };
    File::options().write(true).open(log.path("0.log")).unwrap().set_len(0).unwrap();
    log.write("0.log", "what came then\n");
    assert_eq!(log.lines(), ["what came then"]);
    // As the checkpoint has it: nothing older than where it stands.
    log.known.retain(|known| known.key == key || known.head == Head::of(b"what came then\n"));
    let mut log = log.restart_at(Some(Reached { key, offset, anchor }));
    assert_eq!(log.lines(), ["what came then"]);
    log.rename("0.log.1", "0.log.2");
    log.rename("0.log", "0.log.1");
    log.write("0.log", "new\n");
    log.lines();
    assert_eq!(log.later(2).lines(), ["new"]);
}
