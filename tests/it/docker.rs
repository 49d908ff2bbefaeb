//! A plain Docker host, with the configuration that is shipped for it.

use std::fs;

use serde_json::{Value, json};
use skidder::event::Stream;

use crate::support::agent::Agent;
use crate::support::node::Node;

/// `config/docker.yaml` for the containers of this node.
fn shipped(node: &Node) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/docker.yaml");
    let text = fs::read_to_string(path).expect("config/docker.yaml");
    let (there, here) = ("/var/lib/docker/containers", node.path().join("docker"));
    assert!(text.contains(there), "{text}");
    format!("data_dir: ${{DATA}}\nnode_name: host-1\n{}", text.replace(there, &here.display().to_string()))
}

#[tokio::test]
async fn containers_are_named_by_what_docker_keeps_beside_their_logs() {
    let node = Node::new();
    let (mut web, mut db) = (node.docker("shop-web-1"), node.docker("shop-db-1"));
    web.part(Stream::Stdout, "a line in ");
    web.line(Stream::Stdout, "two parts");
    web.rotate(3);
    web.line(Stream::Stderr, "java.lang.IllegalStateException: no order");
    web.line(Stream::Stderr, "\tat com.example.Shop.order(Shop.java:12)");
    db.line(Stream::Stdout, "ready to accept connections");

    let printed = Agent::new(&shipped(&node)).run_once(&["--output", "stdout"]).await;
    let mut documents: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("a document")).collect();
    documents.sort_by_key(|document| document["message"].to_string());
    let told: Vec<_> =
        documents.iter().map(|document| (&document["container"]["name"], &document["message"])).collect();
    let trace = "java.lang.IllegalStateException: no order\n\tat com.example.Shop.order(Shop.java:12)";
    assert_eq!(
        told,
        [
            (&json!("shop-web-1"), &json!("a line in two parts")),
            (&json!("shop-web-1"), &json!(trace)),
            (&json!("shop-db-1"), &json!("ready to accept connections")),
        ]
    );
    let expected = json!({
        "id": web.id(), "name": "shop-web-1", "runtime": "docker",
        "image": {
            "name": "registry.example.com/shop-web-1:1.0",
            "hash": { "all": [format!("sha256:{}", "0b1e".repeat(16))] },
        },
        "labels": {
            "app": "shop-web-1",
            "com_docker_compose_project": "shop",
            "com_docker_compose_service": "shop-web-1",
            "org_opencontainers_image_version": "1.0",
        },
    });
    assert_eq!(documents[1]["container"], expected, "{:#}", documents[1]);
    assert_eq!(documents[1]["stream"], "stderr");
    assert_eq!(documents[1]["data_stream"]["dataset"], "docker.container_logs");
    assert_eq!(documents[1]["host"]["name"], "host-1");
    assert_eq!(documents[1]["kubernetes"], Value::Null);
}

#[tokio::test]
async fn a_container_without_its_description_keeps_its_id() {
    let node = Node::new();
    let mut web = node.docker("web");
    web.line(Stream::Stdout, "a line");
    fs::write(web.path().with_file_name("config.v2.json"), "{ half").expect("description");
    let agent = Agent::new(&shipped(&node));
    let printed = agent.run_once(&["--output", "stdout"]).await;
    let document: Value = serde_json::from_str(&printed).expect("one document");
    assert_eq!(document["container"], json!({ "id": web.id(), "runtime": "docker" }), "{document:#}");
    assert!(agent.log().contains("config.v2.json"), "{}", agent.log());
}
