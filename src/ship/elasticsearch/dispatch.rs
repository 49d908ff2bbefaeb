//! Which batch goes next, and what its answer changes. One task owns all of this.
//!
//! Two kinds of doors stand before a request: one for the whole cluster, one for each target. A request that
//! fails as a whole shuts the first, documents that may not be written to their target shut the second. While a
//! door is ajar one request at a time goes through to find out.

mod lookups;
mod replies;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use self::lookups::{Asked, Resolved};
use self::replies::Judged;
use super::backing::Backing;
use super::backoff::{BUSY, FLOODED, Gate, wait};
use super::bulk::{self, Outcome, Sent};
use super::dead_letters::{DeadLetter, Store};
use super::delivery::{Delivery, Hold, Past, Summary};
use super::journal::Journal;
use super::lane::{Lane, bulk_path};
use super::load::{BodyLimit, Concurrency};
use super::press::Press;
use super::probe::Cluster;
use super::settings::Settings;
use super::setup::{self, Done, SetupError};
use super::state::StateHandle;
use super::templates::Templates;
use super::transport::Transport;
use crate::event::{Batch, Settled, Target, TargetKind, Verdict};
use crate::observe::Metrics;
use crate::observe::metrics::ResultLabel;

/// How often a changed secret is looked for while credentials are refused.
const SECRET_LOOK: Duration = Duration::from_millis(250);

/// The order in which batches came.
type Ticket = u64;

/// All state of the output.
pub struct Dispatch<T> {
    transport: Arc<T>,
    settings: Settings,
    settled: mpsc::UnboundedSender<Settled>,
    metrics: Arc<Metrics>,
    journal: Journal,
    press: Arc<Press>,
    store: Option<Store>,
    tickets: Ticket,
    /// Batches that wait for their turn, in the order in which they came.
    waiting: BTreeMap<Ticket, Delivery>,
    /// Batches of which a request or a writing of dead letters is under way.
    flying: HashMap<Ticket, Delivery>,
    tasks: JoinSet<Finished>,
    /// How many of `tasks` are bulk requests.
    sending: usize,
    lanes: HashMap<Arc<Target>, Lane>,
    templates: Templates,
    backing: Backing,
    /// The door to the cluster.
    gate: Gate,
    /// Whether `gate` waits for other credentials.
    denied: bool,
    concurrency: Concurrency,
    limit: BodyLimit,
    /// Parameters that this cluster does not know.
    left_out: Vec<String>,
    /// Whether it was asked what kind of cluster this is.
    identified: bool,
}

/// What a task came back with.
enum Finished {
    Sent { ticket: Ticket, sent: Sent, outcome: Outcome },
    Buried { ticket: Ticket, indices: Vec<u32>, kept: usize, why: String },
    LookedUp(Asked),
    Resolved(Resolved),
    Templates { stream: String, began: Instant, result: Result<Vec<(String, Done)>, SetupError> },
    Identified(Option<Cluster>),
}

impl<T: Transport> Dispatch<T> {
    /// Nothing is sent before [`Dispatch::run`].
    pub fn new(
        transport: Arc<T>,
        settings: Settings,
        settled: mpsc::UnboundedSender<Settled>,
        metrics: Arc<Metrics>,
        state: StateHandle,
    ) -> Self {
        Self {
            press: Arc::new(Press::new(settings.compression)),
            store: settings.data_dir.as_deref().map(|folder| Store::new(folder, settings.dead_letter_bytes)),
            concurrency: Concurrency::new(settings.in_flight),
            journal: Journal::new(state),
            backing: Backing::new(settings.memory.clone()),
            transport,
            settings,
            settled,
            metrics,
            tickets: 0,
            waiting: BTreeMap::new(),
            flying: HashMap::new(),
            tasks: JoinSet::new(),
            sending: 0,
            lanes: HashMap::new(),
            templates: Templates::default(),
            gate: Gate::default(),
            denied: false,
            limit: BodyLimit::default(),
            left_out: Vec::new(),
            identified: false,
        }
    }

