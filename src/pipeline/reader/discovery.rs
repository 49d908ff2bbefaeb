//! How the reader learns of logs, and forgets them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use super::super::baton::Manner;
use super::super::outlet::Outlet;
use super::super::source::{Source, Stage};
use super::holding::remove_discarded;
use super::{Course, Reader, SCAN_EVERY, SCAN_EVERY_UNWATCHED, SCAN_SOON};
use crate::checkpoint::SavedSource;
use crate::discover::{Found, Scan, generations, names};
use crate::event::{Origin, Record, SourceId, SourceKey};
use crate::tail::{Chain, Changed, Head, Known, Loss, Naming, Reached, Resume, StartAt};

impl<O: Outlet> Reader<O> {
    pub(super) fn scan(&mut self, now: Instant) {
        let scan = self.settings.scanner.scan();
        self.say_problems(&scan);
        let seen: HashSet<SourceKey> = scan.found.iter().map(|found| found.key.clone()).collect();
        scan.found.iter().for_each(|found| self.follow_rename(found));
        for found in scan.found {
            match self.by_key.get(&found.key) {
                Some(id) => self.found_again(*id, found, now),
                None => self.discovered(found, now),
            }
        }
        self.discover_unclaimed(now);
        if self.first_scan {
            self.discover_nameless(now);
        }
        self.forget_gone(&seen, now);
        self.forget_unseen(&scan.excluded, now);
        self.first_start = false;
        self.first_scan = false;
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
    pub(super) fn watch(&mut self) -> bool {
        let folders = self.scanned_folders.iter().map(PathBuf::as_path);
        let folders: HashSet<&Path> = folders.chain(self.by_folder.keys().map(PathBuf::as_path)).collect();
        let Some(watcher) = &mut self.watcher else {
            self.metrics.unwatched_folders.set(i64::try_from(folders.len()).unwrap_or(i64::MAX));
            return false;
        };
        let (before, refused) = (watcher.watched(), watcher.refused());
        let error = watcher.watch(folders);
        self.metrics.unwatched_folders.set(i64::try_from(watcher.refused()).unwrap_or(i64::MAX));
        if let (Some(error), 0) = (error, refused) {
            warn!(
                "cannot watch {} folders ({error}); they are looked at {} times a second instead; \
                 raise fs.inotify.max_user_watches",
                watcher.refused(),
                1000 / SCAN_EVERY_UNWATCHED.as_millis()
            );
        }
        watcher.watched() > before
    }

    pub(super) fn discovered(&mut self, found: Found, now: Instant) {
        if !self.outlet.wants(&found) || found.origin == Origin::File && self.is_held_elsewhere(&found.path) {
            return;
        }
        let Some(block) = self.settings.blocks.get(found.block) else { return };
        let naming = naming(&found.origin);
        let saved = self.saved.sources.remove(&found.key);
        let start_at = if self.first_start { block.start_at } else { StartAt::Beginning };
        let mut resume = saved.as_ref().map_or_else(|| Resume::fresh(start_at), resume_of);
        if let Some(holding) = &mut self.holding_files {
            resume.rests = holding.take(&found.key);
        }
        let (max_line, live) = (block.max_line_bytes, found.path.clone());
        debug!(path = %found.path.display(), known = resume.is_known(), "found a log");
        let mut chain = Chain::new(found.key.clone(), naming, live, max_line, resume);
        if self.holding_files.is_some() {
            chain.keep();
        }
        let id = self.insert(found, chain, naming, now);
        if let Some(source) = self.sources.get_mut(&id) {
            if let Some(saved) = saved {
                source.replay(saved.cuts.iter().map(|cut| (cut.stream, cut.key, cut.offset)).collect());
            }
            source.chain.inherit(self.baton.take_files(&source.found.key));
            // Opened at once: its files may be unlinked in a moment.
            survey(source, &mut self.said_problems, now);
            if let Some(passed) = self.baton.take(&source.found.key) {
                source.take_over(passed);
            }
            if self.first_scan {
                source.read_before = source.chain.end().unwrap_or_default();
            }
            if self.settings.course == Course::ToEnd {
                // What is there is all: nothing of the order of events is left to the clock.
                source.chain.close_all();
            }
        }
        self.await_metadata(id, now);
    }

    /// A plain file that had another name, which is included too, when the last agent ended: what the checkpoint knows of
    /// it is this log's by now.
    fn follow_rename(&mut self, found: &Found) {
        if found.origin != Origin::File || self.by_key.contains_key(&found.key) {
            return;
        }
        let lies_there = |saved: &SavedSource| {
            let resume = resume_of(saved);
            let known = resume.known.iter().find(|known| known.lies_at(&found.path, resume.reached));
            known.map(|known| known.key)
        };
        if self.saved.sources.get(&found.key).and_then(lies_there).is_some() {
            return;
        }
        let plain = self.saved.sources.iter().filter(|(key, _)| names::file_path(key).is_some());
        let moved = plain.filter_map(|(key, saved)| Some((key.clone(), lies_there(saved)?))).next();
        if let Some((from, generation)) = moved {
            debug!(path = %found.path.display(), %from, "a file was renamed while no agent ran");
            self.saved.move_generation(&from, &found.key, generation);
        }
    }

    /// A source whose files are open is not read before its metadata is there.
    pub(super) fn await_metadata(&mut self, id: SourceId, now: Instant) {
        if let Some(source) = self.sources.get_mut(&id) {
            source.tell_records(&mut self.outlet, now);
            source.stage = Stage::Waiting { since: now };
        }
        self.waiting.insert(id);
        self.look_up(id, now);
    }

    pub(super) fn insert(&mut self, found: Found, chain: Chain, naming: Naming, now: Instant) -> SourceId {
        let id = self.unused_id();
        let decode =
            self.settings.blocks.get(found.block).map(|block| block.decode.clone()).unwrap_or_default();
        let manner = Manner { decode, rules: self.default_rules(&found, None) };
        self.by_key.insert(found.key.clone(), id);
        if let Some(folder) = found.path.parent() {
            self.by_folder.entry(folder.to_owned()).or_default().push(id);
        }
        let mut source = Source::new(id, found, naming, chain, manner);
        if source.found.origin == Origin::File {
            source.pod = self.directory.own_pod();
        }
        self.sources.insert(id, source);
        self.describe(id, now);
        id
    }

    /// A plain file that another log holds: it was renamed to a name that is included too.
    pub(super) fn is_held_elsewhere(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let Ok(meta) = path.metadata() else { return false };
        self.sources.values().any(|source| source.chain.holds_inode(meta.dev(), meta.ino()))
    }

    pub(super) fn found_again(&mut self, id: SourceId, mut found: Found, now: Instant) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        found.origin.remember_container(&source.found.origin);
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
            self.describe(id, now);
        }
        self.survey_source(id, now, false);
    }

    /// Sources whose files are gone and read to their end. Copies of them go first: of a log that the checkpoint does
    /// not know, the next agent would take a copy for new.
    pub(super) fn forget_gone(&mut self, seen: &HashSet<SourceKey>, now: Instant) {
        if self.is_copying() {
            return;
        }
        let gone: Vec<SourceId> = self
            .sources
            .values()
            .filter(|source| source.chain.is_empty() && source.chain.is_settled())
            .filter(|source| source.joiner.held().is_none())
            .filter(|source| !seen.contains(&source.found.key) && !self.is_ready.contains(&source.id))
            .map(|source| source.id)
            .collect();
        for id in gone {
            let Some(mut source) = self.sources.remove(&id) else { continue };
            source.mark(&mut self.outlet, now);
            remove_discarded(&mut source);
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
            self.outlet.record(Record::Forget { source: source.found.key.clone() }, false, now);
            self.outlet.closed(id);
        }
    }

    /// Sources that the checkpoint knows, and of which nothing was found since the start: they were removed while no
    /// agent ran.
    fn forget_unseen(&mut self, excluded: &HashSet<SourceKey>, now: Instant) {
        if now < self.started + UNSEEN {
            return;
        }
        let is_gone = |key: &SourceKey| {
            let path = names::file_path(key);
            let has_files = |path: PathBuf| generations(&path).is_ok_and(|files| !files.is_empty());
            !excluded.contains(key) && !path.is_some_and(has_files)
        };
        let gone: Vec<SourceKey> = self.saved.sources.keys().filter(|key| is_gone(key)).cloned().collect();
        for source in gone {
            let Some(saved) = self.saved.sources.remove(&source) else { continue };
            let bytes = resume_of(&saved).missing(|_| false);
            if bytes > 0 {
                let id = self.unused_id();
                self.outlet.lost(id, &source, Loss { bytes, reason: "deleted" });
            }
            self.outlet.record(Record::Forget { source }, false, now);
        }
    }

    fn unused_id(&mut self) -> SourceId {
        let id = SourceId(self.next_id);
        self.next_id += 1;
        id
    }

    pub(super) fn say_problems(&mut self, scan: &Scan) {
        for (path, error) in &scan.problems {
            if self.said_problems.insert(path.clone()) {
                warn!("cannot list {}: {error}", path.display());
            }
        }
    }

    pub(super) fn survey_folder(&mut self, folder: &Path, now: Instant) {
        for id in self.in_folder(Some(folder)) {
            self.survey_source(id, now, true);
        }
        if !folder.exists()
            && let Some(watcher) = &mut self.watcher
        {
            watcher.forget(folder);
        }
    }

    pub(super) fn survey_source(&mut self, id: SourceId, now: Instant, changed: bool) {
        let Some(source) = self.sources.get_mut(&id) else { return };
        if source.stage == Stage::Excluded {
            return;
        }
        // Where a notification was lost, or none can be had, a live file that is not held tells of a rotation.
        let chain = &source.chain;
        if changed || source.survey_again || !chain.holds_live() || chain.has_late() {
            survey(source, &mut self.said_problems, now);
            source.tell_records(&mut self.outlet, now);
            self.wake_source(id);
        }
    }
}

