//! What the agent says of itself while something is wrong: its health, its log, the one event of a rate limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake, item_error};
use crate::support::node::Node;

const STREAM: &str = "logs-kubernetes.container_logs-default";

fn configuration(node: &Node, url: &str, more: &str) -> String {
    let node = node.path().display();
    format!(
        "data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{node}/containers/*.log\", \"{node}/own/*.log\"] }}]\n\
         kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
         {more}\
         output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ max_wait: 20ms }}, setup: false }} }}\n"
    )
}

#[tokio::test]
async fn an_elasticsearch_that_is_away_shows_and_clears_by_itself() {
    let (node, fake) = (Node::new(), Fake::new());
    let away = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&away);
    fake.rule(move |_| match seen.load(Ordering::Relaxed) {
        true => Behaviour::error(503, "unavailable", "no master"),
        false => Behaviour::Accept,
    });
    let mut agent = Agent::new(&configuration(&node, &fake.serve().await, ""));
    let mut web = node.pod("shop", "web-1", "web");
    web.out("one");
    agent.start().await;
    let says_why = async || {
        let answer = agent.answer("/readyz").await;
        answer.is_some_and(|(status, words)| {
            status == 503 && words.contains("elasticsearch takes nothing since")
        })
    };
    agent.until("/readyz to say why", says_why).await;
    let written = node.written() as f64;
    agent.until_metric("skidder_lag_bytes", written).await;
    web.out("two");
    agent.until_metric("skidder_lag_bytes", node.written() as f64).await;
    let age = async || agent.metric("skidder_oldest_unshipped_seconds").await.unwrap_or_default();
    let before = age().await;
    agent.until("the age to rise", async || age().await > before).await;
    assert_eq!(agent.answer("/livez").await.map(|(status, _)| status), Some(200));
    assert_eq!(agent.metric("skidder_events_total{result=\"shipped\"}").await, Some(0.0));

    away.store(false, Ordering::Relaxed);
    agent.ready().await;
    agent.close().await;
    assert_eq!(fake.documents(STREAM).len(), 2);
}

/// An agent whose own log is among the files that it ships.
fn ships_itself(node: &Node, url: &str) -> Agent {
    let agent = Agent::new(&configuration(node, url, ""));
    let own = agent.data().parent().expect("the agent's folder").join("stderr");
    std::fs::create_dir(node.path().join("own")).unwrap();
    std::os::unix::fs::symlink(&own, node.path().join("own/skidder.log")).unwrap();
    agent
}

/// Writes and waits until all of it has come to its end, ten times; what the agent said of it was little.
async fn stays_quiet(node: &Node, mut agent: Agent, ended: &str, told: &str) {
    let mut web = node.pod("shop", "web-1", "web");
    agent.start().await;
    for round in 1..=10 {
        (0..20).for_each(|line| web.out(&format!("line {line} of round {round}")));
        let all = async || {
            let events = agent.metric(ended).await;
            events >= Some(f64::from(20 * round)) && agent.metric("skidder_lag_bytes").await == Some(0.0)
        };
        agent.until("all to come to its end", all).await;
    }
    let said = agent.log();
    assert!(said.contains(told), "{said}");
    assert!(said.lines().count() < 30, "{} lines:\n{said}", said.lines().count());
    let is_json = |line: &str| line.starts_with("{\"@timestamp\":\"");
    assert!(said.lines().all(is_json), "JSON where it is no terminal: {said}");
    assert!(agent.term().await.success());
}

/// What it ships is refused: it says so once, not once for each line that says so.
#[tokio::test]
async fn its_own_log_does_not_feed_itself_by_what_is_refused() {
    let (node, fake) = (Node::new(), Fake::new());
    fake.rule(|_| Behaviour::items(|_, _| item_error(400, "mapper_parsing_exception", "no such field")));
    let agent = ships_itself(&node, &fake.serve().await);
    let dead = "skidder_events_total{result=\"dead_letter\"}";
    stays_quiet(&node, agent, dead, "refuses a document").await;
}

/// Each request is answered by 503 before it is taken: that is said once, not twice for each request that says so.
#[tokio::test]
async fn its_own_log_does_not_feed_itself_by_what_comes_and_goes() {
    let (node, fake) = (Node::new(), Fake::new());
    let mut is_odd = false;
    fake.rule(move |_| {
        is_odd = !is_odd;
        if is_odd { Behaviour::error(503, "unavailable", "no master") } else { Behaviour::Accept }
    });
    let agent = ships_itself(&node, &fake.serve().await);
    let shipped = "skidder_events_total{result=\"shipped\"}";
    stays_quiet(&node, agent, shipped, "takes nothing now").await;
}

#[tokio::test]
async fn what_the_rate_limit_leaves_out_is_said_by_one_event() {
    let (node, fake) = (Node::new(), Fake::new());
    let limit = "events: { rate_limit: 2KiB/s }\n";
    let mut agent = Agent::new(&configuration(&node, &fake.serve().await, limit));
    let (mut loud, mut quiet) = (node.pod("shop", "loud-1", "web"), node.pod("shop", "quiet-1", "web"));
    (0..500).for_each(|line| loud.out(&format!("line {line} of a program that writes without end")));
    quiet.out("one");
    agent.start().await;
    let said = || {
        let documents = fake.documents(STREAM);
        let of_us = documents.into_iter().filter(|document| {
            document["message"].as_str().is_some_and(|text| text.starts_with("skidder: "))
        });
        of_us.collect::<Vec<_>>()
    };
    agent.until("the event that says it", async || !said().is_empty()).await;
    let dropped = agent.metric("skidder_events_total{result=\"rate_limited\"}").await.unwrap_or_default();
    let sums = agent.close().await;
    let said = said();
    let [event] = said.as_slice() else { panic!("{said:#?}") };
    let expected = format!("skidder: {dropped} events ({} bytes) of 2026-11-22T10:00:0", sums.dropped);
    let message = event["message"].as_str().unwrap_or_default();
    assert!(message.starts_with(&expected) && message.ends_with("more than events.rate_limit"), "{message}");
    assert_eq!(event["kubernetes"]["pod"]["name"], "loud-1");
    assert_eq!(fake.documents(STREAM).len() as f64, 502.0 - dropped);
}
