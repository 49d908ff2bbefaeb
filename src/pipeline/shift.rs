//! A shift: all rooms at work under one configuration, from the reader to the keeper of the checkpoint.
//!
//! ```text
//!   start ──▶ at work ──▶ over: the output has ended
//!                  └────▶ end: reading stops, what is complete is delivered ──▶ closed, with a [`Baton`]
//! ```

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinHandle};
use tracing::{error, info, warn};

use super::baton::Baton;
use super::budget::Budget;
use super::directory::Directory;
use super::filters::Filters;
use super::outcome::{Collector, watch_output};
use super::plan::Plan;
use super::reader::{Holding, Reader};
use super::shipping::{Printer, Remembered, Rendering, Shipping, ShippingSettings, Ways};
use super::wake::{Stop, Wake};
use super::{Agent, RunError, settings};
use crate::checkpoint::{Keeper, News, Saved, Store, gate};
use crate::config::{Config, Output, StdoutFormat, Switch};
use crate::ship::elasticsearch::{self, StateHandle};
use crate::ship::stdout;
use crate::spool::{Spool, Stock};

/// Batches between the reader and the gate, and between the gate and the output: enough that none waits for the
/// other, few enough that memory is where work is.
const CHANNEL: usize = 1;

/// How often positions are written.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Without a turn for so long, the reader is taken for dead.
const READER_LIMIT: Duration = Duration::from_secs(60);

/// Without a turn for so long, the keeper of the checkpoint is taken for dead: a disk may hang for long.
const KEEPER_LIMIT: Duration = Duration::from_secs(120);

/// All rooms at work.
pub(super) struct Shift {
    wake: Arc<Wake>,
    reader: oneshot::Receiver<Baton>,
    gate: JoinHandle<()>,
    output: JoinHandle<Result<(), RunError>>,
    collecting: JoinHandle<()>,
    asking: JoinHandle<()>,
    keeper: Keeper,
    keeping: thread::JoinHandle<()>,
    spooling: thread::JoinHandle<()>,
    /// What the output says of itself.
    pub state: StateHandle,
    /// How the output is called on the status page.
    pub output_name: String,
}

/// How the output came to its end.
pub(super) type Over = Result<Result<(), RunError>, JoinError>;

