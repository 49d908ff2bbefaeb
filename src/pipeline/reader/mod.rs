//! The reader: one thread that owns all file state. It finds logs, takes fair turns at reading them, and gives
//! their events to an [`Outlet`].

mod discovery;
mod given;
mod holding;
mod metadata;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use super::baton::Baton;
use super::directory::Directory;
use super::outlet::Outlet;
use super::source::{Source, Stage};
use super::wake::{News, Stop, Wake};
use crate::checkpoint::Saved;
use crate::decode;
use crate::discover::Scanner;
use crate::discover::watch::{Hint, Watcher};
use crate::enrich::Allowed;
use crate::event::{Origin, SourceId, SourceKey};
use crate::join::RuleBook;
use crate::observe::{Heartbeat, Metrics};
use crate::tail::StartAt;
use discovery::survey;
pub use holding::Holding;

/// How much the agent reads in one turn. Large enough that the calls do not count, small enough that no source waits
/// long.
pub const TURN_BYTES: usize = 256 * 1024;

/// How often the globs are looked at when nothing was heard.
const SCAN_EVERY: Duration = Duration::from_secs(5);

/// The same where nothing can be heard, for want of notifications.
const SCAN_EVERY_UNWATCHED: Duration = Duration::from_millis(250);

/// How soon the globs are looked at after a change was heard: a burst of changes is one look.
const SCAN_SOON: Duration = Duration::from_millis(50);

/// How often the open files are looked at when nothing was heard of them.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// What one block of the configuration says of its files.
#[derive(Clone, Debug)]
pub struct Block {
    /// How their lines are written.
    pub decode: decode::Settings,
    /// Where reading begins in a log that was never seen.
    pub start_at: StartAt,
    /// How long a line may be, in bytes.
    pub max_line_bytes: usize,
}

/// How the reader goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Until it is told to end.
    Follow,
    /// To the end of what is there.
    ToEnd,
}

/// What the reader is to do.
pub struct ReaderSettings {
    /// Which files.
    pub scanner: Scanner,
    /// What each block of the configuration says of them.
    pub blocks: Vec<Block>,
    /// Which lines are one event.
    pub rules: RuleBook,
    /// What pods may set by annotation.
    pub annotations: Allowed,
    /// For how long.
    pub course: Course,
    /// How much is read in one turn; at least 4 KiB.
    pub turn_bytes: usize,
}

/// The reader.
pub struct Reader<O> {
    settings: ReaderSettings,
    directory: Directory,
    wake: Arc<Wake>,
    metrics: Arc<Metrics>,
    outlet: O,
    watcher: Option<Watcher>,
    saved: Saved,
    /// What the reader before this one has read.
    baton: Baton,
    /// The first scan of the very first start: `start_at: end` means what is found then.
    first_start: bool,
    /// The first scan is not over: what it finds was there before this run.
    first_scan: bool,
    sources: BTreeMap<SourceId, Source>,
    by_key: HashMap<SourceKey, SourceId>,
    by_folder: HashMap<PathBuf, Vec<SourceId>>,
    /// Folders that the last scan listed.
    scanned_folders: Vec<PathBuf>,
    /// Sources that may have something to read, in the order of their turns.
    ready: VecDeque<SourceId>,
    is_ready: HashSet<SourceId>,
    waiting: HashSet<SourceId>,
    /// Sources that are no files.
    streams: Vec<SourceId>,
    /// Sources at their end whose joiner holds something.
    holding: HashSet<SourceId>,
    next_id: u32,
    started: Instant,
    next_scan: Instant,
    next_poll: Instant,
    buffer: Vec<u8>,
    said_problems: HashSet<PathBuf>,
    /// What was said of pods' annotations.
    said: HashSet<String>,
    stop: Option<Stop>,
    /// Whether the outlet took more when it was last asked.
    has_room: bool,
    heartbeat: Option<Heartbeat>,
    /// How files that have lost their names are held; `None`: until they are read, no longer.
    holding_files: Option<Holding>,
}

impl<O: Outlet> Reader<O> {
    /// A reader that has not looked at anything yet.
    pub fn new(
        settings: ReaderSettings,
        directory: Directory,
        saved: Saved,
        outlet: O,
        wake: Arc<Wake>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let buffer = vec![0; settings.turn_bytes];
        Self {
            settings,
            directory,
            wake,
            metrics,
            outlet,
            watcher: None,
            first_start: saved.sources.is_empty(),
            first_scan: true,
            saved,
            baton: Baton::default(),
            sources: BTreeMap::new(),
            by_key: HashMap::new(),
            by_folder: HashMap::new(),
            scanned_folders: Vec::new(),
            ready: VecDeque::new(),
            is_ready: HashSet::new(),
            waiting: HashSet::new(),
            streams: Vec::new(),
            holding: HashSet::new(),
            next_id: 0,
            started: now,
            next_scan: now,
            next_poll: now + POLL_EVERY,
            buffer,
            said_problems: HashSet::new(),
            said: HashSet::new(),
            stop: None,
            has_room: true,
            heartbeat: None,
            holding_files: None,
        }
    }

    /// Shows at each round that it is alive.
    pub fn set_heartbeat(&mut self, heartbeat: Heartbeat) {
        self.heartbeat = Some(heartbeat);
    }

    /// Goes on where another reader of this process has ended.
    pub fn take_over(&mut self, baton: Baton) {
        self.baton = baton;
        self.first_start = false;
    }

