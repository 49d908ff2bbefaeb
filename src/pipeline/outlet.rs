//! What the reader gives its events to: the batches of the agent, or the printer of `skidder logs`.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::discover::Found;
use crate::enrich::PodSettings;
use crate::event::{Event, GenerationKey, PodMeta, Position, Record, SourceId, SourceKey};
use crate::observe::Account;
use crate::tail::{Keys, Loss};

/// What is known of a source when its events begin, or change.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The source.
    pub id: SourceId,
    /// Its log.
    pub found: &'a Found,
    /// What the kubelet says of its pod.
    pub pod: Option<&'a PodMeta>,
    /// The kubelet was asked and had nothing to say in time.
    pub timed_out: bool,
    /// What the pod's annotations ask for.
    pub settings: &'a PodSettings,
    /// An earlier run of the agent may have sent what lies before this.
    pub read_before: Position,
}

/// Where a source stands in what can be remembered.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    /// The source.
    pub id: SourceId,
    /// Its durable name.
    pub key: &'a SourceKey,
    /// The generation of its lowest byte that the reader still holds.
    pub generation: GenerationKey,
    /// That byte.
    pub offset: u64,
    /// The anchor there; 0 for none.
    pub anchor: u64,
}

/// Takes what the reader reads.
pub trait Outlet {
    /// A source's events begin, or what is known of it has changed.
    fn describe(&mut self, facts: &Facts<'_>);

    /// One event. The names of the generations that it lies in are among `keys`.
    fn event(&mut self, source: SourceId, keys: &Keys, event: &Event<'_>, now: Instant);

    /// All bytes of the source below the mark were given as events.
    fn mark(&mut self, mark: &Mark<'_>, now: Instant);

    /// What the checkpoint should know; `before_events` of it must be durable before any later event leaves.
    fn record(&mut self, record: Record, before_events: bool, now: Instant);

    /// The account of a source that was described.
    fn account(&self, source: SourceId) -> Option<Arc<Account>>;

    /// How far a source is acknowledged, and remembered: the lowest byte that is not, and its generation. `None` when
    /// nothing is.
    fn remembered(&self, _source: SourceId) -> Option<(GenerationKey, u64)> {
        None
    }

    /// Bytes of a source were gone before they were read.
    fn lost(&mut self, source: SourceId, key: &SourceKey, loss: Loss);

    /// Whether more may be read, while the reader itself holds so many bytes.
    fn has_room(&mut self, held: usize) -> bool;

    /// Whether more of this source may be read: what it is bound for may be out of reach, or another's turn come.
    fn takes(&self, source: SourceId) -> bool;

    /// Whether anything of this log may be taken; if not, it is not even opened.
    fn wants(&self, _found: &Found) -> bool {
        true
    }

    /// The source was read to its end, of all its files; more may be written. Returns whether others may be read now
    /// that had to wait.
    fn at_end(&mut self, _source: SourceId) -> bool {
        false
    }

    /// A file cannot be opened, or not be read any further. Returns whether to go on without it; else it is tried
    /// again.
    fn unreadable(&mut self, _path: &Path, _error: &io::Error) -> bool {
        false
    }

    /// Does what is due.
    fn tick(&mut self, now: Instant);

    /// When something will be due.
    fn deadline(&self) -> Option<Instant>;

    /// The source is gone: no more of it will come.
    fn closed(&mut self, source: SourceId);

    /// Nothing more will come of any source.
    fn finish(&mut self, now: Instant);
}
