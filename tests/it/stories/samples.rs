//! The sample node that the project ships, in a real Elasticsearch.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Shelf, message};
use crate::support::agent::Agent;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/node");
/// A frame in the middle of a trace of the cart, below its second cause.
const FRAME: &str = "com.example.cart.inventory.InventoryClient.reserve(InventoryClient.java:12)";

/// A copy, for the agent to look at files that nobody else opens.
fn samples() -> TempDir {
    let folder = TempDir::with_prefix("skidder-samples-").expect("folder of the samples");
    let copied = Command::new("cp").arg("-a").arg(format!("{SAMPLES}/.")).arg(folder.path()).status();
    assert!(copied.expect("cp").success());
    folder
}

fn configuration(samples: &Path, logs: &str, shelf: &Shelf) -> String {
    let samples = samples.display();
    format!(
        "node_name: node-1\n\
         data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{samples}/containers/{logs}\"] }}]\n\
         kubernetes: {{ kubelet: {{ url: {samples}/pods.json }} }}\n\
         {}",
        shelf.output()
    )
}

fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(format!("{SAMPLES}/expected.json")).expect("expected.json"))
        .expect("expected.json")
}

/// A number of what is expected of the whole node.
fn total(name: &str) -> usize {
    let total = expected()["total"][name].as_u64().expect("a number of expected.json");
    usize::try_from(total).expect("a small number")
}

/// How many hits there are of each container's instance and, of them, from standard error, joined and unfinished.
fn counted(hits: &[Value]) -> BTreeMap<String, [u64; 4]> {
    let mut counted = BTreeMap::<String, [u64; 4]>::new();
    for hit in hits {
        let document = &hit["_source"];
        let path = document["log"]["file"]["path"].as_str().expect("a path");
        let instance = path.rsplit('/').next().and_then(|name| name.split('.').next()).expect("an instance");
        let kubernetes = &document["kubernetes"];
        let of = format!("{}/{}/{instance}", kubernetes["pod"]["name"], kubernetes["container"]["name"]);
        let flags = document["log"]["flags"].as_array().cloned().unwrap_or_default();
        let numbers = counted.entry(of).or_default();
        let are = [
            true,
            document["stream"] == "stderr",
            flags.contains(&json!("multiline")),
            flags.contains(&json!("partial")),
        ];
        numbers.iter_mut().zip(are).for_each(|(number, is)| *number += u64::from(is));
    }
    counted
}

