//! What wakes the reader: hints of the file system, new metadata, room in the output, the end.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::discover::watch::Hint;

/// How the reader is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Give out what is complete; what is not is read again at the next start.
    Stop,
    /// First read every file to its end and give out everything.
    Drain,
}

/// What has happened since the reader last looked.
#[derive(Debug, Default)]
pub struct News {
    /// What the file system said, each thing once.
    pub hints: HashSet<Hint>,
    /// The kubelet's answer has changed.
    pub metadata: bool,
    /// The reader is to end.
    pub stop: Option<Stop>,
    /// Something else is worth a look, such as room in the output.
    nudged: bool,
}

impl News {
    fn is_empty(&self) -> bool {
        self.hints.is_empty() && !self.metadata && self.stop.is_none() && !self.nudged
    }
}

/// A bell with a note beside it: many ring, the reader waits.
#[derive(Debug, Default)]
pub struct Wake {
    news: Mutex<News>,
    bell: Condvar,
}

impl Wake {
    /// Tells what the file system said.
    pub fn hint(&self, hint: Hint) {
        self.ring(|news| {
            news.hints.insert(hint);
        });
    }

    /// Tells that metadata has changed.
    pub fn metadata(&self) {
        self.ring(|news| news.metadata = true);
    }

    /// Tells that there is room again.
    pub fn nudge(&self) {
        self.ring(|news| news.nudged = true);
    }

    /// Tells the reader to end; the last word counts.
    pub fn stop(&self, stop: Stop) {
        self.ring(|news| news.stop = Some(stop));
    }

    /// What has happened, without waiting.
    pub fn take(&self) -> News {
        std::mem::take(&mut *self.lock())
    }

    /// What has happened; waits until there is something, or until `deadline`.
    pub fn wait(&self, deadline: Instant) -> News {
        let mut news = self.lock();
        while news.is_empty() {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            news = self.bell.wait_timeout(news, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *news)
    }

    fn ring(&self, note: impl FnOnce(&mut News)) {
        note(&mut self.lock());
        self.bell.notify_one();
    }

    /// A panic of another thread leaves the note as it is: each change of it is one assignment.
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn what_was_told_is_taken_once() {
        let wake = Arc::new(Wake::default());
        let teller = Arc::clone(&wake);
        let thread = std::thread::spawn(move || {
            teller.hint(Hint::Lost);
            teller.hint(Hint::Lost);
            teller.stop(Stop::Drain);
        });
        thread.join().unwrap();
        let news = wake.wait(Instant::now());
        assert_eq!((news.hints.len(), news.stop), (1, Some(Stop::Drain)));
        assert!(wake.take().is_empty());
    }
}
