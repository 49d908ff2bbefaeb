//! A data stream that rolls over while nobody knows what became of a request.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Counting, Shelf, configuration};
use crate::support::agent::Agent;
use crate::support::between::{Answers, Between};
use crate::support::node::Node;

const FOUND: &str = "skidder_lookups_total{result=\"found\"}";

/// A shelf, the way to it, and the output of a configuration that takes this way.
async fn shelf(theme: &str) -> (Shelf, Between, String) {
    let shelf = Shelf::shared(theme).await;
    let between = Between::serve(&shelf.elasticsearch).await;
    let output = shelf.output().replace(shelf.elasticsearch.url(), between.url());
    (shelf, between, output)
}

impl Shelf {
    async fn roll_over(&self) {
        let answer = self.elasticsearch.post(&format!("/{}/_rollover", self.stream), &json!({})).await;
        assert_eq!(answer.body["rolled_over"], true, "{answer:?}");
    }

    /// In how many backing indices the documents are.
    async fn indices(&self) -> usize {
        let hits = self.hits(&json!({ "match_all": {} })).await;
        hits.iter().filter_map(|hit| hit["_index"].as_str()).collect::<BTreeSet<_>>().len()
    }
}

#[tokio::test]
async fn between_a_lost_answer_and_its_retry() {
    let (shelf, between, output) = shelf("lost").await;
    let node = Node::new();
    let mut agent = Agent::new(&configuration(&node, "60s", &output));
    let mut web = Counting::new(&node, "web-1");
    web.write(100);
    agent.start().await;
    shelf.until_count(&agent, 100).await;
    for round in 1..=3 {
        between.answers(Answers::Break);
        let before = between.lost();
        web.write(500);
        agent.until("an answer to be lost", async || between.lost() > before).await;
        shelf.roll_over().await;
        between.answers(Answers::Arrive);
        shelf.until_count(&agent, web.lines.len()).await;
        agent.until_metric("skidder_lag_bytes", 0.0).await;
        assert!(agent.metric(FOUND).await >= Some(f64::from(round)), "{}", agent.log());
    }
    assert!(agent.term().await.success(), "{}", agent.log());
    shelf.assert_once(&web.lines).await;
    assert!(shelf.indices().await >= 3);
    shelf.clear().await;
}

#[tokio::test]
async fn between_a_kill_and_the_next_start() {
    let (shelf, between, output) = shelf("killed").await;
    let node = Node::new();
    let mut agent = Agent::new(&configuration(&node, "60s", &output));
    let mut web = Counting::new(&node, "web-1");
    // The first time nothing of the stream was ever acknowledged, and nothing of the file remembered.
    for _ in 0..3 {
        between.answers(Answers::Never);
        let before = between.lost();
        web.write(300);
        agent.start().await;
        agent.until("an answer to be withheld", async || between.lost() > before).await;
        agent.kill9();
        shelf.roll_over().await;
        web.write(50);
        between.answers(Answers::Arrive);
        agent.start().await;
        shelf.until_count(&agent, web.lines.len()).await;
        agent.until_metric("skidder_lag_bytes", 0.0).await;
        assert!(agent.metric(FOUND).await > Some(0.0), "{}", agent.log());
        assert!(!agent.log().contains("stored already"), "{}", agent.log());
        agent.kill9();
    }
    shelf.assert_once(&web.lines).await;
    assert!(shelf.indices().await >= 3);
    let ids: Vec<Value> = shelf.hits(&json!({ "match_all": {} })).await;
    let ids: BTreeSet<_> = ids.iter().filter_map(|hit| hit["_id"].as_str().map(str::to_owned)).collect();
    assert_eq!(ids.len(), web.lines.len());
    shelf.clear().await;
}