    /// Reads until the course is run, or until it is told to end. Gives back the outlet, and what a next reader must
    /// know.
    pub fn run(mut self) -> (O, Baton) {
        if self.settings.course == Course::Follow {
            self.start_watching();
        }
        loop {
            let now = Instant::now();
            if let Some(heartbeat) = &self.heartbeat {
                heartbeat.beat();
            }
            if now >= self.next_scan {
                self.scan(now);
            }
            if now >= self.next_poll {
                self.poll(now);
            }
            let worked = self.take_turns(now);
            self.expire(now);
            self.outlet.tick(now);
            if self.stop == Some(Stop::Stop) || self.is_done(worked) {
                break;
            }
            let news = if worked { self.wake.take() } else { self.wake.wait(self.deadline(now)) };
            self.hear(news, Instant::now());
        }
        self.finish();
        let mut baton = Baton::default();
        for source in self.sources.values_mut() {
            if let Some(passed) = source.pass_on() {
                baton.add(source.found.key.clone(), passed);
            }
            baton.hold(source.found.clone(), source.chain.open_files());
        }
        (self.outlet, baton)
    }

    /// Whether all that was to be read is read.
    fn is_done(&self, worked: bool) -> bool {
        let to_end = self.settings.course == Course::ToEnd || self.stop == Some(Stop::Drain);
        let awaited = |id| self.sources.get(id).is_some_and(|source: &Source| source.chain.awaits_input());
        to_end
            && !worked
            && self.ready.is_empty()
            && self.waiting.is_empty()
            && !self.streams.iter().any(awaited)
    }

    fn finish(&mut self) {
        let now = Instant::now();
        if self.stop != Some(Stop::Stop) {
            for source in self.sources.values_mut() {
                source.finish(&mut self.outlet, now);
            }
        }
        self.hold(now, true);
        self.outlet.finish(now);
    }

    fn start_watching(&mut self) {
        let wake = Arc::clone(&self.wake);
        match Watcher::start(move |hint| wake.hint(hint)) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => warn!(
                "no notifications of the file system ({error}); files are looked at {} times a second instead; \
                 raise fs.inotify.max_user_instances",
                1000 / SCAN_EVERY_UNWATCHED.as_millis()
            ),
        }
    }

    /// When there is something to do though nothing is heard.
    fn deadline(&self, now: Instant) -> Instant {
        let waits = self.waiting.iter().filter_map(|id| {
            let source = self.sources.get(id)?;
            match (source.stage, &source.found.origin) {
                (Stage::Waiting { since }, Origin::Pod { .. }) => self.directory.deadline(since),
                _ => None,
            }
        });
        let holding = self.holding.iter().filter(|_| self.has_room);
        let holds = holding.filter_map(|id| self.sources.get(id)?.deadline());
        let dues = waits.chain(holds).chain(self.outlet.deadline()).min();
        // What is overdue but cannot be done just now is not waited for in circles.
        let soonest = dues.map(|due| due.max(now + Duration::from_millis(5)));
        soonest.into_iter().chain([self.next_scan, self.next_poll]).min().unwrap_or(now)
    }

    fn hear(&mut self, news: News, now: Instant) {
        if let Some(stop) = news.stop {
            self.stop = Some(stop);
            if stop == Stop::Drain {
                self.begin_drain(now);
            }
        }
        if news.metadata {
            self.directory.refresh();
            self.metadata_changed(now);
        }
        let mut surveyed = HashSet::new();
        for hint in news.hints {
            match hint {
                Hint::Written(path) => self.wake_folder(path.parent()),
                Hint::Closed(path) => {
                    for id in self.in_folder(path.parent()) {
                        if let Some(source) = self.sources.get_mut(&id) {
                            // Its new name may not have been heard of yet.
                            survey(source, &mut self.said_problems, now);
                            source.chain.closed(&path);
                        }
                        self.wake_source(id);
                    }
                }
                Hint::Changed(folder) => {
                    if surveyed.insert(folder.clone()) {
                        self.survey_folder(&folder, now);
                    }
                    self.next_scan = self.next_scan.min(now + SCAN_SOON);
                }
                Hint::Lost => {
                    self.next_scan = now;
                    self.next_poll = now;
                }
            }
        }
        if self.take_copies(now) {
            self.hold(now, false);
        }
        self.look_up_waiting(now);
        self.streams.retain(|id| self.sources.get(id).is_some_and(|source| source.chain.awaits_input()));
        for id in self.streams.clone() {
            self.wake_source(id);
        }
    }

    /// The end of a sidecar: whatever is there is all that there will be.
    fn begin_drain(&mut self, now: Instant) {
        self.scan(now);
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            self.survey_source(id, now, true);
        }
    }

    fn wake_source(&mut self, id: SourceId) {
        let readable = self.sources.get(&id).is_some_and(|source| source.stage == Stage::Reading);
        if readable && self.is_ready.insert(id) {
            self.holding.remove(&id);
            self.ready.push_back(id);
        }
    }

    fn wake_folder(&mut self, folder: Option<&Path>) {
        for id in self.in_folder(folder) {
            self.wake_source(id);
        }
    }

    fn in_folder(&self, folder: Option<&Path>) -> Vec<SourceId> {
        folder.and_then(|folder| self.by_folder.get(folder)).cloned().unwrap_or_default()
    }
}
