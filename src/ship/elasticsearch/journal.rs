//! What is said of all this: in the log, each thing once and then rarely, and in the state.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::delivery::{Hold, Past};
use super::probe::Cluster;
use super::state::{Health, HeldTarget, LastError, StateHandle, wall_second};
use super::verdict::Reason;
use crate::event::Target;
use crate::observe::{Repeats, Said};

/// The same thing is said again after this long.
const AGAIN: Duration = Duration::from_secs(60);
/// So many kinds of refusals are told apart.
const KINDS: usize = 1_000;

/// The one voice of the output.
#[derive(Debug)]
pub struct Journal {
    state: StateHandle,
    trouble: Option<Trouble>,
    /// What was said of troubles: one that comes and goes with each request is not said each time.
    troubles: Repeats,
    held: HashMap<Arc<Target>, String>,
    refusals: HashSet<(String, String, Option<String>)>,
    duplicates: Quiet,
    /// Data streams in which nothing can be looked up.
    unseen: HashSet<String>,
}

#[derive(Debug)]
struct Trouble {
    since: Instant,
    /// Whether the log knows of it, so that its end is worth a line.
    is_said: bool,
}

/// Something that is counted while it is not said.
#[derive(Debug, Default)]
struct Quiet {
    said: Option<Instant>,
    count: u64,
}

impl Journal {
    /// Speaks into the log and `state`.
    pub fn new(state: StateHandle) -> Self {
        Self {
            state,
            trouble: None,
            troubles: Repeats::new(AGAIN),
            held: HashMap::new(),
            refusals: HashSet::new(),
            duplicates: Quiet::default(),
            unseen: HashSet::new(),
        }
    }

    /// The cluster takes nothing.
    pub fn trouble(&mut self, now: Instant, why: &str) {
        let said = self.troubles.note(why, now.into_std());
        match said {
            Said::First => tracing::warn!("elasticsearch takes nothing now, trying again: {why}"),
            Said::Again(times) => tracing::warn!(
                "elasticsearch takes nothing now, trying again, as {times} times since this was last said: {why}"
            ),
            Said::Already => {}
        }
        let known = self.trouble.get_or_insert(Trouble { since: now, is_said: false });
        known.is_said |= said != Said::Already;
        let why = why.to_owned();
        self.state.change(|state| {
            let since = match &state.health {
                Health::Trouble { since, .. } => since.clone(),
                _ => wall_second(),
            };
            state.health = Health::Trouble { why: why.clone(), since };
            state.last_error = Some(LastError { at: wall_second(), what: why });
        });
    }

    /// The cluster took something.
    pub fn taken(&mut self, now: Instant) {
        if let Some(trouble) = self.trouble.take()
            && trouble.is_said
        {
            let seconds = (now - trouble.since).as_secs_f32();
            tracing::info!("elasticsearch takes documents again after {seconds:.1} s");
        }
        self.state.change(|state| state.health = Health::Sending);
    }

    /// What kind of cluster it is.
    pub fn cluster(&self, cluster: Cluster) {
        tracing::info!("ships to {cluster}");
        self.state.change(|state| state.cluster = Some(cluster));
    }

    /// A target may not be written to.
    pub fn held(&mut self, target: &Arc<Target>, hold: Hold, why: &str) {
        let known = self.held.insert(Arc::clone(target), why.to_owned());
        if known.as_deref() != Some(why) {
            let what = match hold {
                Hold::Closed => "may not be written to; only what is bound for it waits",
                Hold::Flooded => {
                    "is blocked by the disk's flood stage until space is freed; what is bound for it waits"
                }
            };
            tracing::warn!(target_name = %target.name, "{} {what}: {why}", target.name);
            let what = format!("{}: {why}", target.name);
            self.state.change(|state| state.last_error = Some(LastError { at: wall_second(), what }));
        }
    }

    /// A target may be written to again, or nothing waits for it any more.
    pub fn released(&mut self, target: &Target) {
        if self.held.remove(target).is_some() {
            tracing::info!("{} may be written to again", target.name);
        }
    }

    /// Whether any target is held.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Tells the state how much waits for each held target, and whether that is all that may.
    pub fn waiting(&self, bytes: &HashMap<Arc<Target>, usize>, most: usize) {
        let full = bytes.values().sum::<usize>() >= most;
        let held = self.held.iter().map(|(target, why)| HeldTarget {
            target: Arc::clone(target),
            why: why.clone(),
            waiting_bytes: bytes.get(target).copied().unwrap_or_default(),
            full,
        });
        let mut held: Vec<HeldTarget> = held.collect();
        held.sort_by(|one, other| one.target.name.cmp(&other.target.name));
        self.state.change(|state| state.held = held);
    }

    /// A document was refused: the first of its kind is told whole.
    pub fn refused(&mut self, target: &Target, reason: &Reason) {
        let kind = (target.name.clone(), reason.kind.clone(), reason.field().map(str::to_owned));
        if self.refusals.len() < KINDS && self.refusals.insert(kind) {
            tracing::warn!(
                "{} refuses a document ({}); it is sent once more in a safe shape, more of this kind are only counted",
                target.name,
                reason.line()
            );
        }
    }

    /// Documents were stored already.
    pub fn duplicates(&mut self, target: &Target, count: u64, past: Past, now: Instant) {
        if past != Past::Known {
            return;
        }
        self.duplicates.count += count;
        if self.duplicates.said.is_none_or(|said| now >= said + AGAIN) {
            tracing::warn!(
                "{} documents, the last in {}, were stored already though this agent never sent them: as it should \
                 be with a new data_dir, else a second agent ships the same files",
                self.duplicates.count,
                target.name
            );
            self.duplicates = Quiet { said: Some(now), count: 0 };
        }
    }

    /// What may be stored already was looked up; or why that could not be.
    pub fn looked_up(&mut self, target: &Target, doubt: Option<&str>) {
        match doubt {
            None => _ = self.unseen.remove(&target.name),
            Some(why) if self.unseen.insert(target.name.clone()) => tracing::warn!(
                "cannot look up what {} may hold already: {why}; it is sent again, and is there twice where the \
                 stream rolled over meanwhile. Give the role the privilege read on it",
                target.name
            ),
            Some(_) => {}
        }
    }

    /// Documents were refused for good and could not be kept.
    pub fn dropped(&self, target: &Target, count: usize, why: &str) {
        tracing::error!("{count} refused documents for {} are dropped: {why}", target.name);
        let what = format!("{count} refused documents dropped: {why}");
        self.state.change(|state| state.last_error = Some(LastError { at: wall_second(), what }));
    }

    /// How much is asked of the cluster now.
    pub fn load(&self, in_flight_limit: usize, body_limit: Option<usize>) {
        self.state.change(|state| {
            state.in_flight_limit = in_flight_limit;
            state.body_limit = body_limit;
        });
    }
}
