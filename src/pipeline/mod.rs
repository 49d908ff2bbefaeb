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
//!
//! All of this is a *shift* (`shift`), which works under one configuration. Another configuration is another shift of the
//! same agent: metrics, health, the server and the lock of `data_dir` stay, and what was read is handed over.

mod baton;
pub mod budget;
pub mod directory;
mod error;
pub mod filters;
mod limited;
mod outcome;
pub mod outlet;
mod passage;
mod plan;
pub mod reader;
mod reload;
pub mod settings;
mod shift;
pub mod shipping;
mod source;
pub mod targets;
pub mod wake;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::warn;

use crate::checkpoint::Lock;
use crate::config::{Config, ShutdownMode};
use crate::observe::{Backlog, Configuration, Exposition, Health, Metrics, Pages, Server, Status};

pub use error::RunError;
pub use plan::recorded;
pub use reload::Reloads;

use baton::Baton;
use plan::Plan;
use reader::Course;
use shift::{Closed, Shift};
use shipping::Printer;
use wake::Stop;

/// How long copies to the spool are waited for at the end, when all else is done: they are made while the output
/// drains.
const LAST_COPIES: Duration = Duration::from_secs(3);

/// The printer that a configuration asks for, if it asks for one.
pub type PrinterOf = dyn Fn(&Config) -> Option<Box<dyn Printer>>;

/// What the caller decides.
pub struct Options {
    /// How standard output shows events as a person reads them.
    pub printer: Box<PrinterOf>,
    /// Until the end of what is there, or for ever.
    pub course: Course,
    /// Other configurations, as they come.
    pub reloads: Reloads,
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
    let plan = Plan::new(config, options.course)?;
    let metrics = Arc::new(Metrics::default());
    let backlog = Backlog::new(&metrics, plan.config.http.per_container_metrics);
    let health = Health::new();
    let status = Status::new(Arc::clone(&health), Arc::clone(&backlog));
    let exposition = Exposition::new(&metrics, Arc::clone(&backlog));
    let pages = Arc::new(Pages { exposition, health: Arc::clone(&health), status: Arc::clone(&status) });
    let server = Server::bind(plan.config.http.listen.0).await?;
    let serving = tokio::spawn(server.serve(pages, std::future::pending()));

    let agent = Agent { metrics, backlog, health, status };
    agent.configured(&plan.config);
    let mut shutdown = Shutdown::new(shutdown);
    let starting = agent.health.condition("start");
    starting.not("the agent is starting");
    let locked = tokio::select! {
        locked = agent.lock(&plan.config) => locked?,
        () = shutdown.asked() => return Ok(()),
    };
    starting.met();
    let ended = agent.run(plan, options, &mut shutdown).await;
    serving.abort();
    drop(locked);
    ended
}

/// What all shifts of the agent share.
struct Agent {
    metrics: Arc<Metrics>,
    backlog: Arc<Backlog>,
    health: Arc<Health>,
    status: Arc<Status>,
}

impl Agent {
    /// One agent at a time works on a `data_dir`: a second one waits, alive and not ready.
    async fn lock(&self, config: &Config) -> Result<Lock, RunError> {
        let condition = self.health.condition("data_dir");
        let lock = Lock::wait(&config.data_dir, |holder| {
            warn!("waiting for {}: {holder}", config.data_dir.display());
            condition.not(format!("another agent works on data_dir: {holder}"));
        });
        let lock = lock.await?;
        condition.met();
        Ok(lock)
    }

    /// A configuration is in use from now on.
    fn configured(&self, config: &Config) {
        self.status.configured(shown(config));
        self.metrics.config_last_reload_successful.set(1);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.metrics.config_last_reload_success_seconds.set(since.as_secs_f64());
    }

    /// One shift after the other, until the end.
    async fn run(
        &self,
        mut plan: Plan,
        mut options: Options,
        shutdown: &mut Shutdown<impl Future<Output = ()>>,
    ) -> Result<(), RunError> {
        let mut baton = None;
        loop {
            let config = plan.config.clone();
            let is_another = baton.is_some();
            let mut shift = Shift::start(self, plan, (options.printer)(&config), baton)?;
            if is_another {
                options.reloads.applied(&config, self);
            }
            let over = tokio::select! {
                () = shutdown.asked() => None,
                over = shift.over() => Some(over),
                next = options.reloads.next(&config, options.course, self) => {
                    plan = next;
                    baton = Some(self.hand_over(shift, shutdown).await?);
                    continue;
                }
            };
            return end(shift, over, &config).await;
        }
    }

    /// Ends a shift that another follows.
    async fn hand_over(
        &self,
        mut shift: Shift,
        shutdown: &mut Shutdown<impl Future<Output = ()>>,
    ) -> Result<Baton, RunError> {
        shift.stop(Stop::Stop);
        let state = shift.state.clone();
        let over = tokio::select! {
            over = shift.over() => Some(over),
            () = reload::out_of_patience(&state) => None,
            () = shutdown.asked() => None,
        };
        self.status.forget_output(&shift.output_name);
        let Closed { output, baton, saved } = shift.close(over, Duration::MAX).await;
        if let Err(error) = saved {
            warn!(
                "writing the last positions: {error}; what was sent since is sent again under the same ids"
            );
        }
        let mut baton = baton?;
        if output.transpose()?.is_some() {
            baton.all_settled();
        }
        Ok(baton)
    }
}

/// Ends the last shift.
async fn end(mut shift: Shift, mut over: Option<shift::Over>, config: &Config) -> Result<(), RunError> {
    if over.is_none() {
        shift.stop(match config.shutdown.mode {
            ShutdownMode::Stop => Stop::Stop,
            ShutdownMode::Drain => Stop::Drain,
        });
        over = tokio::time::timeout(config.shutdown.timeout, shift.over()).await.ok();
    }
    let Closed { output, baton, saved } = shift.close(over, LAST_COPIES).await;
    saved.map_err(RunError::LastWrite)?;
    output.unwrap_or(Err(RunError::Timeout))?;
    // A reader that panicked has closed its channel too.
    baton.map(drop)
}

/// The configuration as the status page shows it.
fn shown(config: &Config) -> Configuration {
    let values = serde_json::from_str(&config.to_json()).unwrap_or_default();
    Configuration { hash: config.hash(), values, refused: None }
}

/// The caller's wish that the agent ends: once asked, it stays asked.
struct Shutdown<F> {
    wish: Pin<Box<F>>,
    asked: bool,
}

impl<F: Future<Output = ()>> Shutdown<F> {
    fn new(wish: F) -> Self {
        Self { wish: Box::pin(wish), asked: false }
    }

    async fn asked(&mut self) {
        if !self.asked {
            self.wish.as_mut().await;
            self.asked = true;
        }
    }
}
