//! The end of an agent, and the one that comes after it.

use std::time::Duration;

use super::{Counting, Shelf, configuration};
use crate::support::agent::Agent;
use crate::support::node::Node;

const TRACE: [&str; 4] = [
    "java.lang.IllegalStateException: no order",
    "\tat com.example.Shop.order(Shop.java:12)",
    "\tat com.example.Shop.main(Shop.java:3)",
    "Caused by: java.net.ConnectException: Connection refused",
];

#[tokio::test]
async fn a_second_agent_waits_and_takes_over() {
    let (shelf, node) = (Shelf::shared("second").await, Node::new());
    let configuration = configuration(&node, "60s", &shelf.output());
    let mut first = Agent::new(&configuration);
    let mut second = Agent::new(&configuration).with("DATA", first.data());
    let mut web = Counting::new(&node, "web-1");
    web.write(500);
    first.start().await;
    first.ready().await;
    second.start().await;
    let why = async || {
        second
            .answer("/readyz")
            .await
            .is_some_and(|(status, words)| status == 503 && words.contains("another agent works on data_dir"))
    };
    second.until("/readyz to say why", why).await;
    web.write(500);
    shelf.until_count(&first, web.lines.len()).await;
    assert_eq!(second.answer("/readyz").await.map(|(status, _)| status), Some(503));
    assert!(second.get("/livez").await.is_some(), "it waits, alive");
    assert_eq!(second.metric("skidder_read_bytes_total").await, Some(0.0));

    first.close().await;
    let before = node.written();
    web.write(500);
    second.ready().await;
    shelf.until_count(&second, web.lines.len()).await;
    let sums = second.at_rest(0).await;
    assert_eq!(sums.acknowledged, node.written() - before, "it goes on exactly there");
    assert_eq!(second.metric("skidder_events_total{result=\"shipped\"}").await, Some(500.0));
    assert_eq!(second.metric("skidder_events_total{result=\"duplicate\"}").await, Some(0.0));
    assert!(second.term().await.success(), "{}", second.log());
    shelf.assert_once(&web.lines).await;
    shelf.clear().await;
}

#[tokio::test]
async fn an_agent_that_stops_leaves_an_open_trace_to_the_next() {
    let (shelf, node) = (Shelf::shared("stop").await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &shelf.output()));
    let mut web = Counting::new(&node, "web-1");
    for _ in 0..3 {
        web.write(3_000);
        agent.start().await;
        let some = async || agent.metric("skidder_events_total{result=\"shipped\"}").await > Some(0.0);
        agent.until("the first events", some).await;
        assert!(agent.term().await.success(), "{}", agent.log());
    }
    let mut boom = node.pod("shop", "boom-1", "boom");
    let (early, late) = TRACE.split_at(2);
    let before = node.written();
    early.iter().for_each(|line| boom.err(line));
    let held = node.written() - before;
    agent.start().await;
    shelf.until_count(&agent, web.lines.len()).await;
    agent.at_rest(held).await;
    assert!(agent.term().await.success(), "{}", agent.log());
    shelf.assert_once(&web.lines).await;

    late.iter().for_each(|line| boom.err(line));
    node.pass(Duration::from_secs(120));
    boom.err("the order is over");
    agent.start().await;
    let expected = [web.lines, vec![TRACE.join("\n"), "the order is over".to_owned()]].concat();
    shelf.until_count(&agent, expected.len()).await;
    agent.close().await;
    shelf.assert_once(&expected).await;
    shelf.clear().await;
}

#[tokio::test]
async fn an_agent_that_drains_leaves_nothing_behind() {
    let (shelf, node) = (Shelf::shared("drain").await, Node::new());
    let configuration =
        format!("shutdown: {{ mode: drain }}\n{}", configuration(&node, "60s", &shelf.output()));
    let mut agent = Agent::new(&configuration);
    let mut web = Counting::new(&node, "web-1");
    let mut boom = node.pod("shop", "boom-1", "boom");
    TRACE.iter().for_each(|line| boom.err(line));
    web.write(1_000);
    agent.start().await;
    agent.ready().await;
    web.write(3_000);
    web.container.rotate(10);
    web.write(3_000);
    assert!(agent.term().await.success(), "{}", agent.log());
    let mut expected = [web.lines.clone(), vec![TRACE.join("\n")]].concat();
    shelf.assert_once(&expected).await;

    web.write(10);
    expected.extend_from_slice(&web.lines[web.lines.len() - 10..]);
    agent.start().await;
    shelf.until_count(&agent, expected.len()).await;
    agent.close().await;
    shelf.assert_once(&expected).await;
    shelf.clear().await;
}