/// How long after the start a source that the checkpoint knows may be found: a second scan has looked by then.
const UNSEEN: Duration = Duration::from_secs(10);

/// Container logs are named by their first lines; plain files may share theirs.
pub(super) fn naming(origin: &Origin) -> Naming {
    match origin {
        Origin::File => Naming::Mark,
        Origin::Pod { .. } | Origin::Docker { .. } => Naming::FirstLine,
    }
}

/// How often a folder is listed anew because it changed while it was looked at.
pub(super) const SURVEY_TRIES: usize = 10;

/// Lets a source see what lies in its folder.
pub(super) fn survey(source: &mut Source, said: &mut HashSet<PathBuf>, now: Instant) {
    source.survey_again = false;
    for _ in 0..SURVEY_TRIES {
        let surveyed = generations(source.chain.live()).map(|files| source.survey(&files, now));
        let problems = match surveyed {
            Ok(Ok(unopened)) => unopened.into_iter().map(|file| (file.path, file.error)).collect(),
            Ok(Err(Changed)) => continue,
            Err(error) => vec![(source.chain.live().to_owned(), error)],
        };
        for (path, error) in problems {
            source.survey_again = true;
            if said.insert(path.clone()) {
                warn!("cannot open {}: {error}; it is tried again", path.display());
            }
        }
        return;
    }
    source.survey_again = true;
}

fn resume_of(saved: &SavedSource) -> Resume {
    let known = saved.generations.iter().map(|known| Known {
        key: known.key,
        head: Head { len: known.head_len, hash: known.head },
        device: known.device,
        inode: known.inode,
        start: known.start,
        size: known.size,
    });
    let reached =
        saved.position.as_ref().map(|at| Reached { key: at.key, offset: at.offset, anchor: at.anchor });
    Resume { known: known.collect(), reached, start_at: StartAt::Beginning, rests: Vec::new() }
}
