//! What the output says of itself: for `/readyz`, `/status`, and for a reader that should not read what cannot
//! be written anywhere.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::sync::watch;

use super::probe::Cluster;
use crate::event::{Target, time};

/// One writer (the output), many readers of a snapshot.
#[derive(Clone, Debug)]
pub struct StateHandle(Arc<watch::Sender<State>>);

impl Default for StateHandle {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl StateHandle {
    /// The state as it is now.
    pub fn now(&self) -> State {
        self.0.borrow().clone()
    }

    /// See [`State::is_full`].
    pub fn is_full(&self, target: &Target) -> bool {
        self.0.borrow().is_full(target)
    }

    /// Wakes whenever the state changes.
    pub fn subscribe(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// Changes it, and wakes readers only when it became another.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }
}

/// A snapshot of the output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// Whether documents arrive.
    pub health: Health,
    /// The last thing that went wrong, even when it is mended.
    pub last_error: Option<LastError>,
    /// Targets that may not be written to now.
    pub held: Vec<HeldTarget>,
    /// How many requests may be under way just now.
    pub in_flight_limit: usize,
    /// The largest body that may be sent, in bytes, once a 413 taught it.
    pub body_limit: Option<usize>,
    /// What kind of cluster it is, once something was stored there.
    pub cluster: Option<Cluster>,
    /// Dead nodes of several, as URLs without credentials.
    pub dead_nodes: Vec<String>,
}

impl State {
    /// Whether batches for `target` have used up what may wait for held targets: nothing more should be read
    /// for it now.
    pub fn is_full(&self, target: &Target) -> bool {
        self.held.iter().any(|held| held.full && *held.target == *target)
    }

    /// Whether the agent is ready, or why not.
    ///
    /// # Errors
    /// The reason in words.
    pub fn ready(&self) -> Result<(), String> {
        match &self.health {
            Health::Starting | Health::Sending => Ok(()),
            Health::Trouble { why, since } => {
                Err(format!("elasticsearch takes nothing since {since}: {why}"))
            }
        }
    }
}

/// ```text
/// Starting ──► Sending ◄──► Trouble
///     └───────────────────────▲
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Nothing was answered yet.
    #[default]
    Starting,
    /// The last request was taken.
    Sending,
    /// The cluster takes nothing; it is tried again and again.
    Trouble {
        /// What it answered, and what to do.
        why: String,
        /// Since when, RFC 3339.
        since: String,
    },
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// When, RFC 3339.
    pub at: String,
    /// What, without secrets.
    pub what: String,
}

/// A target that may not be written to now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeldTarget {
    /// The target.
    #[serde(serialize_with = "name_of")]
    pub target: Arc<Target>,
    /// What Elasticsearch says of it.
    pub why: String,
    /// How many bytes of bodies wait for it.
    pub waiting_bytes: usize,
    /// Whether all held targets together have used up their share of memory.
    pub full: bool,
}

fn name_of<S: serde::Serializer>(target: &Arc<Target>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&target.name)
}

/// The wall clock's time in nanoseconds since 1970.
pub(super) fn wall_nanos() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// The wall clock's time as RFC 3339, to the second: for people.
pub(super) fn wall_second() -> String {
    let mut time = wall_time();
    time.truncate("2026-11-22T10:00:00".len());
    time + "Z"
}

/// The wall clock's time as RFC 3339, to the nanosecond.
pub(super) fn wall_time() -> String {
    String::from_utf8_lossy(&time::rfc3339(wall_nanos())).into_owned()
}
