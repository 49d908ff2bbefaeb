//! The agent's outlet: events become documents, documents become batches, batches leave for the output.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{info, warn};

use super::budget::Budget;
use super::filters::{Filters, Refused, SourceFilters};
use super::limited::Spell;
use super::outlet::{Facts, Mark, Outlet};
use super::targets::{Route, Targets};
use crate::batch::{self, Assembler, Entry};
use crate::checkpoint::Keeper;
use crate::discover::Found;
use crate::enrich::{DockerMeta, DocumentSettings, Metadata, Scratch, Subject, Template};
use crate::event::time::Clock;
use crate::event::{
    Batch, BySource, End, Event, GenerationKey, Origin, PodMeta, Position, Receipt, Record, SourceId,
    SourceKey, Target,
};
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
    /// How far each source is delivered, and the checkpoint says so.
    pub remembered: Arc<Remembered>,
    /// Counts what is lost.
    pub metrics: Arc<Metrics>,
}

/// How far each source is delivered and remembered: the keeper of the checkpoint tells, the reader asks.
#[derive(Debug, Default)]
pub struct Remembered(Mutex<BySource<(GenerationKey, u64)>>);

impl Remembered {
    /// The checkpoint says that a source stands here.
    pub fn saved(&self, receipt: &Receipt) {
        self.lock().insert(receipt.source, (receipt.generation, receipt.offset));
    }

    fn lock(&self) -> MutexGuard<'_, BySource<(GenerationKey, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outlet.
pub struct Shipping {
    packer: Packer,
    ways: Ways,
    sources: BySource<Shipped>,
    /// Sealed, and the channel was full.
    outbox: VecDeque<Batch>,
    /// Sources of which the rate limit leaves something out.
    limited: BTreeSet<SourceId>,
}

/// Events become documents in batches.
struct Packer {
    settings: ShippingSettings,
    assembler: Assembler,
    scratch: Scratch,
}

impl Packer {
    /// Puts an event of a source into a batch, without the bytes that were cut from it.
    #[inline]
    fn put(
        &mut self,
        (source, shipped): (SourceId, &mut Shipped),
        (start, end): (&GenerationKey, &GenerationKey),
        event: &Event<'_>,
        cut: u64,
        now: Instant,
    ) {
        let Shipped { template, found, pod, route, clock, read_before, .. } = shipped;
        let targets = &mut self.settings.targets;
        let target = self.settings.targeted.then(|| targets.resolve(route, event.time));
        let entry = Entry {
            target,
            start: (start, event.span.start.offset),
            end: (end, event.span.end.offset),
            source,
            bytes: event.bytes - cut,
            time: clock.nanos(event.time),
            sent_before: event.span.start < *read_before,
        };
        let (scratch, rendering) = (&mut self.scratch, &mut self.settings.rendering);
        let write = |out: &mut Vec<u8>| match rendering {
            Rendering::Document => template.render(event, scratch, out),
            Rendering::Print(printer) => printer.print(found, pod.as_ref(), event, out),
        };
        self.assembler.push(entry, write, now);
    }
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
    /// What the rate limit leaves out just now.
    limited: Option<Spell>,
    /// Why bytes of it were lost, as far as that was said.
    said_lost: BTreeSet<&'static str>,
    /// See [`Facts::read_before`].
    read_before: Position,
}

impl Shipping {
    /// An outlet with nothing in it.
    pub fn new(settings: ShippingSettings, ways: Ways) -> Self {
        let assembler = Assembler::new(settings.batch);
        Self {
            packer: Packer { settings, assembler, scratch: Scratch::default() },
            ways,
            sources: BySource::default(),
            outbox: VecDeque::new(),
            limited: BTreeSet::new(),
        }
    }

