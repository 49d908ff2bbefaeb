//! Elasticsearch is away for long: what that costs, and what comes after it.

use serde_json::Value;
use skidder::pipeline::reader::TURN_BYTES;

use super::{Counting, configuration};
use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake};
use crate::support::node::Node;

/// The bound that is promised.
const PEAK: u64 = 64 << 20;

fn output(url: &str) -> String {
    format!(
        "output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ max_wait: 50ms }}, setup: false }} }}\n"
    )
}

fn stored(fake: &Fake) -> usize {
    fake.model().stored.values().map(|index| index.len()).sum()
}

/// More than the buffer holds lies in seven generations of each container when Elasticsearch is back.
#[tokio::test]
async fn twenty_containers_catch_up_after_six_rotations_in_little_memory() {
    const NAMES: [&str; 20] = [
        "web-0", "web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-7", "web-8", "web-9", "web-10",
        "web-11", "web-12", "web-13", "web-14", "web-15", "web-16", "web-17", "web-18", "web-19",
    ];
    let (fake, node) = (Fake::new(), Node::new());
    fake.rule(|_| Behaviour::Reset);
    let mut agent = Agent::new(&configuration(&node, "600s", &output(&fake.serve().await)));
    let mut webs = NAMES.map(|name| Counting::new(&node, name));
    let long = "an order was taken, ".repeat(100);
    agent.start().await;
    let mut peak = 0;
    for rotation in 0..7 {
        for web in &mut webs {
            for _ in 0..80 {
                let text = web.next(&long);
                web.container.out(&text);
            }
            web.container.rotate(10);
        }
        if rotation == 3 {
            agent.until("a request", async || fake.requests() > 0).await;
            peak = agent.peak_memory();
            agent.kill9();
        }
    }
    let asked = fake.requests();
    agent.start().await;
    agent.until("a request of the second life", async || fake.requests() > asked + 1).await;
    fake.model().seen.clear();
    fake.rule(|_| Behaviour::Accept);
    let expected: usize = webs.iter().map(|web| web.lines.len()).sum();
    agent.until(&format!("{expected} documents"), async || stored(&fake) >= expected).await;
    let sums = agent.at_rest(0).await;
    peak = peak.max(agent.peak_memory());
    assert!(agent.term().await.success(), "{}", agent.log());

    assert_eq!(sums.acknowledged, node.written(), "nothing was acknowledged before");
    let messages: Vec<String> =
        fake.model().stored.values().flat_map(|index| index.values()).map(message).collect();
    let lines: Vec<String> = webs.iter().flat_map(|web| web.lines.clone()).collect();
    super::assert_once(&messages, &lines);
    println!("peak: {} KiB", peak >> 10);
    assert!(peak < PEAK, "{} KiB were resident", peak >> 10);
}

fn message(document: &Value) -> String {
    document["message"].as_str().expect("a message").to_owned()
}

/// However much is written meanwhile, the agent asks no sooner and says no more.
#[tokio::test]
async fn an_outage_costs_few_requests_and_few_words() {
    let (fake, node) = (Fake::new(), Node::new());
    fake.rule(|_| Behaviour::error(503, "unavailable", "no"));
    let mut agent = Agent::new(&configuration(&node, "600s", &output(&fake.serve().await)));
    let mut web = Counting::new(&node, "web-1");
    web.write(10);
    agent.start().await;
    agent.until("three requests", async || fake.requests() >= 3).await;
    let (asked, said) = (fake.requests(), agent.log().lines().count());
    // Each of these wakes the reader.
    let mut writes = 0;
    while fake.requests() < asked + 3 {
        web.write(1);
        writes += 1;
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        assert!(writes < 100_000, "no request came while {writes} lines were written");
    }
    assert!(writes > 20, "{writes} lines were written between three requests");
    let more = agent.log().lines().count() - said;
    assert!(more <= 3, "{more} lines were said:\n{}", agent.log());
    fake.rule(|_| Behaviour::Accept);
    agent.until("all", async || stored(&fake) == web.lines.len()).await;
    assert_eq!(agent.close().await.acknowledged, node.written());
}

/// In bytes, not in time: before the line of a quiet container comes no more of a loud one than a turn.
#[tokio::test]
async fn a_container_with_a_backlog_delays_no_other_by_more_than_a_turn() {
    let node = Node::new();
    let mut loud = Counting::new(&node, "a-loud");
    loud.write(40_000);
    let total = node.written();
    assert!(total > 8 * TURN_BYTES as u64, "the backlog is many turns long");
    let mut quiet: Vec<_> =
        ["b-quiet", "m-quiet", "z-quiet"].into_iter().map(|name| Counting::new(&node, name)).collect();
    quiet.iter_mut().for_each(|quiet| quiet.write(1));
    let agent = Agent::new(&configuration(&node, "600s", "output: { stdout: { format: raw } }\n"));
    let printed = agent.run_once(&[]).await;
    for quiet in &quiet {
        let before = printed.find(&quiet.lines[0]).expect("the line of a quiet container");
        assert!(before <= TURN_BYTES, "{before} bytes came before {}", quiet.name);
    }
    assert_eq!(printed.lines().count(), 40_003);
}

/// What a rate limit leaves out is in an account too.
#[tokio::test]
async fn what_a_rate_limit_leaves_out_is_counted() {
    let (fake, node) = (Fake::new(), Node::new());
    let limited = format!("events: {{ rate_limit: \"2KiB/s\" }}\n{}", output(&fake.serve().await));
    let mut agent = Agent::new(&configuration(&node, "600s", &limited));
    let mut web = Counting::new(&node, "web-1");
    web.write(1_000);
    agent.start().await;
    agent
        .until("all to be read", async || agent.metric("skidder_read_lines_total").await == Some(1_000.0))
        .await;
    let sums = agent.close().await;
    assert_eq!(sums.acknowledged + sums.dropped, node.written());
    assert!(sums.dropped > node.written() / 2 && sums.acknowledged > 0, "{sums:?}");
}
