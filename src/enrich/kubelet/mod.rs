//! The kubelet's client: asks `/pods` when there is something to learn, and publishes what it learnt.
//!
//! ```text
//!  reader ── Wanted ──▶ Pace (when to ask?) ──▶ Client (one GET) ──▶ Known (what is new?) ──▶ publish(Pods)
//! ```
//!
//! One request at a time. A pod that the reader wants is asked for at once, then each second until it is listed
//! or [`KubeletSettings::wait`] is over; without such, each [`KubeletSettings::refresh`]; after a failure with a
//! growing, jittered delay. Nothing here touches the API server.

mod client;
mod error;
mod known;
mod pace;
mod tls;

use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use self::client::Client;
pub use self::error::KubeletError;
use self::known::Known;
use self::pace::Pace;
use super::pods::Pods;
use crate::observe::Metrics;
use crate::observe::metrics::ResultLabel;

/// Where the kubelet is and how it is asked.
#[derive(Clone, Debug)]
pub struct KubeletSettings {
    /// `https://HOST:10250`, or `http://HOST:10255` for the read-only port. IPv6 addresses in brackets.
    pub url: String,
    /// The bearer token, read anew for each request. `None`, or a file that is not there: asked without.
    pub token_file: Option<PathBuf>,
    /// Certificates to believe, in PEM: those of the cluster's authority, or the kubelet's own.
    pub ca_file: Option<PathBuf>,
    /// The name to verify in place of the URL's host; empty for none.
    pub server_name: String,
    /// Believe any certificate.
    pub insecure_skip_verify: bool,
    /// How often to ask when nothing is wanted.
    pub refresh: Duration,
    /// How long a pod is asked for that is not listed.
    pub wait: Duration,
    /// How long one request may take, from connecting to the answer's end.
    pub timeout: Duration,
    /// A file that keeps what was learnt over a restart, so that a pod that is gone meanwhile still has its
    /// labels; `None` for none.
    pub memory: Option<PathBuf>,
}

/// Tells the client that a pod appeared. Cheap to clone and to call, from any thread.
#[derive(Clone, Debug)]
pub struct Wanted(Arc<Wishes>);

/// The client's end of [`Wanted`].
#[derive(Debug)]
pub struct WantedReceiver(Arc<Wishes>);

#[derive(Debug, Default)]
struct Wishes {
    uids: Mutex<HashSet<String>>,
    bell: Notify,
}

/// Both ends of a wish list.
pub fn channel() -> (Wanted, WantedReceiver) {
    let wishes = Arc::new(Wishes::default());
    (Wanted(Arc::clone(&wishes)), WantedReceiver(wishes))
}

impl Wanted {
    /// Asks for news of a pod. Saying it again while it is being asked for changes nothing.
    pub fn want(&self, uid: &str) {
        let mut uids = self.0.uids.lock().unwrap_or_else(PoisonError::into_inner);
        if !uids.contains(uid) {
            uids.insert(uid.to_owned());
            self.0.bell.notify_one();
        }
    }
}

impl WantedReceiver {
    fn take(&self) -> HashSet<String> {
        std::mem::take(&mut self.0.uids.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Asks the kubelet until the future is dropped, and publishes each snapshot that differs from the last.
///
/// What fails is logged when it begins to fail, when it fails in another way, and when it works again; and
/// counted each time.
pub async fn run(
    settings: KubeletSettings,
    wanted: WantedReceiver,
    publish: impl Fn(Arc<Pods>) + Send,
    metrics: Arc<Metrics>,
) {
    let pace = Pace::new(settings.refresh, settings.wait, Instant::now());
    let known = Known::remember(settings.memory.clone());
    follow(Client::new(settings), pace, known, wanted, publish, metrics).await;
}

/// Asks once.
///
/// # Errors
///
/// When there is no answer, or none that lists pods; each error says what to change.
pub async fn ask(settings: KubeletSettings) -> Result<Pods, KubeletError> {
    Client::new(settings).ask().await
}

/// Whoever answers with the node's pods.
trait Ask {
    /// One request.
    fn ask(&mut self) -> impl Future<Output = Result<Pods, KubeletError>> + Send;
}

async fn follow(
    mut kubelet: impl Ask,
    mut pace: Pace,
    mut known: Known,
    wanted: WantedReceiver,
    publish: impl Fn(Arc<Pods>) + Send,
    metrics: Arc<Metrics>,
) {
    let mut health = Health::Unknown;
    loop {
        pace.want(wanted.take(), Instant::now());
        let due = pace.due();
        if due > Instant::now() {
            tokio::select! {
                () = wanted.0.bell.notified() => {}
                () = sleep_until(due) => {}
            }
            continue;
        }
        pace.begin();
        let answer = kubelet.ask().await;
        let result = answer.as_ref().map_or_else(KubeletError::result, |_| "ok");
        metrics.kubelet_requests.get_or_create(&ResultLabel { result }).inc();
        health.note(answer.as_ref().err());
        pace.end(answer.as_ref().ok(), Instant::now());
        if let Some(pods) = known.learn(answer.ok()).await {
            publish(pods);
        }
    }
}

/// What was last said in the log.
enum Health {
    Unknown,
    Good,
    Failing {
        /// Which trouble it is.
        trouble: String,
        /// Failures since it began, in whichever way.
        failures: u64,
    },
}

impl Health {
    /// Logs a change, once.
    fn note(&mut self, error: Option<&KubeletError>) {
        let before = std::mem::replace(self, Self::Good);
        let (known, failures) = match &before {
            Self::Failing { trouble, failures } => (trouble.as_str(), *failures),
            Self::Unknown | Self::Good => ("", 0),
        };
        match error {
            Some(error) => {
                let trouble = error.trouble();
                if trouble != known {
                    tracing::warn!("new pods are named from their files' paths alone: {error}");
                }
                *self = Self::Failing { trouble, failures: failures + 1 };
            }
            None if failures > 0 => tracing::info!(failures, "the kubelet answers again"),
            None if matches!(before, Self::Unknown) => tracing::info!("the kubelet answers"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