impl Shift {
    /// Begins where the checkpoint stands, and where the shift before this one has ended.
    ///
    /// # Errors
    /// When the `data_dir` cannot be used, or the system gives no thread.
    pub fn start(
        agent: &Agent,
        plan: Plan,
        printer: Option<Box<dyn Printer>>,
        baton: Option<Baton>,
    ) -> Result<Self, RunError> {
        let Plan { config, reader, documents, recorded, elasticsearch } = plan;
        let wake = Arc::new(Wake::default());
        let budget = Arc::new(Budget::new(usize::try_from(config.max_buffered_bytes).unwrap_or(usize::MAX)));
        let remembered = Arc::new(Remembered::default());
        let (mut saved, keeper, keeping) = keep(agent, &config, &remembered)?;
        let memory = memory(std::mem::take(&mut saved.streams), &keeper);
        let (holding, spooling) = spool(&config, &keeper, &wake)?;
        let (directory, asking) = match recorded {
            Some(pods) => (Directory::recorded(pods), tokio::spawn(async {})),
            None => ask(agent, &config, &wake),
        };
        let directory = directory.with_own(settings::own_pod(&config));
        let (batches, at_gate) = mpsc::channel(CHANNEL);
        let (through_gate, to_output) = mpsc::channel(CHANNEL);
        let (settled, collected) = mpsc::unbounded_channel();
        let (spare, spare_bodies) = std::sync::mpsc::sync_channel(4);

        let state = StateHandle::default();
        let settings = ShippingSettings {
            batch: settings::batches(&config),
            rendering: rendering(&config, printer),
            documents,
            targets: settings::targets(&config),
            filters: Filters::new(&config.events),
            targeted: elasticsearch.is_some(),
            held: state.clone(),
        };
        let ways = Ways {
            batches,
            keeper: keeper.clone(),
            budget: Arc::clone(&budget),
            spare_bodies,
            backlog: Arc::clone(&agent.backlog),
            remembered,
            metrics: Arc::clone(&agent.metrics),
        };
        agent.backlog.begin_again();
        let outlet = Shipping::new(settings, ways);
        let metrics = Arc::clone(&agent.metrics);
        let mut reader = Reader::new(reader, directory, saved, outlet, Arc::clone(&wake), metrics);
        reader.set_heartbeat(agent.health.heartbeat("reader", READER_LIMIT));
        reader.set_holding(holding);
        if let Some(baton) = baton {
            reader.take_over(baton);
        }

        let output_name = name(elasticsearch.as_ref());
        let watching = watch_output(
            output_name.clone(),
            state.clone(),
            agent.health.condition("output"),
            Arc::clone(&agent.status),
            Arc::clone(&wake),
        );
        let metrics = Arc::clone(&agent.metrics);
        let shipped = state.clone();
        let output = async move {
            let output = async {
                match elasticsearch {
                    Some(settings) => {
                        let settings = elasticsearch::Settings { memory, ..settings };
                        Ok(elasticsearch::run(settings, to_output, settled, metrics, shipped).await?)
                    }
                    None => {
                        // Not tokio's own standard output: that has a thread between us and the pipe.
                        let out = tokio::io::stdout();
                        stdout::run(to_output, settled, out, metrics).await.map_err(RunError::Stdout)
                    }
                }
            };
            tokio::select! {
                ended = output => ended,
                never = watching => match never {},
            }
        };
        let collector = Collector {
            backlog: Arc::clone(&agent.backlog),
            keeper: keeper.clone(),
            budget,
            spare,
            wake: Arc::clone(&wake),
        };
        let (ended, reading) = oneshot::channel();
        let thread = thread::Builder::new().name("reader".into()).spawn(move || {
            // The outlet goes first: with it the batches end, and so on down the line.
            let (outlet, baton) = reader.run();
            drop(outlet);
            let _ = ended.send(baton);
        });
        thread.map_err(RunError::Thread)?;
        Ok(Self {
            wake,
            reader: reading,
            gate: tokio::spawn(gate(at_gate, through_gate, keeper.clone())),
            output: tokio::spawn(output),
            collecting: tokio::spawn(collector.run(collected)),
            asking,
            keeper,
            keeping,
            spooling,
            state,
            output_name,
        })
    }

    /// Resolves when the output has ended; before [`Shift::stop`] it does so by itself at the end of a course that has
    /// one, or because it cannot go on.
    pub async fn over(&mut self) -> Over {
        (&mut self.output).await
    }

    /// Lets reading end; what follows ends by itself once all is settled.
    pub fn stop(&self, stop: Stop) {
        self.wake.stop(stop);
    }

    /// Ends everything, the output too if it is not `over` yet, and writes the last positions. What is not settled by
    /// then is not remembered, and sent again under the same ids by whoever comes next. Copies of files that have lost
    /// their names are waited for, for that long at the most.
    ///
    /// # Errors
    /// How the output ended, a reader that panicked, a disk that does not take the last positions.
    pub async fn close(self, over: Option<Over>, copies: Duration) -> Closed {
        self.wake.stop(Stop::Stop);
        let output = match over {
            Some(Ok(ended)) => Some(ended),
            Some(Err(_)) => Some(Err(RunError::OutputEnded)),
            None => {
                self.output.abort();
                let _ = self.output.await;
                None
            }
        };
        self.asking.abort();
        self.gate.abort();
        // With the output the channel to it has ended.
        let _ = self.collecting.await;
        let baton = self.reader.await;
        // What was unlinked lately is copied since the reader was told to stop. The keeper must be there for it.
        let copied = tokio::task::spawn_blocking(|| self.spooling.join());
        if tokio::time::timeout(copies, copied).await.is_err() {
            warn!("not all files that were unlinked lately are copied to the spool");
        }
        let saved = self.keeper.flush_and_stop().await;
        let _ = self.keeping.join();
        Closed { output, baton: baton.map_err(|_| RunError::ReaderEnded), saved }
    }
}

