//! Files that are truncated under their writer.

use super::*;

#[test]
fn copytruncate_loses_nothing_whether_the_agent_runs_or_not() {
    for running in [true, false] {
        for grown in [11, 80] {
            let mut log = Log::new(Naming::Mark);
            log.write("0.log", &cri(0, 10));
            assert_eq!(numbers(&log.lines()), range(0, 10));
            log.write("0.log", &cri(10, 20));
            fs::copy(log.path("0.log"), log.path("0.log.1")).unwrap();
            File::create(log.path("0.log")).unwrap();
            log.write("0.log", &cri(20, 20 + grown));
            let mut log = if running { log } else { log.restart() };
            let mut seen = numbers(&log.lines());
            seen.extend(numbers(&log.later(2).lines()));
            assert_eq!(seen, range(10, 20 + grown), "running: {running}, grown: {grown}");
        }
    }
}

#[test]
fn a_truncation_without_a_copy_is_counted() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", &cri(0, 10));
    log.lines();
    log.write("0.log", "unfinished");
    assert_eq!(log.lines().len(), 0);
    File::create(log.path("0.log")).unwrap();
    log.write("0.log", &cri(20, 22));
    assert_eq!(numbers(&log.lines()), [20, 21]);
    assert_eq!(log.chain.take_losses(), [Loss { bytes: 10, reason: "truncated" }]);
}

#[test]
fn a_truncation_brings_nothing_again_that_was_delivered_by_a_former_run() {
    for gone in ["truncated", "unlinked"] {
        let mut log = Log::new(Naming::Mark);
        log.write("0.log", &cri(0, 10));
        assert_eq!(numbers(&log.lines()), range(0, 10));
        log.rename("0.log", "0.log.1");
        log.write("0.log", &cri(10, 20));
        log.lines();
        assert_eq!(numbers(&log.later(2).lines()), range(10, 20));
        let mut log = log.restart();
        assert_eq!(log.lines().len(), 0);
        if gone == "truncated" {
            File::create(log.path("0.log")).unwrap();
        } else {
            fs::remove_file(log.path("0.log")).unwrap();
            assert_eq!(log.later(31).lines().len(), 0, "{gone}");
            assert_eq!(log.later(31).lines().len(), 0, "{gone}");
        }
        log.write("0.log", &cri(20, 22));
        assert_eq!(numbers(&log.lines()), [20, 21], "{gone}");
    }
}

#[test]
fn a_plain_file_that_is_truncated_before_it_was_read_is_found_in_its_copy() {
    for seen in ["", "line 5\n"] {
        let mut log = Log::new(Naming::Mark);
        log.write("0.log", &cri(0, 5));
        log.lines();
        log.rename("0.log", "0.log.1");
        log.write("0.log", seen);
        log.survey();
        log.write("0.log", "line 6\n");
        log.rename("0.log.1", "0.log.2");
        fs::copy(log.path("0.log"), log.path("0.log.1")).unwrap();
        File::create(log.path("0.log")).unwrap();
        log.write("0.log", "line 7\nline 8\nline 9\n");
        let mut read = log.lines();
        for _ in 0..3 {
            read.extend(log.later(2).lines());
        }
        let expected = if seen.is_empty() { range(6, 10) } else { range(5, 10) };
        assert_eq!(numbers(&read), expected, "seen as {seen:?}");
        assert_eq!(log.chain.take_losses(), []);
        let mut log = log.restart();
        assert!(log.lines().is_empty());
    }
}

#[test]
fn the_same_banner_after_a_truncation_is_read_again() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", "banner 0\nline 1\n");
    assert_eq!(numbers(&log.lines()), [0, 1]);
    fs::write(log.path("0.log"), "banner 0\nline 2\n").unwrap();
    assert_eq!(numbers(&log.lines()), [0, 2]);
    fs::write(log.path("0.log"), "banner 0\n").unwrap();
    let mut log = log.restart();
    assert_eq!(numbers(&log.lines()), [0]);
}

/// It was seen empty; what is seen next may be a copy of what it holds, made to be truncated.
#[test]
fn a_copy_in_the_making_is_no_other_file() {
    for (held, copy, expected) in [
        ("one\ntwo\n", "one\ntwo\n", &["one", "two"][..]),
        ("one\ntwo\n", "one\n", &["one", "two"]),
        ("one\ntwo\n", "", &["one", "two"]),
        // What it held before.
        ("one\ntwo\n", "one\nother\n", &["one", "other", "one", "two"]),
        ("one\n", "one\nother\n", &["one", "other", "one"]),
    ] {
        let mut log = Log::new(Naming::Mark);
        log.write("0.log", "");
        assert!(log.lines().is_empty());
        log.write("0.log", held);
        log.write("0.log.1", copy);
        let mut lines = log.lines();
        lines.extend(log.later(2).lines());
        assert_eq!(lines, expected, "{held:?} {copy:?}");
        // The copy is completed, and the file is truncated.
        if let Some(rest) = held.strip_prefix(copy) {
            log.write("0.log.1", rest);
            File::options().write(true).open(log.path("0.log")).unwrap().set_len(0).unwrap();
        }
        log.write("0.log", "three\n");
        let mut lines = log.lines();
        lines.extend(log.later(2).lines());
        assert_eq!(lines, ["three"], "{held:?} {copy:?}");
    }
}
