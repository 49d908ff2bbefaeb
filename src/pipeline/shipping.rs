//! The agent's outlet: events become documents, documents become batches, batches leave for the output.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{info, warn};

use super::budget::Budget;
use super::filters::{Filters, Refused, SourceFilters};
use super::outlet::{Facts, Mark, Outlet};
use super::targets::{Route, Targets};
use crate::batch::{self, Assembler, Entry};
use crate::checkpoint::Keeper;
use crate::discover::Found;
use crate::enrich::{DockerMeta, DocumentSettings, Metadata, Scratch, Subject, Template};
use crate::event::time::Clock;
use crate::event::{Batch, BySource, Event, Origin, PodMeta, Record, SourceId, SourceKey, Target};
use crate::observe::metrics::{ReasonLabel, ResultLabel};
use crate::observe::{Account, Backlog, Fate, Metrics, Owner};
use crate::ship::elasticsearch::StateHandle;
use crate::tail::{Keys, Loss};

/// How much room there must be before another turn is taken: what one turn can add, documents included.
const TURN_ROOM: usize = 2 * 1024 * 1024;

/// Writes events as a person reads them, in place of documents.
pub trait Printer: Send {
    /// Appends one event, with its newline.
    fn print(&mut self, found: &Found, pod: Option<&PodMeta>, event: &Event<'_>, out: &mut Vec<u8>);
}

/// What an event is written as.
pub enum Rendering {
    /// The document that is shipped.
    Document,
    /// As a person reads it.
    Print(Box<dyn Printer>),
}

/// What the outlet needs to know.
pub struct ShippingSettings {
    /// When batches are sealed, and their layout.
    pub batch: batch::Settings,
    /// What events are written as.
    pub rendering: Rendering,
    /// How documents look, in the order of the file blocks.
    pub documents: Vec<DocumentSettings>,
    /// Where they go.
    pub targets: Targets,
    /// Which of them go nowhere.
    pub filters: Filters,
    /// Whether each batch is for one target; else targets only show in documents.
    pub targeted: bool,
    /// Which targets may not be written to just now.
    pub held: StateHandle,
}

/// What the outlet is connected to.
pub struct Ways {
    /// To the output, by way of the gate.
    pub batches: Sender<Batch>,
    /// What may not wait for a batch.
    pub keeper: Keeper,
    /// The memory of all that is on its way.
    pub budget: Arc<Budget>,
    /// Bodies that come back empty.
    pub spare_bodies: Receiver<Vec<u8>>,
    /// The accounts.
    pub backlog: Arc<Backlog>,
    /// Counts what is lost.
    pub metrics: Arc<Metrics>,
}

/// The outlet.
pub struct Shipping {
    settings: ShippingSettings,
    ways: Ways,
    assembler: Assembler,
    scratch: Scratch,
    sources: BySource<Shipped>,
    /// Sealed, and the channel was full.
    outbox: VecDeque<Batch>,
}

/// What is kept of a source.
struct Shipped {
    found: Found,
    pod: Option<PodMeta>,
    template: Template,
    route: Route,
    filters: SourceFilters,
    account: Arc<Account>,
    clock: Clock,
}

impl Shipping {
    /// An outlet with nothing in it.
    pub fn new(settings: ShippingSettings, ways: Ways) -> Self {
        let assembler = Assembler::new(settings.batch);
        Self {
            settings,
            ways,
            assembler,
            scratch: Scratch::default(),
            sources: BySource::default(),
            outbox: VecDeque::new(),
        }
    }

    /// Sends what is sealed, as long as the channel takes it.
    fn send(&mut self) {
        while let Some(batch) = self.outbox.pop_front().or_else(|| self.sealed()) {
            match self.ways.batches.try_send(batch) {
                Ok(()) => {}
                Err(TrySendError::Full(batch)) => {
                    self.outbox.push_front(batch);
                    return;
                }
                // The output has ended, and the process is about to.
                Err(TrySendError::Closed(_)) => return,
            }
        }
    }

    fn sealed(&mut self) -> Option<Batch> {
        let batch = self.assembler.sealed()?;
        self.ways.budget.charge(batch.sequence, batch.body.capacity());
        self.ways.backlog.left(&batch);
        Some(batch)
    }
}

impl Outlet for Shipping {
    fn describe(&mut self, facts: &Facts<'_>) {
        let mut route = self.settings.targets.route(facts);
        let Some(documents) = self.settings.documents.get(facts.found.block) else { return };
        let target = match &mut route {
            Route::Fixed(target) => Some(Arc::clone(target)),
            Route::ByTime(_) => None,
        };
        let template = template(documents, facts, target.as_deref());
        let mut filters = self.settings.filters.of(facts);
        let account = match self.sources.remove(&facts.id) {
            Some(known) => {
                filters.go_on_from(known.filters);
                known.account
            }
            None => self.ways.backlog.open(facts.id, owner(facts)),
        };
        let (found, pod) = (facts.found.clone(), facts.pod.cloned());
        let clock = Clock::default();
        self.sources.insert(facts.id, Shipped { found, pod, template, route, filters, account, clock });
    }