/// What became of a shift.
pub(super) struct Closed {
    /// How the output ended; `None` when it was broken off.
    pub output: Option<Result<(), RunError>>,
    /// What the next reader must know.
    pub baton: Result<Baton, RunError>,
    /// Whether the last positions were written.
    pub saved: std::io::Result<()>,
}

fn name(elasticsearch: Option<&elasticsearch::Settings>) -> String {
    let names = elasticsearch
        .map(|settings| settings.urls.iter().map(elasticsearch::shown).collect::<Vec<_>>().join(", "));
    names.unwrap_or_else(|| "stdout".to_owned())
}

fn rendering(config: &Config, printer: Option<Box<dyn Printer>>) -> Rendering {
    match (&config.output, printer) {
        (Output::Stdout(stdout), Some(printer))
            if matches!(stdout.format, StdoutFormat::Pretty | StdoutFormat::Raw) =>
        {
            Rendering::Print(printer)
        }
        _ => Rendering::Document,
    }
}

/// The checkpoint and its keeper.
fn keep(
    agent: &Agent,
    config: &Config,
    remembered: &Arc<Remembered>,
) -> Result<(Saved, Keeper, thread::JoinHandle<()>), RunError> {
    let (store, saved) = Store::open(&config.data_dir)?;
    if let Some(damage) = store.damage() {
        warn!("{damage}");
    }
    let heartbeat = agent.health.heartbeat("checkpoint", KEEPER_LIMIT);
    let condition = agent.health.condition("checkpoint");
    condition.met();
    let mut troubled = false;
    let remembered = Arc::clone(remembered);
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
        News::Saved(receipt) => remembered.saved(receipt),
        News::Refused(_) | News::Settled(_) => {}
    };
    let (keeper, thread) = Keeper::start(store, SAVE_EVERY, news).map_err(RunError::Thread)?;
    Ok((saved, keeper, thread))
}

/// What the output remembers of data streams is kept in the checkpoint.
fn memory(streams: BTreeMap<Arc<str>, Vec<Arc<str>>>, keeper: &Keeper) -> elasticsearch::Memory {
    let keeper = keeper.clone();
    let keep = move |record| -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let keeper = keeper.clone();
        // A keeper that has ended keeps nothing: the shift is over.
        Box::pin(async move { keeper.durable(vec![record]).await.unwrap_or(()) })
    };
    elasticsearch::Memory { streams, keep: Arc::new(keep) }
}

/// The spool, and what was left in it.
fn spool(
    config: &Config,
    keeper: &Keeper,
    wake: &Arc<Wake>,
) -> Result<(Holding, thread::JoinHandle<()>), RunError> {
    let stock = Stock::of(&config.data_dir).map_err(RunError::Spool)?;
    let (keeper, wake) = (keeper.clone(), Arc::clone(wake));
    let durable = move |record| keeper.durable_blocking(vec![record]).map_err(io::Error::other);
    let bell = move || wake.nudge();
    let (spool, thread) = Spool::start(&config.data_dir, durable, bell).map_err(RunError::Thread)?;
    Ok((Holding::new(spool, config.held_files.max_bytes, stock), thread))
}

/// Who tells of pods: the kubelet, or nobody.
fn ask(agent: &Agent, config: &Config, wake: &Arc<Wake>) -> (Directory, JoinHandle<()>) {
    let Some(settings) = settings::kubelet(config) else {
        if config.kubernetes.kubelet.enabled && config.kubernetes.enabled != Switch::Off {
            info!(
                "no kubelet is known, so pods are named from their paths alone; set NODE_IP or \
                 kubernetes.kubelet.url for labels and workloads"
            );
        }
        return (Directory::none(), tokio::spawn(async {}));
    };
    let metrics = Arc::clone(&agent.metrics);
    let (directory, asking) = Directory::asking(settings, config.kubernetes.wait, wake, metrics);
    (directory, tokio::spawn(asking))
}
