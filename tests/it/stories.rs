//! What the agent is for, told with the built binary, a node's files and a real Elasticsearch.

mod crashes;
mod files;
mod held;
mod outage;
mod pods;
mod rollovers;
mod samples;
mod sidecar;
mod surprises;
mod turns;

use std::collections::BTreeMap;
use std::fmt::Display;

use serde_json::{Value, json};

use crate::support::agent::Agent;
use crate::support::elasticsearch::{Elasticsearch, Options};
use crate::support::node::{Container, Node};

/// The data stream that a story ships to.
struct Shelf {
    elasticsearch: Elasticsearch,
    stream: String,
}

impl Shelf {
    /// On the server that all tests share.
    async fn shared(theme: &str) -> Self {
        let elasticsearch = Elasticsearch::shared().await;
        let stream = elasticsearch.stream(theme);
        Self { elasticsearch, stream }
    }

    /// On a server that the story may kill.
    async fn own(theme: &str) -> Self {
        let elasticsearch = Elasticsearch::own(Options::default()).await;
        let stream = elasticsearch.stream(theme);
        Self { elasticsearch, stream }
    }

    /// The output of a configuration that ships here.
    fn output(&self) -> String {
        let mut parts = self.stream.splitn(3, '-').skip(1);
        let (dataset, namespace) = (parts.next().expect("dataset"), parts.next().expect("namespace"));
        let url = self.elasticsearch.url();
        format!(
            "output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ max_bytes: 64KiB, max_wait: 50ms }}, \
             data_stream: {{ dataset: \"{dataset}\", namespace: \"{namespace}\" }} }} }}\n"
        )
    }

    /// Waits until so many documents can be found.
    async fn until_count(&self, agent: &Agent, count: usize) {
        let stored = async || self.elasticsearch.count(&self.stream).await >= count as u64;
        agent.until(&format!("{count} documents"), stored).await;
    }

    /// The hits of a query, ordered by time and offset.
    async fn hits(&self, query: &Value) -> Vec<Value> {
        self.elasticsearch.search(&self.stream, query).await
    }

    /// The messages of all documents, likewise.
    async fn messages(&self) -> Vec<String> {
        self.hits(&json!({ "match_all": {} })).await.iter().map(message).collect()
    }

    /// Each of these is there once, and nothing else.
    async fn assert_once(&self, expected: &[String]) {
        assert_once(&self.messages().await, expected);
    }

    /// Leaves nothing on a server that outlives the tests.
    async fn clear(self) {
        self.elasticsearch.delete_stream(&self.stream).await;
    }
}

/// The message of a hit.
fn message(hit: &Value) -> String {
    hit["_source"]["message"].as_str().expect("a message").to_owned()
}

fn assert_once(stored: &[String], expected: &[String]) {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    expected.iter().for_each(|text| *balance.entry(text).or_default() -= 1);
    stored.iter().for_each(|text| *balance.entry(text).or_default() += 1);
    let named = |is_wrong: fn(i64) -> bool| {
        let wrong = balance.iter().filter(|(_, balance)| is_wrong(**balance));
        wrong.map(|(text, _)| text.chars().take(200).collect()).collect::<Vec<String>>()
    };
    let (lost, surplus) = (named(|balance| balance < 0), named(|balance| balance > 0));
    assert!(
        lost.is_empty() && surplus.is_empty(),
        "lost {}: {:?}\ndoubled, split or strange {}: {:?}",
        lost.len(),
        lost.iter().take(5).collect::<Vec<_>>(),
        surplus.len(),
        surplus.iter().take(5).collect::<Vec<_>>(),
    );
}

/// A configuration for the containers of a node whose kubelet nobody asks.
fn configuration(node: &Node, timeout: &str, output: &str) -> String {
    let node = node.path().display();
    format!(
        "data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{node}/containers/*.log\"] }}]\n\
         multiline: {{ timeout: {timeout} }}\n\
         kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
         {output}"
    )
}

/// A program that counts its lines.
struct Counting {
    container: Container,
    name: &'static str,
    lines: Vec<String>,
}

impl Counting {
    fn new(node: &Node, name: &'static str) -> Self {
        Self { container: node.pod("shop", name, "web"), name, lines: Vec::new() }
    }

    /// The next line's text, which is expected from now on.
    fn next(&mut self, what: impl Display) -> String {
        self.lines.push(format!("{} {}: {what}", self.name, self.lines.len()));
        self.lines.last().expect("the line that was pushed").clone()
    }

    fn write(&mut self, count: usize) {
        for _ in 0..count {
            let text = self.next("an order was taken");
            self.container.out(&text);
        }
    }
}
