//! New pods, and a kubelet that tells of them later or never.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Shelf;
use crate::support::agent::Agent;
use crate::support::kubelet::{Kubelet, Reply, Request};
use crate::support::node::Node;

const UID: &str = "0b5d0a0e-6b7e-4a57-9e54-2f0a6b1c7d11";
const TOKEN: &str = "a-service-accounts-token";

/// The kubelet's list with one pod, whose container is told by its id.
fn pods(id: &str) -> Value {
    json!({ "kind": "PodList", "apiVersion": "v1", "items": [{
        "metadata": {
            "name": "web-5d8f7c9b6d-x2k4m", "namespace": "shop", "uid": UID,
            "labels": { "app.kubernetes.io/name": "web", "pod-template-hash": "5d8f7c9b6d" },
            "ownerReferences": [
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d8f7c9b6d", "controller": true },
            ],
        },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "web", "image": "registry.example.com/web:1.4" }] },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7",
            "containerStatuses": [{
                "name": "web", "restartCount": 0, "image": "registry.example.com/web:1.4",
                "containerID": format!("containerd://{id}"),
            }],
        },
    }] })
}

/// The id in the name of a container's link.
fn id(link: &std::path::Path) -> String {
    let name = link.file_stem().expect("name of a link").to_string_lossy();
    name.rsplit('-').next().expect("id in the name").to_owned()
}

fn configuration(node: &Node, kubelet: &Kubelet, folder: &TempDir, wait: &str, shelf: &Shelf) -> String {
    let folder = folder.path();
    fs::write(folder.join("ca.crt"), &kubelet.authority).expect("authority");
    fs::write(folder.join("token"), TOKEN).expect("token");
    format!(
        "node_name: node-1\n\
         data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{}/containers/*.log\"] }}]\n\
         multiline: {{ timeout: 100ms }}\n\
         kubernetes:\n  wait: {wait}\n  kubelet: {{ url: \"https://{}\", ca_file: {folder}/ca.crt, token_file: {folder}/token }}\n\
         {}",
        node.path().display(),
        kubelet.address,
        shelf.output(),
        folder = folder.display(),
    )
}

/// The kubelet hears of a pod after its first line is written; the line waits for it.
#[tokio::test]
async fn the_first_line_of_a_new_pod_tells_all_of_it() {
    let (shelf, node, folder) =
        (Shelf::shared("enriched").await, Node::new(), TempDir::new().expect("folder"));
    let mut web = node.container("shop", "web-5d8f7c9b6d-x2k4m", UID, "web");
    web.out("the first line");
    let id = id(web.link_path());
    let told = Arc::new(AtomicBool::new(false));
    let (list, is_told) = (pods(&id), Arc::clone(&told));
    let script = move |request: &Request| match (&*request.token, is_told.load(Ordering::Relaxed)) {
        (TOKEN, true) => Reply::Text(200, list.to_string()),
        (TOKEN, false) => Reply::Text(200, json!({ "kind": "PodList", "items": [] }).to_string()),
        _ => Reply::Text(401, "Unauthorized".to_owned()),
    };
    let kubelet = Kubelet::with_names(&["127.0.0.1"], script).await;
    let mut agent = Agent::new(&configuration(&node, &kubelet, &folder, "30s", &shelf));
    agent.start().await;
    agent.until("the kubelet to be asked twice", async || kubelet.asked().len() >= 2).await;
    assert_eq!(agent.metric("skidder_read_lines_total").await, Some(0.0), "it waits for the kubelet");
    told.store(true, Ordering::Relaxed);
    shelf.until_count(&agent, 1).await;

    let document = &shelf.hits(&json!({ "match_all": {} })).await[0]["_source"];
    let expected = json!({
        "namespace": "shop",
        "pod": { "name": "web-5d8f7c9b6d-x2k4m", "uid": UID, "ip": "10.0.0.7" },
        "container": { "name": "web" },
        "node": { "name": "node-1" },
        "labels": { "app_kubernetes_io/name": "web", "pod-template-hash": "5d8f7c9b6d" },
        "replicaset": { "name": "web-5d8f7c9b6d" },
        "deployment": { "name": "web" },
    });
    assert_eq!(document["message"], "the first line");
    assert_eq!(document["kubernetes"], expected, "{document:#}");
    let container =
        json!({ "id": id, "runtime": "containerd", "image": { "name": "registry.example.com/web:1.4" } });
    assert_eq!(document["container"], container);
    assert_eq!(document["skidder"], Value::Null);
    assert_eq!(agent.close().await.acknowledged, node.written());
    shelf.clear().await;
}

/// Its files were seen while the kubelet was waited for; none of it is pending for ever.
#[tokio::test]
async fn what_an_excluded_pod_has_written_is_dropped() {
    let (shelf, node, folder) =
        (Shelf::shared("excluded").await, Node::new(), TempDir::new().expect("folder"));
    let mut web = node.container("shop", "web-5d8f7c9b6d-x2k4m", UID, "web");
    web.out("the first line");
    let mut list = pods(&id(web.link_path()));
    list["items"][0]["metadata"]["annotations"] = json!({ "skidder.io/exclude": "true" });
    let told = Arc::new(AtomicBool::new(false));
    let is_told = Arc::clone(&told);
    let script = move |_: &Request| match is_told.load(Ordering::Relaxed) {
        true => Reply::Text(200, list.to_string()),
        false => Reply::Text(200, json!({ "kind": "PodList", "items": [] }).to_string()),
    };
    let kubelet = Kubelet::with_names(&["127.0.0.1"], script).await;
    let mut agent = Agent::new(&configuration(&node, &kubelet, &folder, "60s", &shelf));
    agent.start().await;
    agent.until_metric("skidder_lag_bytes", node.written() as f64).await;
    told.store(true, Ordering::Relaxed);
    let sums = agent.close().await;
    assert_eq!((sums.dropped, sums.acknowledged), (node.written(), 0));
    shelf.clear().await;
}

#[tokio::test]
async fn a_pod_that_the_kubelet_does_not_know_is_shipped_by_its_path() {
    let (shelf, node, folder) =
        (Shelf::shared("unknown").await, Node::new(), TempDir::new().expect("folder"));
    let mut web = node.pod("shop", "web-1", "web");
    web.out("a line of a pod that nobody knows");
    let kubelet = Kubelet::with_names(&["127.0.0.1"], |_| Reply::Text(200, pods("0").to_string())).await;
    let mut agent = Agent::new(&configuration(&node, &kubelet, &folder, "500ms", &shelf));
    agent.start().await;
    shelf.until_count(&agent, 1).await;
    let document = &shelf.hits(&json!({ "match_all": {} })).await[0]["_source"];
    assert_eq!(document["skidder"]["metadata"], "path", "{document:#}");
    assert_eq!(document["kubernetes"]["pod"]["name"], "web-1");
    assert_eq!(document["kubernetes"]["labels"], Value::Null);
    assert!(!kubelet.asked().is_empty());
    assert_eq!(agent.close().await.acknowledged, node.written());
    shelf.clear().await;
}
