//! Every answer that Elasticsearch can give, and every lack of one: nothing lost, nothing doubled, nobody
//! hammered.

mod access;
mod documents;
mod refusals;
mod rollovers;
mod trouble;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use skidder::event::{Batch, Item, Settled, SourceId, Target, TargetKind, Verdict};
use skidder::observe::Metrics;
use skidder::observe::metrics::ResultLabel;
use skidder::ship::elasticsearch::{Settings, State, StateHandle, run_over};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::support::fake::Fake;

/// An output that runs against a fake in memory.
struct Output {
    batches: mpsc::Sender<Batch>,
    settled: mpsc::UnboundedReceiver<Settled>,
    state: StateHandle,
    metrics: Arc<Metrics>,
    running: JoinHandle<()>,
}

fn settings() -> Settings {
    Settings { setup: false, ..Settings::new(Vec::new()) }
}

fn with_folder(folder: &Path) -> Settings {
    Settings { data_dir: Some(folder.to_path_buf()), ..settings() }
}

impl Output {
    fn start(fake: &Fake, settings: Settings) -> Self {
        let (batches, receive) = mpsc::channel(1_000);
        let (send, settled) = mpsc::unbounded_channel();
        let (state, metrics) = (StateHandle::default(), Arc::new(Metrics::default()));
        let transport = Arc::new(fake.clone());
        let running =
            tokio::spawn(run_over(transport, settings, receive, send, Arc::clone(&metrics), state.clone()));
        Self { batches, settled, state, metrics, running }
    }

    async fn send(&self, batch: Batch) {
        self.batches.send(batch).await.unwrap();
    }

    /// The next batch that is settled: its number and its verdicts.
    async fn next(&mut self) -> (u64, Vec<Verdict>) {
        let settled = self.settled.recv().await.unwrap();
        assert_eq!(settled.verdicts.len(), settled.batch.items.len());
        (settled.batch.sequence, settled.verdicts)
    }

    /// Closes the way in, waits until all is settled, and gives the verdicts by batch.
    async fn finish(mut self) -> BTreeMap<u64, Vec<Verdict>> {
        drop(self.batches);
        let mut all = BTreeMap::new();
        while let Some(settled) = self.settled.recv().await {
            assert_eq!(settled.verdicts.len(), settled.batch.items.len());
            assert!(all.insert(settled.batch.sequence, settled.verdicts).is_none(), "settled twice");
        }
        self.running.await.unwrap();
        all
    }

    /// Waits until the state is as wished.
    async fn until(&self, wished: impl Fn(&State) -> bool) -> State {
        self.state.subscribe().wait_for(|state| wished(state)).await.unwrap().clone()
    }

    fn events(&self, result: &'static str) -> u64 {
        self.metrics.events.get_or_create(&ResultLabel { result }).get()
    }
}

fn stream(name: &str) -> Arc<Target> {
    Arc::new(Target { name: name.into(), kind: TargetKind::DataStream, pipeline: String::new() })
}

/// A batch of documents with these ids, and `message` in each.
fn batch_of(
    sequence: u64,
    target: &Arc<Target>,
    ids: impl IntoIterator<Item = usize>,
    message: &str,
) -> Batch {
    let mut batch = Batch { sequence, target: Some(Arc::clone(target)), ..Batch::default() };
    for id in ids {
        let start = batch.body.len() as u32;
        batch.body.extend_from_slice(format!("{{\"create\":{{\"_id\":\"{id:05}\"}}}}\n").as_bytes());
        let document = batch.body.len() as u32;
        let line = json!({ "@timestamp": "2026-11-22T10:00:00Z", "message": message, "number": id,
            "log": { "offset": id }, "json": { "code": "abc" } });
        batch.body.extend_from_slice(format!("{line}\n").as_bytes());
        batch.items.push(Item { start, document, source: SourceId(0), bytes: message.len() as u32 + 40 });
    }
    batch
}

fn batch(sequence: u64, target: &Arc<Target>, ids: impl IntoIterator<Item = usize>) -> Batch {
    batch_of(sequence, target, ids, "a line")
}

/// Ten minutes, an hour: on a paused clock they pass as soon as everything waits.
async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}