    /// Until `batches` is closed and all is settled.
    pub async fn run(mut self, mut batches: mpsc::Receiver<Batch>) {
        let mut more = true;
        while more || !self.waiting.is_empty() || !self.flying.is_empty() {
            let now = Instant::now();
            self.start(now);
            let wake = self.wakes_at(now);
            tokio::select! {
                batch = batches.recv(), if more => match batch {
                    Some(batch) => self.take(batch),
                    None => more = false,
                },
                Some(finished) = self.tasks.join_next() => self.finish(finished),
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {
                    if self.denied && self.transport.credentials_changed() {
                        self.gate.hurry(Instant::now());
                    }
                }
            }
        }
    }

    /// A batch comes in. One without documents has nothing to wait for.
    fn take(&mut self, batch: Batch) {
        let target = batch.target.clone().filter(|_| !batch.items.is_empty());
        let Some(target) = target else {
            let verdicts = vec![Verdict::Dropped; batch.items.len()];
            if !verdicts.is_empty() {
                tracing::error!("{} documents without a target are dropped", verdicts.len());
                self.count("dropped", verdicts.len() as u64);
            }
            // A ledger that is gone has no more use for verdicts: the process is ending.
            let _ = self.settled.send(Settled { batch, verdicts });
            return;
        };
        if target.kind == TargetKind::DataStream && self.settings.setup {
            self.templates.want(&target.name);
        }
        if self.is_looked_up(&target) {
            self.backing.want(&target.name);
        }
        self.lanes.entry(Arc::clone(&target)).or_default().deliveries += 1;
        let mut delivery = Delivery::new(batch, target);
        if delivery.was_sent_before() {
            self.sent_before(&mut delivery);
        }
        self.tickets += 1;
        self.waiting.insert(self.tickets, delivery);
        self.tell_waiting();
    }

    /// Starts all that may be under way now.
    fn start(&mut self, now: Instant) {
        while self.may_ask(now)
            && let Some(stream) = self.templates.next()
        {
            self.ask_for_template(stream, now);
        }
        while self.may_ask(now)
            && let Some(stream) = self.backing.next()
        {
            self.ask_for_index(stream, now);
        }
        while self.may_ask(now)
            && self.sending < self.concurrency.limit()
            && let Some(ticket) = self.next(now)
        {
            self.advance(ticket, now);
        }
    }

    /// Whether the door to the cluster is open, or ajar with nobody in it.
    fn may_ask(&self, now: Instant) -> bool {
        self.gate.lets_through(now) && (!self.gate.is_troubled() || self.tasks.is_empty())
    }

    /// The oldest batch that may be sent.
    fn next(&self, now: Instant) -> Option<Ticket> {
        let ready = |delivery: &Delivery| {
            delivery.not_before.is_none_or(|at| at <= now)
                && self.lanes.get(delivery.target()).is_none_or(|lane| lane.is_free(now))
                && self.templates.let_through(&delivery.target().name)
                && self.backing.let_through(&delivery.target().name)
        };
        self.waiting.iter().find(|(_, delivery)| ready(delivery)).map(|(ticket, _)| *ticket)
    }

