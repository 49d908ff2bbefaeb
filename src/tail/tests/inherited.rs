//! Files that are open, though no chain holds them, and lose their names.

use super::*;

const ROTATED: &str = "0.log.20261122-100000";

/// A log of two files that were opened by a survey which must be made again, for a third was gone.
fn opened_in_vain(naming: Naming, text: impl Fn(usize, usize) -> String) -> Log {
    let mut log = Log::new(naming);
    log.write("0.log.20261122-090000", &text(0, 5));
    log.write(ROTATED, &text(5, 10));
    log.write("0.log", &text(10, 20));
    let stale = listed(log.folder.path());
    fs::remove_file(log.path("0.log.20261122-090000")).unwrap();
    assert_eq!(log.chain.survey(&stale, log.now).unwrap_err(), super::super::Changed);
    log
}

fn plain(from: usize, to: usize) -> String {
    (from..to).map(|index| format!("line {index}\n")).collect()
}

#[test]
fn what_a_survey_has_opened_in_vain_is_read_though_it_is_unlinked() {
    for mut log in [opened_in_vain(Naming::FirstLine, cri), opened_in_vain(Naming::Mark, plain)] {
        fs::remove_file(log.path(ROTATED)).unwrap();
        fs::remove_file(log.path("0.log")).unwrap();
        let mut lines = log.lines();
        lines.extend(log.later(30).lines());
        assert_eq!(numbers(&lines), range(5, 20));
    }
}

#[test]
fn what_was_packed_meanwhile_is_read_once() {
    let mut log = opened_in_vain(Naming::FirstLine, cri);
    log.pack(ROTATED);
    let mut lines = log.lines();
    lines.extend(log.later(30).lines());
    assert_eq!(numbers(&lines), range(5, 20));
}

#[test]
fn what_another_reader_held_is_read_though_it_is_unlinked() {
    let mut log = Log::new(Naming::FirstLine);
    log.write(ROTATED, &cri(0, 10));
    log.write("0.log", &cri(10, 20));
    assert_eq!(numbers(&log.lines()), range(0, 10), "the older one may still be written to");
    let held = log.chain.open_files();
    fs::remove_file(log.path(ROTATED)).unwrap();
    fs::remove_file(log.path("0.log")).unwrap();
    log.write("0.log", &cri(20, 30));
    let mut log = log.restart();
    log.chain.inherit(held);
    let mut lines = log.lines();
    (0..4).for_each(|_| lines.extend(log.later(30).lines()));
    assert_eq!(numbers(&lines), range(10, 30));
}
