//! Pipeline: the only room that knows all rooms. It starts their threads and tasks, connects them, and ends them.
//!
//! ```text
//!  reader thread                     main thread (one tokio runtime)                     checkpoint thread
//!  discover → tail → decode → join
//!  → enrich → batch ══ batches ══▶ gate ══▶ output ── settled ──▶ collector ── receipts ──▶ keeper
//!        ▲     ▲                     └───────── records that must be durable ──────────────▶
//!        │     └ pods ── kubelet client                              │
//!        └────────────── bell: room again, empty bodies ─────────────┘
//! ```
//!
//! Dropping a sender means stop, a closed channel means done: the reader ends, so the gate ends, so the output ends
//! when all is settled, so the collector ends, and then the keeper writes the last positions.

pub mod baton;
pub mod budget;
pub mod directory;
pub mod filters;
pub mod outlet;
pub mod reader;
pub mod settings;
pub mod shipping;
mod source;
pub mod targets;
pub mod wake;

use std::fs::File;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::checkpoint::{Keeper, Lock, LockError, News, Saved, Store, StoreError, gate};
use crate::config::{Config, KubeletUrl, Output, ShutdownMode, StdoutFormat};
use crate::enrich::{Pods, PodsError};
use crate::event::Settled;
use crate::join::{RuleBook, RulesError};
use crate::observe::{
    Backlog, Configuration, Exposition, Health, HttpError, LastError, Metrics, OutputStatus, Pages,
    Readiness, Server, Status,
};
use crate::ship::{elasticsearch, stdout};

use budget::Budget;
use directory::Directory;
use filters::Filters;
use reader::{Course, Reader, ReaderSettings};
use settings::SettingsError;
use shipping::{Printer, Rendering, Shipping, ShippingSettings, Ways};
use wake::{Stop, Wake};

/// Batches between the reader and the gate, and between the gate and the output: enough that none waits for the
/// other, few enough that memory is where work is.
const CHANNEL: usize = 1;

/// How often positions are written.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Without a turn for so long, the reader is taken for dead.
const READER_LIMIT: Duration = Duration::from_secs(60);

/// Without a turn for so long, the keeper of the checkpoint is taken for dead: a disk may hang for long.
const KEEPER_LIMIT: Duration = Duration::from_secs(120);

