//! The thread that copies, and what it left at its last end.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::statvfs;

use super::file::{self, Kept, Log};
use super::hold::{Disk, room};
use crate::event::{Original, Record, Rest, SourceId};

/// The folder within `data_dir`.
const FOLDER: &str = "spool";

/// What a damaged file's name ends in, once it is set aside.
const DAMAGED: &str = "damaged";

/// A copy that is to be made.
#[derive(Debug)]
pub struct Order {
    /// The log, in this process.
    pub source: SourceId,
    /// Which generation of it.
    pub ordinal: u32,
    /// The log, for the next process.
    pub log: Log,
    /// What the checkpoint must know before the copy counts: what it does not know of a log that it does know was
    /// settled long ago.
    pub record: Record,
    /// What to copy.
    pub original: Original,
}

/// What became of an order.
#[derive(Debug)]
pub struct Copied {
    /// See [`Order::source`].
    pub source: SourceId,
    /// See [`Order::ordinal`].
    pub ordinal: u32,
    /// The copy, or why there is none.
    pub rest: io::Result<Rest>,
}

/// A handle to the thread that copies. When it is dropped, the thread does what it was told to, and ends.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    orders: Sender<Order>,
    copied: Receiver<Copied>,
    /// Orders without an answer.
    under_way: usize,
}

/// What lies in the spool at the start.
#[derive(Debug, Default)]
pub struct Stock {
    /// What can be read on.
    pub kept: Vec<Kept>,
    /// Files that are damaged, where they were set aside to, and why.
    pub damaged: Vec<(PathBuf, io::Error)>,
}

impl Stock {
    /// What lies in the spool of `data_dir`. Copies that were not finished are removed.
    ///
    /// # Errors
    /// When the folder cannot be made or listed.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        fs::create_dir_all(&folder)?;
        let mut stock = Self::default();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            match path.extension().and_then(|end| end.to_str()) {
                Some("tmp") => fs::remove_file(&path)?,
                Some("gz") => match file::read(&path) {
                    Ok(kept) => stock.kept.push(kept),
                    Err(error) => stock.damaged.push((set_aside(&path), error)),
                },
                _ => {}
            }
        }
        Ok(stock)
    }
}

impl Spool {
    /// Starts the thread. It asks `durable` to make a record durable, and rings `bell` after each copy.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        data_dir: &Path,
        durable: impl Fn(Record) -> io::Result<()> + Send + 'static,
        bell: impl Fn() + Send + 'static,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let folder = data_dir.join(FOLDER);
        let (orders, inbox) = mpsc::channel::<Order>();
        let (outbox, copied) = mpsc::channel();
        let work = {
            let folder = folder.clone();
            move || {
                for order in inbox {
                    let (source, ordinal) = (order.source, order.ordinal);
                    let rest = copy(&folder, order, &durable);
                    // Once the reader has ended nobody asks: the copy is for the next process.
                    let _ = outbox.send(Copied { source, ordinal, rest });
                    bell();
                }
            }
        };
        let thread = thread::Builder::new().name("spool".into()).spawn(work)?;
        Ok((Self { folder, orders, copied, under_way: 0 }, thread))
    }

    /// Copies.
    pub fn copy(&mut self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.under_way += 1;
        }
    }

    /// How many orders have no answer yet.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// What became of an order, if another is done.
    pub fn copied(&mut self) -> Option<Copied> {
        let copied = self.copied.try_recv().ok()?;
        self.under_way -= 1;
        Some(copied)
    }

    /// How many bytes may be held in all, while so many are.
    pub fn room(&self, limit: u64, held: u64) -> u64 {
        // A disk that does not say is taken for large enough; a write that fails says it.
        disk(&self.folder).map_or(limit, |disk| room(limit, held, disk))
    }

    /// Removes a copy that is not needed any more.
    ///
    /// # Errors
    /// As the file system gives them.
    pub fn remove(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Keeps a damaged copy under another name, which is returned.
    pub fn set_aside(path: &Path) -> PathBuf {
        set_aside(path)
    }
}

fn set_aside(path: &Path) -> PathBuf {
    let aside = path.with_extension(DAMAGED);
    // Should that fail, it is found damaged again at the next start.
    let _ = fs::rename(path, &aside);
    aside
}