#[tokio::test]
async fn a_nodes_logs_are_found_again() {
    let (shelf, samples) = (Shelf::shared("samples").await, samples());
    let mut agent = Agent::new(&configuration(samples.path(), "*.log", &shelf));
    agent.start().await;
    shelf.until_count(&agent, total("events")).await;
    let sums = agent.at_rest(0).await;
    assert_eq!(sums.acknowledged, total("bytes") as u64);

    let all = shelf.hits(&json!({ "match_all": {} })).await;
    let expected: BTreeMap<_, _> = expected()["instances"]
        .as_array()
        .expect("instances")
        .iter()
        .map(|of| {
            let numbers = ["events", "stderr_events", "joined", "unfinished"];
            let numbers = numbers.map(|name| of[name].as_u64().expect("a number"));
            (format!("{}/{}/{}", of["pod"], of["container"], of["instance"]), numbers)
        })
        .collect();
    assert_eq!(counted(&all), expected);
    let ids: HashSet<_> = all.iter().map(|hit| hit["_id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), total("events"));
    assert_eq!(agent.metric("skidder_read_bytes_total").await, Some(total("bytes") as f64));
    assert_eq!(agent.metric("skidder_read_lines_total").await, Some(total("lines") as f64));

    by_a_frame(&shelf).await;
    by_metadata(&shelf, &all).await;
    by_place_and_time(&shelf, &all).await;
    assert!(agent.term().await.success(), "{}", agent.log());
    assert_eq!(shelf.messages().await.len(), total("events"));
    shelf.clear().await;
}

/// A trace is found whole by what stands in its middle.
async fn by_a_frame(shelf: &Shelf) {
    let found = shelf.hits(&json!({ "match_phrase": { "message": FRAME } })).await;
    assert!(!found.is_empty());
    for hit in &found {
        let message = message(hit);
        assert!(message.contains(&format!("\n\tat {FRAME}\n")), "{message}");
        assert!(message.contains("IllegalStateException: checkout of cart"), "its head: {message}");
        assert!(message.ends_with(" more"), "its end: {message}");
        assert_eq!(hit["_source"]["log"]["flags"], json!(["multiline"]));
    }
}

/// Labels, in a field whose keys are flattened, and the workload, which is found without the API server.
async fn by_metadata(shelf: &Shelf, all: &[Value]) {
    for (field, value, pod) in [
        ("kubernetes.labels.app_kubernetes_io/name", "invoice-worker", "invoice-worker-0"),
        ("kubernetes.labels.component", "etcd", "etcd-node-1"),
        ("kubernetes.deployment.name", "cart", "cart-6c8f5d7b9d-x2k4m"),
        ("kubernetes.statefulset.name", "invoice-worker", "invoice-worker-0"),
        ("kubernetes.daemonset.name", "node-exporter", "node-exporter-4tkzq"),
        ("kubernetes.cronjob.name", "nightly-report", "nightly-report-29922300-k7xwd"),
    ] {
        let found = shelf.hits(&json!({ "term": { field: value } })).await;
        let names = |hits: &[Value]| -> Vec<_> {
            hits.iter().map(|hit| hit["_source"]["kubernetes"]["pod"]["name"].clone()).collect()
        };
        let of_pod = names(all).iter().filter(|name| **name == pod).count();
        assert!(of_pod > 0, "{pod}");
        assert_eq!(names(&found), vec![json!(pod); of_pod], "{field}: {value}");
    }
}

/// Within one file by offset, and by time to the nanosecond.
async fn by_place_and_time(shelf: &Shelf, all: &[Value]) {
    let path = all[0]["_source"]["log"]["file"]["path"].clone();
    let body = json!({
        "size": 1000,
        "query": { "term": { "log.file.path": path } },
        "sort": [{ "log.offset": "desc" }],
    });
    let answer = shelf.elasticsearch.post(&format!("/{}/_search", shelf.stream), &body).await;
    let hits = answer.body["hits"]["hits"].as_array().expect("hits").clone();
    let offsets: Vec<_> = hits.iter().map(|hit| hit["_source"]["log"]["offset"].as_u64()).collect();
    assert!(offsets.len() > 1 && offsets.is_sorted_by(|a, b| a > b), "{offsets:?}");

    let cart = json!({ "range": { "@timestamp": {
        "gt": "2026-11-22T09:06:12.410820098Z", "lt": "2026-11-22T09:06:12.410820100Z",
    } } });
    let found = shelf.hits(&cart).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["_source"]["@timestamp"], "2026-11-22T09:06:12.410820099Z");
    assert!(message(&found[0]).contains("Unhandled failure of GET /checkout/8f31c2"));
}

#[tokio::test]
async fn what_is_shipped_twice_is_stored_once() {
    let (shelf, samples) = (Shelf::shared("twice").await, samples());
    let configuration = configuration(samples.path(), "*.log", &shelf);
    let events = total("events") as f64;
    for (shipped, duplicate) in [(events, 0.0), (0.0, events)] {
        // Each is a new agent: nothing is known in its data_dir.
        let mut agent = Agent::new(&configuration);
        agent.start().await;
        agent.until_metric("skidder_events_total{result=\"duplicate\"}", duplicate).await;
        agent.until_metric("skidder_events_total{result=\"shipped\"}", shipped).await;
        assert!(agent.term().await.success(), "{}", agent.log());
        assert_eq!(shelf.messages().await.len(), total("events"));
    }
    shelf.clear().await;
}

#[tokio::test]
async fn standard_output_shows_what_is_stored() {
    let (shelf, samples) = (Shelf::shared("shown").await, samples());
    let mut agent = Agent::new(&configuration(samples.path(), "cart-*_web-*.log", &shelf));
    agent.start().await;
    let of_cart = |of: &&Value| of["pod"] == "cart-6c8f5d7b9d-x2k4m" && of["container"] == "web";
    let expected = expected();
    let cart = expected["instances"].as_array().expect("instances").iter().find(of_cart).expect("the cart");
    let events = usize::try_from(cart["events"].as_u64().expect("events")).expect("a small number");
    shelf.until_count(&agent, events).await;
    assert!(agent.term().await.success(), "{}", agent.log());
    let hits = shelf.hits(&json!({ "match_all": {} })).await;
    let mut stored: Vec<_> = hits.iter().map(|hit| hit["_source"].clone()).collect();

    let printed = agent.run_once(&["--output", "stdout"]).await;
    let mut printed: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    for documents in [&mut printed, &mut stored] {
        documents.sort_by_cached_key(|document| document["@timestamp"].to_string());
    }
    assert_eq!(printed.len(), events);
    for (printed, stored) in printed.iter().zip(&stored) {
        assert_eq!(printed, stored);
    }
    shelf.clear().await;
}
