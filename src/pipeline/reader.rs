//! The reader: one thread that owns all file state. It finds logs, takes fair turns at reading them, and gives
//! their events to an [`Outlet`].

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::directory::{Directory, Lookup};
use super::outlet::{Facts, Outlet};
use super::source::{Source, Stage, TurnContext, Turned};
use super::wake::{News, Stop, Wake};
use crate::checkpoint::{Saved, SavedSource};
use crate::decode::{self, Decoder};
use crate::discover::watch::{Hint, Watcher};
use crate::discover::{Found, Scan, Scanner, generations};
use crate::enrich::{AllowedAnnotations, PodSettings};
use crate::event::{Origin, PodMeta, Record, SourceId, SourceKey, time};
use crate::join::{Joiner, RuleBook, Rules, Subject};
use crate::observe::Metrics;
use crate::tail::{Chain, Head, Known, Naming, Reached, Resume, StartAt};

/// How much is read in one turn. Large enough that the calls do not count, small enough that no source waits long.
const TURN_BYTES: usize = 256 * 1024;

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
    pub annotations: AllowedAnnotations,
    /// For how long.
    pub course: Course,
}

/// What `/status` shows of a source.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// The log.
    pub found: Found,
    /// What it does: `waiting`, `reading`, `at_end`, `excluded`, `failing`.
    pub state: &'static str,
    /// The offset of the next byte to read in the generation being read.
    pub offset: u64,
    /// Bytes in its files that were not read.
    pub unread_bytes: u64,
    /// How many files it holds: written to, rotated, unlinked.
    pub files: (u64, u64, u64),
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
    /// The first scan of the very first start: `start_at: end` means what is found then.
    first_start: bool,
    sources: BTreeMap<SourceId, Source>,
    by_key: HashMap<SourceKey, SourceId>,
    by_folder: HashMap<PathBuf, Vec<SourceId>>,
    /// Folders that the last scan listed.
    scanned_folders: Vec<PathBuf>,
    /// Sources that may have something to read, in the order of their turns.
    ready: VecDeque<SourceId>,
    is_ready: HashSet<SourceId>,
    waiting: HashSet<SourceId>,
    /// Sources at their end whose joiner holds something.
    holding: HashSet<SourceId>,
    next_id: u32,
    next_scan: Instant,
    next_poll: Instant,
    buffer: Vec<u8>,
    said_problems: HashSet<PathBuf>,
    stop: Option<Stop>,
    #[expect(clippy::type_complexity, reason = "a callback")]
    on_status: Option<Box<dyn FnMut(Vec<SourceStatus>) + Send>>,
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
        Self {
            settings,
            directory,
            wake,
            metrics,
            outlet,
            watcher: None,
            first_start: saved.sources.is_empty(),
            saved,
            sources: BTreeMap::new(),
            by_key: HashMap::new(),
            by_folder: HashMap::new(),
            scanned_folders: Vec::new(),
            ready: VecDeque::new(),
            is_ready: HashSet::new(),
            waiting: HashSet::new(),
            holding: HashSet::new(),
            next_id: 0,
            next_scan: now,
            next_poll: now + POLL_EVERY,
            buffer: vec![0; TURN_BYTES],
            said_problems: HashSet::new(),
            stop: None,
            on_status: None,
        }
    }

    /// Tells how the sources stand, about once a second.
    pub fn on_status(&mut self, tell: impl FnMut(Vec<SourceStatus>) + Send + 'static) {
        self.on_status = Some(Box::new(tell));
    }

    /// Adds a log that no glob names, such as standard input.
    pub fn add(&mut self, found: Found, chain: Chain) {
        let id = self.insert(found, chain, Naming::Mark);
        if let Some(source) = self.sources.get_mut(&id) {
            source.survey_again = false;
        }
        self.wake_source(id);
    }

    /// Reads until the course is run, or until it is told to end. Gives back the outlet.
    pub fn run(mut self) -> O {
        if self.settings.course == Course::Follow {
            self.start_watching();
        }
        loop {
            let now = Instant::now();
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
        self.outlet
    }

    /// Whether all that was to be read is read.
    fn is_done(&self, worked: bool) -> bool {
        let to_end = self.settings.course == Course::ToEnd || self.stop == Some(Stop::Drain);
        to_end && !worked && self.ready.is_empty() && self.waiting.is_empty()
    }

    fn finish(&mut self) {
        let now = Instant::now();
        if self.stop != Some(Stop::Stop) {
            for source in self.sources.values_mut() {
                source.finish(&mut self.outlet, now);
            }
        }
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
        let waits = self.waiting.iter().filter_map(|id| match self.sources.get(id)?.stage {
            Stage::Waiting { since } => self.directory.deadline(since),
            _ => None,
        });
        let holds = self.holding.iter().filter_map(|id| self.sources.get(id)?.joiner.deadline());
        let dues = waits.chain(holds).chain(self.outlet.deadline()).min();
        // What is overdue but held up (the output is full) is not waited for in circles.
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
        self.look_up_waiting(now);
    }

    /// The end of a sidecar: whatever is there is all that there will be.
    fn begin_drain(&mut self, now: Instant) {
        self.scan(now);
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            if let Some(source) = self.sources.get_mut(&id) {
                survey(source, &mut self.said_problems, now);
                source.chain.close_all();
            }
            self.wake_source(id);
        }
    }

    // ---- discovery ----

    fn scan(&mut self, now: Instant) {
        let scan = self.settings.scanner.scan();
        self.say_problems(&scan);
        let seen: HashSet<SourceKey> = scan.found.iter().map(|found| found.key.clone()).collect();
        for found in scan.found {
            match self.by_key.get(&found.key) {
                Some(id) => self.found_again(*id, found, now),
                None => self.discovered(found, now),
            }
        }
        self.forget_gone(&seen, now);
        self.first_start = false;
        self.scanned_folders = scan.folders;
        let new_folders = self.watch();
        let watched = self.watcher.as_ref().is_some_and(|watcher| watcher.refused() == 0);
        let every = if watched { SCAN_EVERY } else { SCAN_EVERY_UNWATCHED };
        // What came into a folder between the look at it and the watch over it is found by a second look.
        self.next_scan = now + if new_folders { SCAN_SOON } else { every };
        if self.settings.course == Course::ToEnd {
            self.next_scan = now + Duration::from_secs(3600);
        }
    }

    /// Watches the folders of the globs and of the logs. Returns whether there are new ones among them.
    fn watch(&mut self) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let folders = self.scanned_folders.iter().map(PathBuf::as_path);
        let before = watcher.watched();
        if let Some(error) = watcher.watch(folders.chain(self.by_folder.keys().map(PathBuf::as_path))) {
            warn!(
                "cannot watch {} folders ({error}); they are looked at {} times a second instead; \
                 raise fs.inotify.max_user_watches",
                watcher.refused(),
                1000 / SCAN_EVERY_UNWATCHED.as_millis()
            );
        }
        watcher.watched() > before
    }

    fn discovered(&mut self, found: Found, now: Instant) {
        if found.origin == Origin::File && self.is_held_elsewhere(&found.path) {
            return;
        }
        let Some(block) = self.settings.blocks.get(found.block) else { return };
        let naming = match found.origin {
            Origin::File => Naming::Mark,
            Origin::Pod { .. } | Origin::Docker { .. } => Naming::FirstLine,
        };
        let saved = self.saved.sources.remove(&found.key);
        let start_at = if self.first_start { block.start_at } else { StartAt::Beginning };
        let resume = saved.as_ref().map_or_else(|| Resume::fresh(start_at), resume_of);
        let (max_line, live) = (block.max_line_bytes, found.path.clone());
        debug!(path = %found.path.display(), known = resume.is_known(), "found a log");
        let chain = Chain::new(found.key.clone(), naming, live, max_line, resume);
        let id = self.insert(found, chain, naming);
        if let Some(source) = self.sources.get_mut(&id) {
            if let Some(saved) = saved {
                source.replay(saved.cuts.iter().map(|cut| (cut.stream, cut.key, cut.offset)).collect());
            }
            // Opened at once: its files may be unlinked in a moment.
            survey(source, &mut self.said_problems, now);
            source.tell_records(&mut self.outlet);
            source.stage = Stage::Waiting { since: now };
        }
        self.waiting.insert(id);
        self.look_up(id, now);
    }

    fn insert(&mut self, found: Found, chain: Chain, naming: Naming) -> SourceId {
        let id = SourceId(self.next_id);
        self.next_id += 1;
        let decode = self.settings.blocks.get(found.block).map(|block| block.decode.clone()).unwrap_or_default();
        let joiner = Joiner::new(self.rules_for(&found, None, None));
        self.by_key.insert(found.key.clone(), id);
        if let Some(folder) = found.path.parent() {
            self.by_folder.entry(folder.to_owned()).or_default().push(id);
        }
        let source = Source::new(id, found, naming, chain, Decoder::new(&decode), joiner);
        self.outlet.describe(&facts(&source, None, false, &PodSettings::default()));
        self.sources.insert(id, source);
        id
    }

    /// A plain file that another log holds: it was renamed to a name that is included too.
    fn is_held_elsewhere(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = path.metadata() else { return false };
        self.sources.values().any(|source| source.chain.holds_inode(meta.dev(), meta.ino()))
    }

    fn found_again(&mut self, id: SourceId, found: Found, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        if source.found.path != found.path {
            let old = source.found.path.parent().map(Path::to_owned);
            source.chain.set_live(found.path.clone());
            if let Some(ids) = old.and_then(|folder| self.by_folder.get_mut(&folder)) {
                ids.retain(|known| *known != id);
            }
            if let Some(folder) = found.path.parent() {
                self.by_folder.entry(folder.to_owned()).or_default().push(id);
            }
            source.survey_again = true;
        }
        if source.found != found {
            source.found = found;
            self.describe(id);
        }
        self.survey_source(id, now, false);
    }

    /// Sources whose files are gone and read to their end.
    fn forget_gone(&mut self, seen: &HashSet<SourceKey>, now: Instant) {
        let gone: Vec<SourceId> = self
            .sources
            .values()
            .filter(|source| source.chain.is_empty() && source.joiner.held().is_none())
            .filter(|source| !seen.contains(&source.found.key) && !self.is_ready.contains(&source.id))
            .map(|source| source.id)
            .collect();
        for id in gone {
            let Some(mut source) = self.sources.remove(&id) else { continue };
            source.mark(&mut self.outlet, now);
            self.by_key.remove(&source.found.key);
            self.waiting.remove(&id);
            self.holding.remove(&id);
            if let Some(folder) = source.found.path.parent()
                && let Some(ids) = self.by_folder.get_mut(folder)
            {
                ids.retain(|known| *known != id);
                if ids.is_empty() {
                    self.by_folder.remove(folder);
                }
            }
            self.outlet.record(Record::Forget { source: source.found.key.clone() }, false);
            self.outlet.closed(id);
        }
    }

    fn say_problems(&mut self, scan: &Scan) {
        for (path, error) in &scan.problems {
            if self.said_problems.insert(path.clone()) {
                warn!("cannot list {}: {error}", path.display());
            }
        }
    }

    fn survey_folder(&mut self, folder: &Path, now: Instant) {
        for id in self.in_folder(Some(folder)) {
            self.survey_source(id, now, true);
        }
        if !folder.exists()
            && let Some(watcher) = &mut self.watcher
        {
            watcher.forget(folder);
        }
    }

    fn survey_source(&mut self, id: SourceId, now: Instant, changed: bool) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        if changed || source.survey_again || source.chain.is_empty() || self.watcher.is_none() {
            survey(source, &mut self.said_problems, now);
            source.tell_records(&mut self.outlet);
            self.wake_source(id);
        }
    }

    // ---- metadata ----

    fn look_up_waiting(&mut self, now: Instant) {
        let waiting: Vec<SourceId> = self.waiting.iter().copied().collect();
        for id in waiting {
            self.look_up(id, now);
        }
    }

    /// Asks for a waiting source's metadata; when it is there, or will not come, the source can be read.
    fn look_up(&mut self, id: SourceId, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        let Stage::Waiting { since } = source.stage else { return };
        let (pod, timed_out) = match &source.found.origin {
            Origin::Pod { uid, .. } => match self.directory.look_up(uid, since, now) {
                Lookup::Known(pod) => (Some(pod), false),
                Lookup::NotAsked => (None, false),
                Lookup::TimedOut => (None, true),
                Lookup::NotYet => return,
            },
            _ => (None, false),
        };
        source.stage = Stage::Reading;
        source.pod = pod;
        self.waiting.remove(&id);
        if timed_out {
            let Some(source) = self.sources.get(&id) else { return };
            debug!(path = %source.found.path.display(), "no metadata in time; going on with the path's names");
            let settings = PodSettings::default();
            self.outlet.describe(&facts(source, None, true, &settings));
        } else {
            self.describe(id);
        }
        self.wake_source(id);
    }

    /// The kubelet's answer has changed: later lines carry what it says now.
    fn metadata_changed(&mut self, now: Instant) {
        let ids: Vec<SourceId> = self.sources.keys().copied().collect();
        for id in ids {
            let Some(source) = self.sources.get_mut(&id) else { continue };
            let (Origin::Pod { uid, .. }, Stage::Reading | Stage::Excluded) = (&source.found.origin, source.stage)
            else {
                continue;
            };
            if let Lookup::Known(pod) = self.directory.look_up(uid, now, now)
                && source.pod.as_ref() != Some(&pod)
            {
                source.pod = Some(pod);
                self.describe(id);
                self.wake_source(id);
            }
        }
    }

    /// Tells the outlet what is known of a source by now, and takes what its pod asks for.
    fn describe(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(&id) else { return };
        let (settings, wrong) = match &source.pod {
            Some(pod) => PodSettings::from_pod(pod, &self.settings.annotations),
            None => (PodSettings::default(), Vec::new()),
        };
        for message in wrong {
            warn!(pod = %source.found.shown.display(), "{message}");
        }
        let rules = self.rules_for(&source.found, source.pod.as_deref(), settings.multiline.as_deref());
        let Some(source) = self.sources.get_mut(&id) else { return };
        let excluded = match &source.found.origin {
            Origin::Pod { container, .. } => settings.excludes(container),
            _ => false,
        };
        match (excluded, source.stage) {
            (true, Stage::Reading) => source.stage = Stage::Excluded,
            (false, Stage::Excluded) => source.stage = Stage::Reading,
            _ => {}
        }
        if source.chain.position().is_none_or(|at| at.offset == 0) && source.joiner.held().is_none() {
            // Rules are chosen before the first line: what was joined by others must be joined so again.
            source.joiner = Joiner::new(rules);
        }
        self.outlet.describe(&facts(source, source.pod.as_deref(), false, &settings));
    }

    fn rules_for(&self, found: &Found, pod: Option<&PodMeta>, annotation: Option<&str>) -> Arc<Rules> {
        let none = BTreeMap::new();
        let (namespace, name, container) = match &found.origin {
            Origin::Pod { namespace, pod, container, .. } => (&**namespace, &**pod, &**container),
            Origin::Docker { .. } | Origin::File => ("", "", ""),
        };
        let subject =
            Subject { namespace, pod: name, container, labels: pod.map_or(&none, |pod| &pod.labels) };
        match self.settings.rules.select(&subject, annotation) {
            Ok(rules) => rules,
            Err(error) => {
                warn!(pod = %found.shown.display(), "{error}; the configured languages are used");
                self.settings.rules.default_for(&subject)
            }
        }
    }

    // ---- reading ----

    /// One turn for each source that may have something, while there is room. Returns whether anything was read.
    fn take_turns(&mut self, now: Instant) -> bool {
        let mut worked = false;
        let read_at = time::rfc3339(wall_nanos());
        for _ in 0..self.ready.len() {
            let held = self.holding.iter().filter_map(|id| self.sources.get(id)).map(Source::held_bytes).sum();
            if !self.outlet.has_room(held) {
                return false;
            }
            let Some(id) = self.ready.pop_front() else { break };
            let Some(source) = self.sources.get_mut(&id) else { continue };
            if source.stage != Stage::Reading || source.not_before.is_some_and(|due| now < due) {
                self.is_ready.remove(&id);
                continue;
            }
            let context = TurnContext {
                outlet: &mut self.outlet,
                buffer: &mut self.buffer,
                now,
                read_at: &read_at,
                metrics: &self.metrics,
            };
            match source.turn(context) {
                Turned::More => {
                    worked = true;
                    self.ready.push_back(id);
                }
                Turned::Survey => {
                    worked = true;
                    survey(source, &mut self.said_problems, now);
                    self.ready.push_back(id);
                }
                Turned::AtEnd => self.at_end(id),
                Turned::Failed(error) => {
                    if self.said_problems.insert(source.found.path.clone()) {
                        warn!("cannot read {}: {error}; it is tried again", source.found.path.display());
                    }
                    self.at_end(id);
                }
            }
        }
        worked
    }

    fn at_end(&mut self, id: SourceId) {
        self.is_ready.remove(&id);
        let to_end = self.settings.course == Course::ToEnd;
        let Some(source) = self.sources.get_mut(&id) else { return };
        if to_end && !source.chain.is_empty() {
            // Nothing is waited for: what has no newline has none.
            source.chain.close_all();
            self.wake_source(id);
            return;
        }
        if source.joiner.held().is_some() {
            self.holding.insert(id);
        }
    }

    /// Gives out what was silent for long enough, of sources that are read to their end.
    fn expire(&mut self, now: Instant) {
        let due = |id: &SourceId| {
            let deadline = self.sources.get(id).and_then(|source| source.joiner.deadline());
            deadline.is_some_and(|deadline| deadline <= now)
        };
        let due: Vec<SourceId> = self.holding.iter().copied().filter(due).collect();
        for id in due {
            if !self.outlet.has_room(0) {
                return;
            }
            let Some(source) = self.sources.get_mut(&id) else { continue };
            if source.chain.has_news(now) {
                self.wake_source(id);
                continue;
            }
            source.expire(&mut self.outlet, now);
            if source.joiner.held().is_none() {
                self.holding.remove(&id);
            }
        }
    }

    /// Looks at all open files: the truth, where a notification was missed.
    fn poll(&mut self, now: Instant) {
        self.next_poll = now + POLL_EVERY;
        let news = |source: &&Source| source.stage == Stage::Reading && source.chain.has_news(now);
        let ids: Vec<SourceId> = self.sources.values().filter(news).map(|source| source.id).collect();
        for id in ids {
            self.wake_source(id);
        }
        self.look_up_waiting(now);
        if self.on_status.is_some() {
            let status = self.sources.values().map(|source| self.status_of(source)).collect();
            if let Some(tell) = &mut self.on_status {
                tell(status);
            }
        }
    }

    fn status_of(&self, source: &Source) -> SourceStatus {
        let held = source.chain.held_files();
        let state = match source.stage {
            Stage::Waiting { .. } => "waiting",
            Stage::Excluded => "excluded",
            Stage::Reading if source.not_before.is_some() => "failing",
            Stage::Reading if self.is_ready.contains(&source.id) => "reading",
            Stage::Reading => "at_end",
        };
        SourceStatus {
            found: source.found.clone(),
            state,
            offset: source.chain.position().map_or(0, |position| position.offset),
            unread_bytes: held.unread_bytes,
            files: (held.active, held.rotated, held.deleted),
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

/// Lets a source see what lies in its folder.
fn survey(source: &mut Source, said: &mut HashSet<PathBuf>, now: Instant) {
    source.survey_again = false;
    let problems = match generations(source.chain.live()) {
        Ok(files) => source.chain.survey(&files, now),
        Err(error) => vec![(source.chain.live().to_owned(), error)],
    };
    for (path, error) in problems {
        source.survey_again = true;
        if said.insert(path.clone()) {
            warn!("cannot open {}: {error}; it is tried again", path.display());
        }
    }
}

fn facts<'a>(
    source: &'a Source,
    pod: Option<&'a PodMeta>,
    timed_out: bool,
    settings: &'a PodSettings,
) -> Facts<'a> {
    Facts { id: source.id, found: &source.found, pod, timed_out, settings }
}

fn resume_of(saved: &SavedSource) -> Resume {
    let known = saved.generations.iter().map(|known| Known {
        key: known.key,
        head: Head { len: known.head_len, hash: known.head },
        device: known.device,
        inode: known.inode,
        start: known.start,
    });
    let reached = saved.position.as_ref().map(|at| Reached { key: at.key, offset: at.offset, anchor: at.anchor });
    Resume { known: known.collect(), reached, start_at: StartAt::Beginning }
}

/// The time of day, in nanoseconds since 1970.
fn wall_nanos() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