    #[inline]
    fn event(&mut self, source: SourceId, keys: &Keys, event: &Event<'_>, now: Instant) {
        let Some(shipped) = self.sources.get_mut(&source) else { return };
        let (start, end) = (event.span.start, event.span.end);
        let (Some(start_key), Some(end_key)) = (keys.get(start.generation), keys.get(end.generation)) else {
            debug_assert!(false, "an event lies in generations that have names");
            return;
        };
        if let Err(refused) = shipped.filters.pass(event, now) {
            let result = match refused {
                Refused::Dropped => "dropped",
                Refused::RateLimited => "rate_limited",
            };
            self.ways.metrics.events.get_or_create_owned(&ResultLabel { result }).inc();
            shipped.account.ended(Fate::Dropped, event.bytes);
            return;
        }
        let message = shipped.filters.redact(event.message);
        let event = &match message {
            Cow::Borrowed(_) => *event,
            Cow::Owned(ref message) => Event { message, utf8: false, ..*event },
        };
        // Bytes that were cut are of the event, but do not arrive.
        let cut = event.truncated.min(event.bytes);
        if cut > 0 {
            shipped.account.ended(Fate::Truncated, cut);
        }
        let Shipped { template, found, pod, route, clock, .. } = shipped;
        let targets = &mut self.settings.targets;
        let target = self.settings.targeted.then(|| targets.resolve(route, event.time));
        let entry = Entry {
            target,
            start: (&start_key, start.offset),
            end: (&end_key, end.offset),
            source,
            bytes: event.bytes - cut,
            time: clock.nanos(event.time),
        };
        let (scratch, rendering) = (&mut self.scratch, &mut self.settings.rendering);
        let write = |out: &mut Vec<u8>| match rendering {
            Rendering::Document => template.render(event, scratch, out),
            Rendering::Print(printer) => printer.print(found, pod.as_ref(), event, out),
        };
        self.assembler.push(entry, write, now);
    }

    fn mark(&mut self, mark: &Mark<'_>, now: Instant) {
        let at = batch::Mark { generation: mark.generation, offset: mark.offset, anchor: mark.anchor };
        self.assembler.mark(mark.id, mark.key, at, now);
        self.send();
    }

    fn record(&mut self, record: Record, before_events: bool, now: Instant) {
        if before_events {
            self.assembler.record(record, now);
        } else {
            self.ways.keeper.note(vec![record]);
        }
    }

    fn account(&self, source: SourceId) -> Option<Arc<Account>> {
        self.sources.get(&source).map(|shipped| Arc::clone(&shipped.account))
    }

    fn lost(&mut self, source: SourceId, key: &SourceKey, loss: Loss) {
        if loss.bytes == 0 {
            info!(source = %key, reason = loss.reason, "the file that was read last is gone; whether it grew before that is not known");
            return;
        }
        warn!(source = %key, bytes = loss.bytes, reason = loss.reason, "bytes were gone before they were read");
        let reason = ReasonLabel { reason: loss.reason };
        self.ways.metrics.lost_bytes.get_or_create_owned(&reason).inc_by(loss.bytes);
        if let Some(shipped) = self.sources.get(&source) {
            shipped.account.ended(Fate::Lost, loss.bytes);
        }
    }

    fn has_room(&mut self, held: usize) -> bool {
        while let Ok(body) = self.ways.spare_bodies.try_recv() {
            self.assembler.recycle(body);
        }
        self.send();
        self.outbox.is_empty() && self.ways.budget.has_room(held + self.assembler.buffered_bytes(), TURN_ROOM)
    }

    fn takes(&self, source: SourceId) -> bool {
        match self.sources.get(&source).map(|shipped| &shipped.route) {
            Some(Route::Fixed(target)) => !self.settings.held.is_full(target),
            Some(Route::ByTime(_)) | None => true,
        }
    }

    fn tick(&mut self, now: Instant) {
        self.assembler.expire(now);
        self.send();
    }

    fn deadline(&self) -> Option<Instant> {
        // A full channel is waited for by the bell, not by the clock.
        if self.outbox.is_empty() { self.assembler.deadline() } else { None }
    }

    fn closed(&mut self, source: SourceId) {
        self.sources.remove(&source);
        self.assembler.forget(source);
        self.ways.backlog.close(source);
    }

    fn finish(&mut self, _now: Instant) {
        self.assembler.flush();
        while let Some(batch) = self.outbox.pop_front().or_else(|| self.sealed()) {
            // The end: the reader's own thread may wait now.
            if self.ways.batches.blocking_send(batch).is_err() {
                return;
            }
        }
    }
}

/// What is constant of a source's documents.
pub fn template(documents: &DocumentSettings, facts: &Facts<'_>, target: Option<&Target>) -> Template {
    let docker = docker_meta(&facts.found.origin);
    let subject = Subject {
        origin: &facts.found.origin,
        pod: facts.pod,
        docker: docker.as_ref(),
        path: &facts.found.shown.to_string_lossy(),
        target,
        metadata: match facts.found.origin {
            Origin::Pod { .. } if facts.timed_out => Metadata::PathOnly,
            Origin::Pod { .. } => Metadata::Full,
            Origin::Docker { .. } | Origin::File => Metadata::NotKubernetes,
        },
        json: facts.settings.json,
    };
    Template::new(documents, &subject)
}

fn owner(facts: &Facts<'_>) -> Owner {
    let [namespace, pod, container] = facts.found.origin.names(facts.pod).map(str::to_owned);
    Owner { namespace, pod, container }
}

/// What a plain Docker host says of the container, beside its log.
fn docker_meta(origin: &Origin) -> Option<DockerMeta> {
    let Origin::Docker { folder, .. } = origin else { return None };
    match DockerMeta::read(folder) {
        Ok(meta) => Some(meta),
        Err(error) => {
            warn!("{error}");
            None
        }
    }
}
