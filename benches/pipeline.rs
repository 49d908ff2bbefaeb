//! The whole path of the reader: from the files of a node, joined and enriched, to bulk bodies in memory. What an
//! output costs on top is measured by `ship` and, with the process around it, by `process`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "made by criterion's macros; a bench that cannot go on ends"
)]

use std::path::Path;
use std::sync::Arc;
use std::thread;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skidder::checkpoint::{Keeper, Saved};
use skidder::config::Config;
use skidder::event::{Batch, Settled, Verdict};
use skidder::join::RuleBook;
use skidder::observe::{Backlog, Metrics};
use skidder::pipeline::budget::Budget;
use skidder::pipeline::directory::Directory;
use skidder::pipeline::filters::Filters;
use skidder::pipeline::reader::{Course, Reader, ReaderSettings, TURN_BYTES};
use skidder::pipeline::shipping::{Rendering, Shipping, ShippingSettings, Ways};
use skidder::pipeline::wake::Wake;
use skidder::pipeline::{recorded, settings};
use skidder::ship::elasticsearch::StateHandle;
use tokio::sync::mpsc;

#[path = "corpus/mod.rs"]
mod corpus;
use corpus::node::Node;

const LENGTH: u64 = 32 << 20;
const OUTPUT: &str = "output: { elasticsearch: { urls: [\"http://localhost:9200\"] } }";

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Hauled {
    events: u64,
    body_bytes: u64,
}

/// A reader that has looked at nothing yet, and what settles its batches as soon as they come. The joining rules are
/// compiled here: that is of a start, not of a byte.
fn prepare(config: &Config, pods: &Path) -> (Reader<Shipping>, impl FnOnce() -> Hauled + Send + 'static) {
    let (wake, metrics) = (Arc::new(Wake::default()), Arc::new(Metrics::default()));
    let backlog = Backlog::new(&metrics, false);
    let budget = Arc::new(Budget::new(config.max_buffered_bytes as usize));
    let (batches, mut arriving) = mpsc::channel::<Batch>(1);
    let (spare, spare_bodies) = std::sync::mpsc::sync_channel(4);
    let ways = Ways {
        batches,
        keeper: Keeper::forgetful(),
        budget: Arc::clone(&budget),
        spare_bodies,
        backlog: Arc::clone(&backlog),
        remembered: Arc::default(),
        metrics: Arc::clone(&metrics),
    };
    let shipping = ShippingSettings {
        batch: settings::batches(config),
        rendering: Rendering::Document,
        documents: settings::documents(config).unwrap(),
        targets: settings::targets(config),
        filters: Filters::new(&config.events),
        targeted: true,
        held: StateHandle::default(),
    };
    let join = settings::join(&config.multiline, settings::max_line_bytes(config));
    let reading = ReaderSettings {
        scanner: settings::scanner(config).unwrap(),
        blocks: settings::blocks(config).unwrap(),
        rules: RuleBook::new(join).unwrap(),
        annotations: settings::annotations(config),
        course: Course::ToEnd,
        turn_bytes: TURN_BYTES,
    };
    let directory = Directory::recorded(recorded(pods).unwrap());
    let outlet = Shipping::new(shipping, ways);
    let reader = Reader::new(reading, directory, Saved::default(), outlet, Arc::clone(&wake), metrics);
    let settle = move || {
        let mut hauled = Hauled::default();
        while let Some(mut batch) = arriving.blocking_recv() {
            hauled.events += batch.items.len() as u64;
            hauled.body_bytes += batch.body.len() as u64;
            let body = std::mem::take(&mut batch.body);
            budget.release(batch.sequence);
            let verdicts = vec![Verdict::Shipped; batch.items.len()];
            backlog.settled(&Settled { batch, verdicts });
            let _ = spare.try_send(body);
            wake.nudge();
        }
        hauled
    };
    (reader, settle)
}

/// Reads the node to its end.
fn haul((reader, settle): (Reader<Shipping>, impl FnOnce() -> Hauled + Send + 'static)) -> Hauled {
    let settling = thread::spawn(settle);
    drop(reader.run());
    settling.join().unwrap()
}

fn pipeline(criterion: &mut Criterion) {
    let pods = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/node/pods.json");
    let mut group = criterion.benchmark_group("pipeline");
    group.sample_size(10);
    for (name, containers, events) in [
        ("one container", 1, "events: { json: nested }"),
        ("eight containers", 8, "events: { json: nested }"),
        ("eight containers, JSON left as text", 8, "events: { json: off }"),
    ] {
        let node = Node::new(containers, LENGTH).unwrap();
        let text = node.configuration(&format!("{events}\n{OUTPUT}"));
        let config = Config::parse(&text, "bench.yaml", &|_| None).unwrap();
        assert_eq!(haul(prepare(&config, &pods)).events, node.events, "no event is missing");
        group.throughput(Throughput::ElementsAndBytes { elements: node.events, bytes: node.bytes });
        group.bench_function(name, |bencher| {
            bencher.iter_batched(|| prepare(&config, &pods), haul, BatchSize::PerIteration)
        });
    }
    group.finish();
}

criterion_group!(benches, pipeline);
criterion_main!(benches);