/// Why the agent cannot run, or could not go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("multiline.patterns: {0}")]
    Rules(#[from] RulesError),
    #[error("output.elasticsearch: {0}")]
    Elasticsearch(#[from] elasticsearch::ClientError),
    #[error("standard output: {0}")]
    Stdout(#[source] io::Error),
    #[error("kubernetes.kubelet.url: reading {path}: {error}", path = path.display())]
    Recorded { path: PathBuf, error: String },
    #[error("starting a thread: {0}")]
    Thread(#[source] io::Error),
    #[error("the reader has ended; its last words are above")]
    ReaderEnded,
    #[error("the output has ended; its last words are above")]
    OutputEnded,
    #[error("shutdown.timeout is over; what was not acknowledged is sent again at the next start")]
    Timeout,
    #[error("writing the last positions: {0}")]
    LastWrite(#[source] io::Error),
}

impl RunError {
    /// Nobody reads standard output any more.
    pub fn is_pipe_closed(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The configuration is to blame.
    pub fn is_configuration(&self) -> bool {
        matches!(self, Self::Settings(_) | Self::Rules(_) | Self::Recorded { .. })
    }
}

/// What the caller decides.
pub struct Options {
    /// How standard output shows events as a person reads them.
    pub printer: Option<Box<dyn Printer>>,
    /// Until the end of what is there, or for ever.
    pub course: Course,
}

/// Runs the agent until `shutdown` resolves, and then ends it as the configuration says.
///
/// # Errors
/// [`RunError`]; what was acknowledged is remembered all the same.
pub async fn run(
    config: Config,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::default());
    let backlog = Backlog::new(&metrics, config.http.per_container_metrics);
    let health = Health::new();
    let status = Status::new(Arc::clone(&health), Arc::clone(&backlog));
    let values = serde_json::from_str(&config.to_json()).unwrap_or_default();
    status.configured(Configuration { hash: config.hash(), values });
    let exposition = Exposition::new(&metrics, Arc::clone(&backlog));
    let pages = Arc::new(Pages { exposition, health: Arc::clone(&health), status: Arc::clone(&status) });
    let server = Server::bind(config.http.listen.0).await?;
    let serving = tokio::spawn(server.serve(pages, std::future::pending()));

    let agent = Agent { config, metrics, backlog, health, status };
    let mut shutdown = std::pin::pin!(shutdown);
    let starting = agent.health.condition("start");
    starting.not("the agent is starting");
    let locked = tokio::select! {
        locked = agent.lock() => locked?,
        () = &mut shutdown => return Ok(()),
    };
    starting.met();
    let ended = agent.run(options, shutdown).await;
    serving.abort();
    drop(locked);
    ended
}

/// What all parts of the agent share.
struct Agent {
    config: Config,
    metrics: Arc<Metrics>,
    backlog: Arc<Backlog>,
    health: Arc<Health>,
    status: Arc<Status>,
}

impl Agent {
    /// One agent at a time works on a `data_dir`: a second one waits, alive and not ready.
    async fn lock(&self) -> Result<Lock, RunError> {
        let condition = self.health.condition("data_dir");
        let lock = Lock::wait(&self.config.data_dir, |holder| {
            warn!("waiting for {}: {holder}", self.config.data_dir.display());
            condition.not(format!("another agent works on data_dir: {holder}"));
        });
        let lock = lock.await?;
        condition.met();
        Ok(lock)
    }

    async fn run(self, options: Options, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let wake = Arc::new(Wake::default());
        let budget =
            Arc::new(Budget::new(usize::try_from(self.config.max_buffered_bytes).unwrap_or(usize::MAX)));
        let (saved, keeper, keeping) = self.keep()?;
        let (directory, asking) = self.directory(&wake)?;
        let (batches, at_gate) = mpsc::channel(CHANNEL);
        let (through_gate, to_output) = mpsc::channel(CHANNEL);
        let (settled, collected) = mpsc::unbounded_channel();
        let (spare, spare_bodies) = std::sync::mpsc::sync_channel(4);

        let ways = Ways {
            batches,
            keeper: keeper.clone(),
            budget: Arc::clone(&budget),
            spare_bodies,
            backlog: Arc::clone(&self.backlog),
            metrics: Arc::clone(&self.metrics),
        };
        let (output, held) = self.output(to_output, settled, &wake);
        let outlet = Shipping::new(self.shipping(options.printer, held)?, ways);
        let mut reader = Reader::new(
            self.reader(options.course)?,
            directory,
            saved,
            outlet,
            Arc::clone(&wake),
            Arc::clone(&self.metrics),
        );
        reader.set_heartbeat(self.health.heartbeat("reader", READER_LIMIT));

        let gate = tokio::spawn(gate(at_gate, through_gate, keeper.clone()));
        let collector = Collector {
            backlog: Arc::clone(&self.backlog),
            keeper: keeper.clone(),
            budget,
            spare,
            wake: Arc::clone(&wake),
        };
        let collecting = tokio::spawn(collector.run(collected));
        let reader_thread = thread::Builder::new().name("reader".into()).spawn(move || drop(reader.run()));
        let reader_thread = reader_thread.map_err(RunError::Thread)?;

        // The reader has ended when the gate's channel closes, and so on down the line.
        let mut delivering = tokio::spawn(async move {
            output.await?;
            let _ = collecting.await;
            Ok(())
        });
        let mut delivered = tokio::select! {
            () = shutdown => None,
            ended = &mut delivering => Some(ended),
        };
        if delivered.is_none() {
            wake.stop(match self.config.shutdown.mode {
                ShutdownMode::Stop => Stop::Stop,
                ShutdownMode::Drain => Stop::Drain,
            });
            delivered = tokio::time::timeout(self.config.shutdown.timeout, &mut delivering).await.ok();
        }
        let result = match delivered {
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(RunError::OutputEnded),
            None => Err(RunError::Timeout),
        };
        wake.stop(Stop::Stop);
        asking.abort();
        gate.abort();
        keeper.flush_and_stop().await.map_err(RunError::LastWrite)?;
        let _ = keeping.join();
        match result {
            // A reader that panicked has closed its channel too.
            Ok(()) => reader_thread.join().map_err(|_| RunError::ReaderEnded),
            failed => failed,
        }
    }

    /// The checkpoint and its keeper.
    fn keep(&self) -> Result<(Saved, Keeper, thread::JoinHandle<()>), RunError> {
        let (store, saved) = Store::open(&self.config.data_dir)?;
        if let Some(damage) = store.damage() {
            warn!("{damage}");
        }
        let heartbeat = self.health.heartbeat("checkpoint", KEEPER_LIMIT);
        let condition = self.health.condition("checkpoint");
        condition.met();
        let mut troubled = false;
        let news = move |news: News<'_>| match news {
            News::Alive => heartbeat.beat(),
            News::Refused(error) if !troubled => {
                troubled = true;
                error!("writing the checkpoint: {error}; nothing is lost, it is tried again");
                condition.not(format!("the checkpoint cannot be written: {error}"));
            }
            News::Recovered => {
                troubled = false;
                info!("the checkpoint is written again");
                condition.met();
            }
            News::NotCompacted(error) => warn!("writing the checkpoint anew: {error}; it grows on meanwhile"),
            News::Refused(_) | News::Settled(_) | News::Saved(_) => {}
        };
        let (keeper, thread) = Keeper::start(store, SAVE_EVERY, news).map_err(RunError::Thread)?;
        Ok((saved, keeper, thread))
    }

    /// Who tells of pods: the kubelet, a recorded answer, or nobody.
    fn directory(&self, wake: &Arc<Wake>) -> Result<(Directory, tokio::task::JoinHandle<()>), RunError> {
        let kubelet = &self.config.kubernetes.kubelet;
        if let (true, Some(KubeletUrl::File(path))) = (kubelet.enabled, &kubelet.url) {
            return Ok((Directory::recorded(recorded(path)?), tokio::spawn(async {})));
        }
        let Some(settings) = settings::kubelet(&self.config) else {
            if kubelet.enabled && self.config.kubernetes.enabled != crate::config::Switch::Off {
                info!(
                    "no kubelet is known, so pods are named from their paths alone; set NODE_IP or \
                     kubernetes.kubelet.url for labels and workloads"
                );
            }
            return Ok((Directory::none(), tokio::spawn(async {})));
        };
        let wait = self.config.kubernetes.wait;
        let (directory, asking) = Directory::asking(settings, wait, wake, Arc::clone(&self.metrics));
        Ok((directory, tokio::spawn(asking)))
    }

    fn reader(&self, course: Course) -> Result<ReaderSettings, RunError> {
        let join = settings::join(&self.config.multiline, settings::max_line_bytes(&self.config));
        Ok(ReaderSettings {
            scanner: settings::scanner(&self.config)?,
            blocks: settings::blocks(&self.config)?,
            rules: RuleBook::new(join)?,
            annotations: settings::annotations(&self.config),
            course,
            turn_bytes: reader::TURN_BYTES,
        })
    }

    fn shipping(
        &self,
        printer: Option<Box<dyn Printer>>,
        held: elasticsearch::StateHandle,
    ) -> Result<ShippingSettings, RunError> {
        let rendering = match (&self.config.output, printer) {
            (Output::Stdout(stdout), Some(printer))
                if matches!(stdout.format, StdoutFormat::Pretty | StdoutFormat::Raw) =>
            {
                Rendering::Print(printer)
            }
            _ => Rendering::Document,
        };
        Ok(ShippingSettings {
            batch: settings::batches(&self.config),
            rendering,
            documents: settings::documents(&self.config)?,
            targets: settings::targets(&self.config),
            filters: Filters::new(&self.config.events),
            targeted: matches!(self.config.output, Output::Elasticsearch(_)),
            held,
        })
    }

    /// The output, and what it says of targets that may not be written to.
    fn output(
        &self,
        batches: mpsc::Receiver<crate::event::Batch>,
        settled: mpsc::UnboundedSender<Settled>,
        wake: &Arc<Wake>,
    ) -> (impl Future<Output = Result<(), RunError>> + Send + 'static, elasticsearch::StateHandle) {
        let state = elasticsearch::StateHandle::default();
        let metrics = Arc::clone(&self.metrics);
        let elasticsearch = match &self.config.output {
            Output::Elasticsearch(output) => Some(settings::elasticsearch(&self.config, output)),
            Output::Stdout(_) => None,
        };
        let names = elasticsearch
            .as_ref()
            .map(|settings| settings.urls.iter().map(elasticsearch::shown).collect::<Vec<_>>().join(", "));
        let name = names.unwrap_or_else(|| "stdout".to_owned());
        let watching = watch_output(
            name,
            state.clone(),
            self.health.condition("output"),
            Arc::clone(&self.status),
            Arc::clone(wake),
        );
        let handle = state.clone();
        let output = async move {
            let output = async {
                match elasticsearch {
                    Some(settings) => {
                        Ok(elasticsearch::run(settings, batches, settled, metrics, state).await?)
                    }
                    None => {
                        // Not tokio's own standard output: that has a thread between us and the pipe.
                        let out = tokio::io::stdout();
                        stdout::run(batches, settled, out, metrics).await.map_err(RunError::Stdout)
                    }
                }
            };
            tokio::select! {
                ended = output => ended,
                never = watching => match never {},
            }
        };
        (output, handle)
    }
}

/// A recorded answer of a kubelet.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn recorded(path: &std::path::Path) -> Result<Pods, RunError> {
    let wrong = |error: String| RunError::Recorded { path: path.to_owned(), error };
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    Pods::parse(io::BufReader::new(file)).map_err(|error: PodsError| wrong(error.to_string()))
}

/// Shows the output's state to probes and on the status page, and rings when a target may be written to again.
async fn watch_output(
    name: String,
    state: elasticsearch::StateHandle,
    ready: Readiness,
    status: Arc<Status>,
    wake: Arc<Wake>,
) -> std::convert::Infallible {
    let mut changes = state.subscribe();
    loop {
        let now = state.now();
        let in_words = match now.ready() {
            Ok(()) => {
                ready.met();
                "ok".to_owned()
            }
            Err(why) => {
                ready.not(why.clone());
                why
            }
        };
        let last_error =
            now.last_error.map(|error| LastError { message: error.what, at: error.at, times: 1 });
        status.output(OutputStatus {
            name: name.clone(),
            state: in_words,
            in_flight: now.in_flight_limit,
            last_error,
        });
        wake.nudge();
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Takes what is settled: moves the accounts and the ledger, and gives memory back.
struct Collector {
    backlog: Arc<Backlog>,
    keeper: Keeper,
    budget: Arc<Budget>,
    spare: std::sync::mpsc::SyncSender<Vec<u8>>,
    wake: Arc<Wake>,
}

impl Collector {
    async fn run(self, mut settled: mpsc::UnboundedReceiver<Settled>) {
        while let Some(mut settled) = settled.recv().await {
            self.backlog.settled(&settled);
            self.budget.release(settled.batch.sequence);
            self.keeper.settled(std::mem::take(&mut settled.batch.receipts));
            // A pool that is full, or a reader that has ended, needs no more bodies.
            let _ = self.spare.try_send(std::mem::take(&mut settled.batch.body));
            self.wake.nudge();
        }
    }
}
