//! Elasticsearch and OpenSearch: one verdict for each document, nothing held up by another's fault.
//!
//! ```text
//! batches ─► dispatch ─► lane of its target ─► chunk ─► press ─► client ─► node
//!               ▲                                                  │
//!               └── delivery: verdicts, what to send again ◄── verdict ◄── answer
//! ```
//!
//! `dispatch` owns all state and is one task; requests, compression and the writing of dead letters are tasks
//! that it starts and waits for. Every wait is tokio's, every answer comes through [`transport::Transport`], so
//! the whole of it runs against a script and a paused clock.

mod answer;
mod backing;
mod backoff;
mod bulk;
mod client;
mod credentials;
mod dead_letters;
mod delivery;
mod dispatch;
mod document;
mod journal;
mod lane;
mod load;
mod lookup;
mod nodes;
mod press;
mod probe;
mod replay;
mod settings;
mod setup;
mod state;
mod template;
mod templates;
mod tls;
pub mod transport;
mod verdict;

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::event::{Batch, Settled};
use crate::observe::Metrics;

pub use answer::{AnswerError, Items, parse};
pub use backing::{Keep, Memory};
pub use client::{Client, ClientError};
pub use dead_letters::{DeadLetter, Store, StoreError};
pub use nodes::shown;
pub use probe::{Cluster, ProbeError, clock, identify, missing_privileges, template_is_there};
pub use replay::{ReplayError, Replayed, replay};
pub use settings::{Access, Compression, Secret, SecretSource, Settings, Tls};
pub use setup::{Done, SetupError, ensure};
pub use state::{Health, HeldTarget, LastError, State, StateHandle};
pub use template::console;
pub use verdict::{ItemOutcome, Reason};

/// Ships all batches that come, and gives each back through `settled`, once, when each of its documents has a
/// verdict. Ends when `batches` is closed and everything is settled; dropping it breaks off what is under way.
///
/// Batches of one target leave in the order in which they came; with more than one request in flight, or after
/// a retry, they may be *stored* in another. Nothing depends on that: documents are found in the order of
/// `@timestamp` and `log.offset`, ids keep what is sent twice single, and receipts are settled by their own
/// numbers.
///
/// # Errors
/// Only at the start: [`ClientError`], when the settings' certificates cannot be used. Nothing was sent then.
pub async fn run(
    settings: Settings,
    batches: mpsc::Receiver<Batch>,
    settled: mpsc::UnboundedSender<Settled>,
    metrics: Arc<Metrics>,
    state: StateHandle,
) -> Result<(), ClientError> {
    let client = Arc::new(Client::new(&settings, state.clone())?);
    tokio::select! {
        () = run_over(Arc::clone(&client), settings, batches, settled, metrics, state) => Ok(()),
        never = client.watch_nodes() => match never {},
    }
}

/// As [`run`], over any [`transport::Transport`].
pub async fn run_over<T: transport::Transport>(
    transport: Arc<T>,
    settings: Settings,
    batches: mpsc::Receiver<Batch>,
    settled: mpsc::UnboundedSender<Settled>,
    metrics: Arc<Metrics>,
    state: StateHandle,
) {
    dispatch::Dispatch::new(transport, settings, settled, metrics, state).run(batches).await;
}
