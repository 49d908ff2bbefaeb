//! Files that are written to after they were rotated.

use super::{Log, Naming, numbers, range};

fn plain(from: usize, to: usize) -> String {
    (from..to).map(|index| format!("line {index}\n")).collect()
}

impl Log {
    fn read_late(&mut self) {
        let files = super::listed(self.folder.path());
        self.chain.read_late(&files, self.now);
    }
}

#[test]
fn what_comes_late_is_read_on_and_then_what_is_being_read() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", &plain(0, 10));
    assert_eq!(log.lines().len(), 10);
    let old = log.chain.position().unwrap();
    let key = log.chain.keys().get(old.generation).unwrap();
    log.rename("0.log", "0.log.1");
    log.write("0.log", &plain(10, 20));
    log.survey();
    assert_eq!(numbers(&log.later(2).lines()), range(10, 20));
    let (before, end) = (log.chain.position().unwrap(), log.chain.end().unwrap());
    assert_eq!(before, end);
    log.read_late();
    assert_eq!(log.chain.position(), Some(before), "nothing came late");

    log.write("0.log.1", &plain(20, 23));
    log.write("0.log", &plain(23, 25));
    assert!(log.chain.has_late());
    log.read_late();
    assert!(!log.chain.has_late());
    let late = log.chain.position().unwrap();
    assert!(late > before);
    assert_eq!(
        (log.chain.keys().get(late.generation), late.offset),
        (Some(key), old.offset),
        "as it would have been"
    );
    assert_eq!(numbers(&log.lines()), range(20, 23));
    assert_eq!(numbers(&log.later(2).lines()), range(23, 25));
    assert!(log.chain.position().unwrap() > late);
    assert_eq!(log.chain.first_line(log.chain.position().unwrap().generation), Some(&b"line 10"[..]));
    log.read_late();
    assert_eq!(log.later(2).lines(), Vec::<String>::new(), "nothing comes twice");
    assert_eq!(log.restart().lines(), Vec::<String>::new(), "nor after a restart");
}

#[test]
fn what_is_another_file_by_now_is_not_read_on() {
    let mut log = Log::new(Naming::Mark);
    log.write("0.log", &plain(0, 10));
    log.rename("0.log", "0.log.1");
    log.write("0.log", &plain(10, 20));
    assert_eq!(numbers(&log.later(2).lines()), range(0, 10));
    assert_eq!(numbers(&log.later(2).lines()), range(10, 20));
    // The same inode, other bytes.
    std::fs::write(log.path("0.log.1"), plain(100, 120)).unwrap();
    log.read_late();
    assert_eq!(log.later(2).lines(), Vec::<String>::new());
}
