//! Whose pod is it? The last answer of the kubelet, and what was asked for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::wake::Wake;
use crate::enrich::{KubeletSettings, OwnPod, Pods, Wanted, kubelet};
use crate::event::{Origin, PodMeta};
use crate::observe::Metrics;

/// What is known of a pod.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The kubelet has told.
    Known(Arc<PodMeta>),
    /// It may still tell.
    NotYet,
    /// It had its time and did not tell.
    TimedOut,
    /// Nobody is asked.
    NotAsked,
}

impl Own {
    fn reread(&mut self) -> bool {
        match self.told.read() {
            Ok(meta) => {
                self.trouble = None;
                let changed = meta != *self.meta;
                if changed {
                    self.meta = Arc::new(meta);
                }
                changed
            }
            Err(error) => {
                let trouble = error.to_string();
                if self.trouble.as_ref() != Some(&trouble) {
                    warn!("{trouble}");
                    self.trouble = Some(trouble);
                }
                false
            }
        }
    }
}

/// Answers of the kubelet. One writes, the reader looks.
#[derive(Debug, Default)]
struct Snapshot(Mutex<Arc<Pods>>);

impl Snapshot {
    /// Replaces the answer.
    fn set(&self, pods: Arc<Pods>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = pods;
    }

    fn get(&self) -> Arc<Pods> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The reader's view of the pods.
#[derive(Debug)]
pub struct Directory {
    asked: Option<Asked>,
    pods: Arc<Pods>,
    own: Option<Own>,
}

/// The pod that a sidecar is of.
#[derive(Debug)]
struct Own {
    told: OwnPod,
    meta: Arc<PodMeta>,
    /// What went wrong when it was last read; it is said once.
    trouble: Option<String>,
}

#[derive(Debug)]
struct Asked {
    snapshot: Arc<Snapshot>,
    /// `None` for a recorded answer: what is not in it will not come.
    wanted: Option<Wanted>,
    wait: Duration,
}

impl Directory {
    /// Nobody is asked: names come from the path alone.
    pub fn none() -> Self {
        Self { asked: None, pods: Arc::default(), own: None }
    }

    /// A recorded answer.
    pub fn recorded(pods: Pods) -> Self {
        let snapshot = Arc::new(Snapshot(Mutex::new(Arc::new(pods))));
        let asked = Asked { snapshot, wanted: None, wait: Duration::ZERO };
        let mut directory = Self { asked: Some(asked), ..Self::none() };
        directory.refresh();
        directory
    }

    /// A kubelet that is asked; a pod is waited for no longer than `wait`. The asking itself is the future: it goes on
    /// until it is dropped, and rings `wake` when the answer has changed.
    pub fn asking(
        settings: KubeletSettings,
        wait: Duration,
        wake: &Arc<Wake>,
        metrics: Arc<Metrics>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (wanted, wishes) = kubelet::channel();
        let snapshot = Arc::new(Snapshot::default());
        let (published, bell) = (Arc::clone(&snapshot), Arc::clone(wake));
        let publish = move |pods: Arc<Pods>| {
            published.set(pods);
            bell.metadata();
        };
        let directory = Self { asked: Some(Asked { snapshot, wanted: Some(wanted), wait }), ..Self::none() };
        (directory, kubelet::run(settings, wishes, publish, metrics))
    }

    /// The same, for a sidecar: files that no path names are of this pod.
    pub fn with_own(mut self, own: Option<OwnPod>) -> Self {
        self.own = own.map(|told| Own { meta: Arc::new(told.names.clone()), told, trouble: None });
        self.reread_own();
        self
    }

    /// The pod that files are of which no path names.
    pub fn own_pod(&self) -> Option<Arc<PodMeta>> {
        self.own.as_ref().map(|own| Arc::clone(&own.meta))
    }

    /// Reads anew what is told of that pod. Returns whether it has changed.
    pub fn reread_own(&mut self) -> bool {
        self.own.as_mut().is_some_and(Own::reread)
    }

    /// Takes the last answer.
    pub fn refresh(&mut self) {
        if let Some(asked) = &self.asked {
            self.pods = asked.snapshot.get();
        }
    }

    /// What is known of a pod.
    pub fn known(&self, uid: &str) -> Option<Arc<PodMeta>> {
        self.pods.get(uid).map(Arc::clone)
    }

    /// What is known of the pod of a container whose log is waited for since then.
    pub fn look_up(&self, origin: &Origin, since: Instant, now: Instant) -> Lookup {
        let (Some(asked), Origin::Pod { uid, .. }) = (&self.asked, origin) else { return Lookup::NotAsked };
        let known = self.known(uid);
        let complete = self.pods.is_settled(origin);
        match (known, &asked.wanted) {
            (_, Some(wanted)) if !complete && now < since + asked.wait => {
                wanted.want(uid);
                Lookup::NotYet
            }
            (Some(pod), _) => Lookup::Known(pod),
            (None, _) => Lookup::TimedOut,
        }
    }

    /// When a container that waits since then is to be looked up again, though no answer has come.
    pub fn deadline(&self, since: Instant) -> Option<Instant> {
        self.asked.as_ref().map(|asked| since + asked.wait)
    }
}