    /// When something may be started that may not now; `None` when only a batch or an answer changes anything.
    fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let cluster = self
            .gate
            .opens_at(now)
            .map(|opens| if self.denied { opens.min(now + SECRET_LOOK) } else { opens });
        if cluster.is_some() {
            return cluster.filter(|_| !self.waiting.is_empty());
        }
        let single = |delivery: &Delivery| {
            let lane = self.lanes.get(delivery.target()).and_then(|lane| lane.gate.opens_at(now));
            lane.max(delivery.not_before.filter(|at| *at > now))
        };
        self.waiting.values().filter_map(single).min()
    }

    fn ask_for_template(&mut self, stream: String, began: Instant) {
        // Agents that start together ask one after another; later streams come when they come.
        let jitter = if self.templates.is_first() { self.settings.setup_jitter } else { Duration::ZERO };
        let (transport, retention) = (Arc::clone(&self.transport), self.settings.retention.clone());
        self.tasks.spawn(async move {
            sleep(jitter.mul_f64(fastrand::f64())).await;
            let streams = [stream];
            let result = setup::ensure(&*transport, &streams, retention.as_deref()).await;
            let [stream] = streams;
            Finished::Templates { stream, began, result }
        });
    }

    /// The next thing that a batch needs: to be looked up, or to be sent.
    fn advance(&mut self, ticket: Ticket, now: Instant) {
        let Some(delivery) = self.waiting.remove(&ticket) else { return };
        let delivery = match delivery.past {
            Past::Doubtful => self.look_up(ticket, delivery),
            Past::Known | Past::Checked => Some(delivery),
        };
        if let Some(delivery) = delivery {
            self.send(ticket, delivery, now);
        }
    }

    /// A request for the batch is under way from now on.
    fn depart(&mut self, ticket: Ticket, delivery: Delivery) {
        if let Some(lane) = self.lanes.get_mut(delivery.target()) {
            lane.sending += 1;
        }
        self.sending += 1;
        self.flying.insert(ticket, delivery);
    }

    /// The request for the batch is over.
    fn arrive(&mut self, ticket: Ticket) -> Option<(Delivery, Arc<Target>)> {
        self.sending -= 1;
        let delivery = self.flying.remove(&ticket)?;
        let target = Arc::clone(delivery.target());
        if let Some(lane) = self.lanes.get_mut(&target) {
            lane.sending -= 1;
        }
        Some((delivery, target))
    }

    fn send(&mut self, ticket: Ticket, mut delivery: Delivery, now: Instant) {
        let chunk = delivery.chunk(self.limit.get());
        self.metrics.bytes.get_or_create(&ResultLabel { result: "truncated" }).inc_by(chunk.lost.into());
        let stream = &delivery.target().name;
        let path = bulk_path(delivery.target(), &self.left_out, self.backing.is_to_be_named(stream, now));
        let place = self.backing.current(stream).cloned();
        delivery.may_go_to(place.as_slice());
        self.depart(ticket, delivery);
        let (transport, press, metrics) =
            (Arc::clone(&self.transport), Arc::clone(&self.press), Arc::clone(&self.metrics));
        self.tasks.spawn(async move {
            let (sent, outcome) = bulk::send(transport, press, metrics, path, chunk).await;
            Finished::Sent { ticket, sent, outcome }
        });
    }

    fn finish(&mut self, finished: Result<Finished, JoinError>) {
        match finished {
            Ok(Finished::Sent { ticket, sent, outcome }) => self.sent(ticket, &sent, outcome),
            Ok(Finished::Buried { ticket, indices, kept, why }) => self.buried(ticket, &indices, kept, &why),
            Ok(Finished::Templates { stream, began, result }) => self.asked(stream, began, &result),
            Ok(Finished::LookedUp(asked)) => self.looked_up(asked),
            Ok(Finished::Resolved(resolved)) => self.resolved(resolved),
            Ok(Finished::Identified(cluster)) => self.journal.cluster(cluster.unwrap_or_default()),
            // A bug: better seen than a batch that never settles.
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
        self.journal.load(self.concurrency.limit(), self.limit.get());
        self.tell_waiting();
    }

    fn sent(&mut self, ticket: Ticket, sent: &Sent, outcome: Outcome) {
        let Some((mut delivery, target)) = self.arrive(ticket) else { return };
        let now = Instant::now();
        let judged = match outcome {
            Ok((reply, retry_after)) => self.judge(&mut delivery, sent, reply, retry_after, now),
            Err(failure) => self.failed(&mut delivery, sent, &failure, now),
        };
        let dead = match judged {
            Judged::Answered(summary) => self.answered(&mut delivery, &target, summary, sent.began, now),
            Judged::FirstRefused(reason) => {
                self.journal.refused(&target, &reason);
                delivery.refuse_first(&reason).into_iter().collect()
            }
            Judged::Again => Vec::new(),
        };
        if dead.is_empty() {
            self.put_back(ticket, delivery);
        } else {
            self.flying.insert(ticket, delivery);
            self.bury(ticket, dead);
        }
    }

    /// Waits before the batch is sent again, for single documents' sake.
    fn pause(&mut self, delivery: &mut Delivery, now: Instant) {
        delivery.tries = delivery.tries.saturating_add(1);
        delivery.not_before = Some(now + wait(delivery.tries, BUSY));
    }

    /// Counts what became of the documents, and gives back what is to be kept as dead letters.
    fn answered(
        &mut self,
        delivery: &mut Delivery,
        target: &Arc<Target>,
        summary: Summary,
        began: Instant,
        now: Instant,
    ) -> Vec<(u32, DeadLetter)> {
        self.count("shipped", summary.stored);
        self.count("duplicate", summary.duplicates);
        self.metrics.failure_store.inc_by(summary.set_aside);
        if summary.duplicates > 0 {
            self.journal.duplicates(target, summary.duplicates, delivery.past, now);
        }
        for reason in &summary.refused {
            self.journal.refused(target, reason);
        }
        if summary.busy > 0 {
            self.concurrency.refused(began, now);
            self.pause(delivery, now);
        } else {
            delivery.tries = 0;
            delivery.not_before = None;
        }
        let lane = self.lanes.get_mut(target);
        match (summary.held, lane) {
            (Some((hold, reason)), Some(lane)) => {
                let most = if hold == Hold::Flooded { FLOODED } else { BUSY };
                lane.gate.fail(began, now, most, None);
                self.journal.held(target, hold, &reason.line());
                self.templates.held(&target.name);
            }
            (None, Some(lane)) => {
                lane.gate.open();
                self.journal.released(target);
            }
            (_, None) => {}
        }
        summary.dead
    }

    /// Writes dead letters, which must be durable before their verdict.
    fn bury(&mut self, ticket: Ticket, dead: Vec<(u32, DeadLetter)>) {
        let (indices, letters): (Vec<u32>, Vec<DeadLetter>) = dead.into_iter().unzip();
        let store = self.store.clone();
        self.tasks.spawn_blocking(move || {
            let (kept, why) = match store.map(|store| store.keep(&letters)) {
                Some(Ok(kept)) => (kept, "the folder of dead letters is full".to_owned()),
                Some(Err(error)) => (0, error.to_string()),
                None => (0, "there is no data_dir to keep them in".to_owned()),
            };
            Finished::Buried { ticket, indices, kept, why }
        });
    }

    fn buried(&mut self, ticket: Ticket, indices: &[u32], kept: usize, why: &str) {
        let Some(mut delivery) = self.flying.remove(&ticket) else { return };
        let (kept, dropped) = indices.split_at(kept.min(indices.len()));
        delivery.buried(kept, Verdict::DeadLetter);
        delivery.buried(dropped, Verdict::Dropped);
        self.count("dead_letter", kept.len() as u64);
        self.count("dropped", dropped.len() as u64);
        if !dropped.is_empty() {
            self.journal.dropped(delivery.target(), dropped.len(), why);
        }
        self.put_back(ticket, delivery);
    }

    /// Settles a batch that is done; another waits for its next turn.
    fn put_back(&mut self, ticket: Ticket, delivery: Delivery) {
        if !delivery.is_done() {
            self.waiting.insert(ticket, delivery);
            return;
        }
        let target = Arc::clone(delivery.target());
        let _ = self.settled.send(delivery.settled());
        if let Some(lane) = self.lanes.get_mut(&target) {
            lane.deliveries -= 1;
            if lane.deliveries == 0 {
                self.lanes.remove(&target);
                self.journal.released(&target);
            }
        }
    }

    fn asked(&mut self, stream: String, began: Instant, result: &Result<Vec<(String, Done)>, SetupError>) {
        let now = Instant::now();
        let again = self.templates.answered(stream, result);
        match result {
            Err(SetupError::Credentials { words, .. }) => _ = self.denied(began, now, words),
            Err(error) if again => _ = self.trouble(began, now, None, &error.to_string()),
            _ => {
                self.gate.open();
                self.denied = false;
            }
        }
    }

    /// Tells the state what waits for held targets.
    fn tell_waiting(&self) {
        let mut bytes: HashMap<Arc<Target>, usize> = HashMap::new();
        if self.journal.holds_any() {
            for delivery in self.waiting.values().chain(self.flying.values()) {
                let troubled = self.lanes.get(delivery.target()).is_some_and(|lane| lane.gate.is_troubled());
                if troubled {
                    *bytes.entry(Arc::clone(delivery.target())).or_default() += delivery.bytes();
                }
            }
        }
        self.journal.waiting(&bytes, self.settings.held_bytes);
    }

    fn count(&self, result: &'static str, by: u64) {
        self.metrics.events.get_or_create(&ResultLabel { result }).inc_by(by);
    }
}