fn disk(folder: &Path) -> io::Result<Disk> {
    let stat = statvfs(folder)?;
    Ok(Disk { free: stat.f_bavail * stat.f_frsize, size: stat.f_blocks * stat.f_frsize })
}

/// Makes one copy: whole on the disk and known to the checkpoint before it has its name.
fn copy(folder: &Path, order: Order, durable: &impl Fn(Record) -> io::Result<()>) -> io::Result<Rest> {
    let Order { log, record, original, .. } = order;
    let Original { key, head_len, head, start, .. } = original;
    let first_line = original.first_line.clone();
    let temporary = file::temporary(folder, &key);
    let proceed = || match disk(folder) {
        Ok(disk) if room(1, 0, disk) == 0 => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    };
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let copied = file::write(&temporary, &log, original, i64::try_from(at).unwrap_or(i64::MAX), proceed)
        .and_then(|end| durable(record).map(|()| end))
        .and_then(|end| {
            let path = folder.join(file::name(&key, start, end));
            fs::rename(&temporary, &path)?;
            File::open(folder)?.sync_all()?;
            let size = fs::metadata(&path)?.len();
            Ok(Rest { key, head_len, head, start, end, first_line, path, size, open: file::open })
        });
    copied.inspect_err(|_| {
        // What it takes of a full disk is given back; else the next start removes it.
        let _ = fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::event::{GenerationKey, SourceKey};

    fn order(ordinal: u32, text: &'static str) -> Order {
        let source = SourceKey("pod/u/web/0".into());
        let log = Log {
            source: source.clone(),
            path: "/a".into(),
            shown: "/a".into(),
            container_id: None,
            block: 0,
        };
        let key = GenerationKey([u8::try_from(ordinal).unwrap(); 9]);
        let original = Original {
            key,
            head_len: 0,
            head: 0,
            start: 0,
            first_line: Vec::new(),
            bytes: Box::new(text.as_bytes()),
        };
        Order { source: SourceId(0), ordinal, log, record: Record::Forget { source }, original }
    }

    #[test]
    fn copies_outlive_the_thread_and_are_known_to_the_checkpoint_before() {
        let data = tempfile::tempdir().unwrap();
        assert!(Stock::of(data.path()).unwrap().kept.is_empty());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let folder = data.path().join(FOLDER);
        let durable = {
            let (seen, folder) = (Arc::clone(&seen), folder.clone());
            move |record| {
                let named = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
                let named = named.filter(|name| name.to_str().unwrap().ends_with(".gz")).count();
                seen.lock().unwrap().push((record, named));
                Ok(())
            }
        };
        let (mut spool, thread) = Spool::start(data.path(), durable, || ()).unwrap();
        spool.copy(order(1, "one"));
        spool.copy(order(2, "two"));
        assert_eq!(spool.under_way(), 2);
        drop(spool);
        thread.join().unwrap();
        let named: Vec<usize> = seen.lock().unwrap().iter().map(|(_, named)| *named).collect();
        assert_eq!(named, [0, 1], "each was made known before it had its name");
        fs::write(folder.join("0-3-x.tmp"), "half").unwrap();
        fs::write(folder.join("0-3-AAAAAAAAAAAA.gz"), "no gzip").unwrap();
        let stock = Stock::of(data.path()).unwrap();
        let mut ends: Vec<_> = stock.kept.iter().map(|kept| (kept.rest.key.0[0], kept.rest.end)).collect();
        ends.sort_unstable();
        assert_eq!(ends, [(1, 3), (2, 3)]);
        assert_eq!(stock.damaged.len(), 1);
        assert_eq!(Stock::of(data.path()).unwrap().damaged.len(), 0, "it is told once");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "what was not finished is gone");
    }

    #[test]
    fn a_copy_that_cannot_be_made_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        Stock::of(data.path()).unwrap();
        let durable = |_| Err(io::ErrorKind::StorageFull.into());
        let (mut spool, thread) = Spool::start(data.path(), durable, || ()).unwrap();
        spool.copy(order(1, "one"));
        let copied = spool.copied.recv().unwrap();
        assert_eq!(copied.rest.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_dir(data.path().join(FOLDER)).unwrap().count(), 0);
        drop(spool);
        thread.join().unwrap();
    }
}