    /// Takes bodies back, or their memory would be held between two bursts.
    fn take_back(&mut self) {
        while let Ok(body) = self.ways.spare_bodies.try_recv() {
            self.packer.assembler.recycle(body);
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

    /// Says what the rate limit has left out, of each source that it is time for, or of this one.
    fn tell_limited(&mut self, of: impl Fn(SourceId, &Spell) -> bool, now: Instant) {
        let spells = self.limited.iter().filter_map(|id| {
            let spell = self.sources.get(id)?.limited.as_ref()?;
            of(*id, spell).then_some(*id)
        });
        for id in spells.collect::<Vec<_>>() {
            self.limited.remove(&id);
            let Some(shipped) = self.sources.get_mut(&id) else { continue };
            if let Some(spell) = shipped.limited.take() {
                let (key, message) = (spell.generation, spell.message());
                self.packer.put((id, shipped), (&key, &key), &spell.event(&message), 0, now);
            }
        }
    }

    fn sealed(&mut self) -> Option<Batch> {
        let batch = self.packer.assembler.sealed()?;
        self.ways.budget.charge(batch.sequence, batch.body.capacity());
        self.ways.backlog.left(&batch);
        Some(batch)
    }
}

impl Outlet for Shipping {
    fn describe(&mut self, facts: &Facts<'_>) {
        let mut route = self.packer.settings.targets.route(facts);
        let Some(documents) = self.packer.settings.documents.get(facts.found.block) else { return };
        let target = match &mut route {
            Route::Fixed(target) => Some(Arc::clone(target)),
            Route::ByTime(_) => None,
        };
        let template = template(documents, facts, target.as_deref());
        let mut filters = self.packer.settings.filters.of(facts);
        let (account, limited, said_lost) = match self.sources.remove(&facts.id) {
            Some(known) => {
                filters.go_on_from(known.filters);
                (known.account, known.limited, known.said_lost)
            }
            None => (self.ways.backlog.open(facts.id, owner(facts)), None, BTreeSet::new()),
        };
        let (found, pod, read_before) = (facts.found.clone(), facts.pod.cloned(), facts.read_before);
        let clock = Clock::default();
        let shipped =
            Shipped { found, pod, template, route, filters, account, clock, limited, said_lost, read_before };
        self.sources.insert(facts.id, shipped);
    }

    #[inline]
    fn event(&mut self, source: SourceId, keys: &Keys, event: &Event<'_>, now: Instant) {
        let Some(shipped) = self.sources.get_mut(&source) else { return };
        let (start, end) = (event.span.start, event.span.end);
        let (Some(start_key), Some(end_key)) = (keys.get(start.generation), keys.get(end.generation)) else {
            debug_assert!(false, "an event lies in generations that have names");
            return;
        };
        if matches!(event.end, End::Limit(_)) {
            self.ways.metrics.split_events.inc();
        }
        if let Err(refused) = shipped.filters.pass(event, now) {
            let result = match refused {
                Refused::Dropped => "dropped",
                Refused::RateLimited => "rate_limited",
            };
            self.ways.metrics.events.get_or_create_owned(&ResultLabel { result }).inc();
            shipped.account.ended(Fate::Dropped, event.bytes);
            if refused == Refused::RateLimited {
                match &mut shipped.limited {
                    Some(spell) => spell.add(event, now),
                    none => {
                        *none = Some(Spell::begin(start_key, event, now));
                        self.limited.insert(source);
                    }
                }
            }
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
        self.packer.put((source, shipped), (&start_key, &end_key), event, cut, now);
    }

    fn mark(&mut self, mark: &Mark<'_>, now: Instant) {
        let at = batch::Mark { generation: mark.generation, offset: mark.offset, anchor: mark.anchor };
        self.packer.assembler.mark(mark.id, mark.key, at, now);
        self.send();
    }

    fn record(&mut self, record: Record, before_events: bool, now: Instant) {
        if !before_events {
            self.ways.keeper.note(vec![record]);
            return;
        }
        if matches!(record, Record::Generation { .. }) {
            // In an outage no batch leaves; a copy of the file must be known for what it is all the same.
            self.ways.keeper.note(vec![record.clone()]);
        }
        self.packer.assembler.record(record, now);
    }

    fn account(&self, source: SourceId) -> Option<Arc<Account>> {
        self.sources.get(&source).map(|shipped| Arc::clone(&shipped.account))
    }

    fn remembered(&self, source: SourceId) -> Option<(GenerationKey, u64)> {
        self.ways.remembered.lock().get(&source).copied()
    }

    fn lost(&mut self, source: SourceId, key: &SourceKey, loss: Loss) {
        if loss.bytes == 0 {
            info!(source = %key, reason = loss.reason, "the file that was read last is gone; whether it grew before that is not known");
            return;
        }
        let shipped = self.sources.get_mut(&source);
        if shipped.is_none_or(|shipped| shipped.said_lost.insert(loss.reason)) {
            warn!(source = %key, bytes = loss.bytes, reason = loss.reason, "bytes were gone before they were read; what follows is counted");
        }
        let reason = ReasonLabel { reason: loss.reason };
        self.ways.metrics.lost_bytes.get_or_create_owned(&reason).inc_by(loss.bytes);
        match self.sources.get(&source) {
            Some(shipped) => shipped.account.ended(Fate::Lost, loss.bytes),
            None => self.ways.backlog.lost(loss.bytes),
        }
    }

    fn has_room(&mut self, held: usize) -> bool {
        self.take_back();
        self.send();
        if !self.outbox.is_empty() {
            return false;
        }
        let Self { packer: Packer { assembler, .. }, ways: Ways { budget, .. }, .. } = self;
        loop {
            let (buffered, spare) = (held + assembler.buffered_bytes(), assembler.spare_bytes());
            // What is read next goes into a body that is there, if there is one.
            if budget.has_room(buffered, TURN_ROOM.saturating_sub(spare)) {
                return true;
            }
            // It is given up only where that makes room: else it would be missed as soon as there is room again.
            if !(budget.has_room(buffered - spare, TURN_ROOM) && assembler.drop_spare()) {
                return false;
            }
        }
    }

    fn takes(&self, source: SourceId) -> bool {
        match self.sources.get(&source).map(|shipped| &shipped.route) {
            Some(Route::Fixed(target)) => !self.packer.settings.held.is_full(target),
            Some(Route::ByTime(_)) | None => true,
        }
    }

    fn tick(&mut self, now: Instant) {
        self.take_back();
        self.tell_limited(|_, spell| spell.due() <= now, now);
        self.packer.assembler.expire(now);
        self.send();
    }

    fn deadline(&self) -> Option<Instant> {
        // A full channel is waited for by the bell, not by the clock.
        if !self.outbox.is_empty() {
            return None;
        }
        let spells = self.limited.iter().filter_map(|id| self.sources.get(id)?.limited.as_ref());
        spells.map(Spell::due).chain(self.packer.assembler.deadline()).min()
    }

    fn closed(&mut self, source: SourceId) {
        self.tell_limited(|id, _| id == source, Instant::now());
        self.sources.remove(&source);
        self.packer.assembler.forget(source);
        self.ways.remembered.lock().remove(&source);
        self.ways.backlog.close(source);
    }

    fn finish(&mut self, now: Instant) {
        self.tell_limited(|_, _| true, now);
        self.packer.assembler.flush();
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
