//! How far a long read has come, on standard error where that is a terminal.

use std::io::Write;
use std::time::{Duration, Instant};

/// How long nothing was shown, by us or by the page, before the first word.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the figures change.
const EVERY: Duration = Duration::from_millis(200);

/// A line that is written over and over, and goes when something else is written.
pub struct Progress {
    terminal: Box<dyn Write + Send>,
    /// The page is on the same terminal.
    shares: bool,
    logs: usize,
    done: usize,
    bytes: u64,
    due: Instant,
    is_shown: bool,
}

impl Progress {
    /// Of so many logs, from `now` on. Where the page `shares` the terminal, the line is there only in its pauses.
    pub fn new(terminal: impl Write + Send + 'static, shares: bool, logs: usize, now: Instant) -> Self {
        Self {
            terminal: Box::new(terminal),
            shares,
            logs,
            done: 0,
            bytes: 0,
            due: now + PATIENCE,
            is_shown: false,
        }
    }

    /// So many bytes more were read.
    pub fn read(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// One more log was read to its end.
    pub fn done(&mut self) {
        self.done += 1;
    }

    /// The page is about to be written to.
    pub fn give_way(&mut self, now: Instant) {
        if self.shares {
            self.clear();
            self.due = now + PATIENCE;
        }
    }

    /// Shows the figures when it is time.
    pub fn show(&mut self, now: Instant) {
        if now < self.due {
            return;
        }
        self.due = now + EVERY;
        self.is_shown = true;
        let (megabytes, done, logs) = (self.bytes / 1_000_000, self.done, self.logs);
        // A terminal that is gone needs no figures.
        let _ = write!(self.terminal, "\r\x1b[K{megabytes} MB read, {done} of {logs} logs done");
        let _ = self.terminal.flush();
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(self.terminal, "\r\x1b[K");
            let _ = self.terminal.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Terminal(Arc<Mutex<Vec<u8>>>);

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told(shares: bool) -> String {
        let (terminal, start) = (Terminal::default(), Instant::now());
        let mut progress = Progress::new(terminal.clone(), shares, 3, start);
        progress.read(7_900_000);
        for milliseconds in [500, 1000, 1100, 1200] {
            progress.show(start + Duration::from_millis(milliseconds));
        }
        progress.done();
        progress.give_way(start + Duration::from_millis(1300));
        progress.show(start + Duration::from_millis(1400));
        progress.clear();
        String::from_utf8(terminal.0.lock().unwrap().clone()).unwrap().replace("\r\x1b[K", "|")
    }

    #[test]
    fn tells_now_and_then_and_gives_way_on_a_shared_terminal() {
        let first = "|7 MB read, 0 of 3 logs done|7 MB read, 0 of 3 logs done";
        assert_eq!(told(false), format!("{first}|7 MB read, 1 of 3 logs done|"));
        assert_eq!(told(true), format!("{first}|"));
    }
}
