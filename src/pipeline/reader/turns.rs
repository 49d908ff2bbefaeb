//! How the reader reads: fair turns while there is room, and what is due when a file has come to its end.

use std::io;
use std::time::Instant;

use tracing::warn;

use super::super::outlet::Outlet;
use super::super::source::{Source, Stage, TurnContext, Turned};
use super::super::wake::Stop;
use super::discovery::survey;
use super::{Course, POLL_EVERY, Reader};
use crate::event::{SourceId, time};
use crate::observe::metrics::StateLabel;
use crate::spool::Spool;
use crate::tail::HeldFiles;

impl<O: Outlet> Reader<O> {
    /// One turn for each source that may have something, while there is room. Returns whether anything was read.
    pub(super) fn take_turns(&mut self, now: Instant) -> bool {
        let mut worked = false;
        let read_at = time::rfc3339(wall_nanos());
        // What is held is held by sources at their end or by those whose turn comes.
        let holders = self.holding.iter().chain(&self.ready);
        let held = holders.filter_map(|id| self.sources.get(id)).map(Source::held_bytes).sum();
        for _ in 0..self.ready.len() {
            self.has_room = self.outlet.has_room(held);
            if !self.has_room {
                return false;
            }
            let Some(id) = self.ready.pop_front() else { break };
            let Some(source) = self.sources.get_mut(&id) else { continue };
            if source.stage != Stage::Reading || source.not_before.is_some_and(|due| now < due) {
                self.is_ready.remove(&id);
                continue;
            }
            if !self.outlet.takes(id) {
                self.ready.push_back(id);
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
                Turned::AtEnd => worked |= self.at_end(id, now),
                Turned::Failed(error) => {
                    let path = source.chain.reading().unwrap_or(&source.found.path).to_owned();
                    let goes_on = self.outlet.unreadable(&path, &error);
                    let is_damaged = source.chain.reads_packed() && is_damage(&error);
                    if is_damaged && !goes_on {
                        warn!(
                            "cannot read {} any further, it is damaged: {error}; the rest is lost",
                            path.display()
                        );
                    }
                    if is_damaged || goes_on {
                        worked = true;
                        if let Some(copy) = source.chain.give_up_reading() {
                            Spool::set_aside(&copy);
                        }
                        source.not_before = None;
                        self.ready.push_back(id);
                        continue;
                    }
                    if self.said_problems.insert(source.found.path.clone()) {
                        warn!("cannot read {}: {error}; it is tried again", source.found.path.display());
                    }
                    worked |= self.at_end(id, now);
                }
            }
        }
        worked
    }

    /// A source was read to its end. Returns whether there is more to do now.
    pub(super) fn at_end(&mut self, id: SourceId, now: Instant) -> bool {
        self.is_ready.remove(&id);
        let to_end = self.settings.course == Course::ToEnd || self.stop == Some(Stop::Drain);
        let Some(source) = self.sources.get_mut(&id) else { return false };
        let awaited = source.chain.awaits_input();
        if to_end && !awaited {
            if source.chain.is_empty() {
                source.finish(&mut self.outlet, now);
                return self.outlet.at_end(id);
            }
            // Nothing is waited for: what has no newline has none.
            source.chain.close_all();
            self.wake_source(id);
            return true;
        }
        if source.joiner.held().is_some() {
            self.holding.insert(id);
        }
        !awaited && source.chain.is_at_youngest() && self.outlet.at_end(id)
    }

    /// Gives out what was silent for long enough, of sources that are read to their end.
    pub(super) fn expire(&mut self, now: Instant) {
        let due = |id: &SourceId| {
            let deadline = self.sources.get(id).and_then(Source::deadline);
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
    pub(super) fn poll(&mut self, now: Instant) {
        self.next_poll = now + POLL_EVERY;
        let news = |source: &&Source| source.stage == Stage::Reading && source.chain.has_news(now);
        let ids: Vec<SourceId> = self.sources.values().filter(news).map(|source| source.id).collect();
        for id in ids {
            self.wake_source(id);
        }
        self.look_up_waiting(now);
        if self.directory.reread_own() {
            self.metadata_changed(now);
        }
        self.hold(now, false);
        self.show();
    }

    /// Shows where all sources stand.
    fn show(&mut self) {
        let mut all = HeldFiles::default();
        for source in self.sources.values_mut() {
            let held = source.show();
            all.active += held.active;
            all.rotated += held.rotated;
            all.deleted += held.deleted;
        }
        for (state, count) in [("active", all.active), ("rotated", all.rotated), ("deleted", all.deleted)] {
            let gauge = self.metrics.files.get_or_create_owned(&StateLabel { state });
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// Whether trying again is no use: what is damaged stays so, all else may pass.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | NotFound | UnexpectedEof)
}

/// The time of day, in nanoseconds since 1970.
fn wall_nanos() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
