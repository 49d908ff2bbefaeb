//! Crashes of the agent and of Elasticsearch, in the middle of what both do.

use std::time::Duration;

use serde_json::Value;
use skidder::event::Stream;

use super::{Counting, Shelf, configuration};
use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake};
use crate::support::node::Node;
use crate::torture::number;

/// A moment within one rotation of a file that is written to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    HalfALine,
    Renamed,
    Finished,
    Part,
    Reopened,
    Whole,
}

impl Moment {
    const ALL: [Self; 6] =
        [Self::HalfALine, Self::Renamed, Self::Finished, Self::Part, Self::Reopened, Self::Whole];
}

/// Rotates once, as the runtime and the kubelet do it between them; the agent is killed at one moment and is back two
/// moments later.
async fn rotate(web: &mut Counting, agent: &mut Agent, killed: Moment) {
    let mut half = None;
    let mut away = 0;
    for moment in Moment::ALL {
        if matches!(moment, Moment::HalfALine | Moment::Part) {
            web.write(30);
        }
        match moment {
            Moment::HalfALine => {
                let text = web.next("written in two halves");
                half = Some(web.container.half(Stream::Stdout, text));
            }
            Moment::Renamed => {
                web.container.tidy(100);
                web.container.rename();
            }
            Moment::Finished => web.container.finish(half.take().expect("half a line")),
            Moment::Part => {
                let text = web.next("in two parts, the second in the next file");
                web.container.part(Stream::Stdout, &text[..20]);
            }
            Moment::Reopened => web.container.reopen(),
            Moment::Whole => {
                let text =
                    web.lines.iter().rev().find(|line| line.contains("in two parts")).expect("the part");
                web.container.line(Stream::Stdout, &text[20..]);
            }
        }
        if moment == killed {
            agent.kill9();
            away = 2;
        } else if away > 0 {
            away -= 1;
            if away == 0 {
                agent.start().await;
            }
        }
    }
    if away > 0 {
        agent.start().await;
    }
}

#[tokio::test]
async fn killed_at_each_moment_of_a_rotation() {
    let (shelf, node) = (Shelf::shared("rotation").await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &shelf.output()));
    let mut web = Counting::new(&node, "web-1");
    agent.start().await;
    for killed in Moment::ALL {
        web.write(200);
        let some = async || agent.metric("skidder_events_total{result=\"shipped\"}").await > Some(0.0);
        agent.until("the first events of this life", some).await;
        rotate(&mut web, &mut agent, killed).await;
    }
    // A line stamped so much later ends what the stream still holds back.
    node.pass(Duration::from_secs(120));
    web.write(1);
    shelf.until_count(&agent, web.lines.len()).await;
    agent.close().await;
    shelf.assert_once(&web.lines).await;
    shelf.clear().await;
}

#[tokio::test]
async fn elasticsearch_is_killed_and_comes_back() {
    let (mut shelf, node) = (Shelf::own("outage").await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &shelf.output()));
    let mut web = Counting::new(&node, "web-1");
    web.write(5_000);
    agent.start().await;
    let some = async || agent.metric("skidder_events_total{result=\"shipped\"}").await > Some(0.0);
    agent.until("the first events", some).await;
    shelf.elasticsearch.kill9();
    web.write(1_000);
    web.container.rotate(10);
    let errors = async || agent.metric("skidder_bulk_requests_total{status=\"error\"}").await > Some(0.0);
    agent.until("a request that nobody answers", errors).await;
    assert_ne!(agent.metric("skidder_lag_bytes").await, Some(0.0), "the story kills it in the middle");
    shelf.elasticsearch.restart().await;
    web.write(1_000);
    shelf.until_count(&agent, web.lines.len()).await;
    let sums = agent.close().await;
    assert_eq!(sums.acknowledged, node.written());
    shelf.assert_once(&web.lines).await;
}

/// `SKIDDER_KILLS` sets how often; every third time Elasticsearch is killed too, with the agent's requests under way.
#[tokio::test]
async fn both_are_killed_again_and_again() {
    let kills = number("SKIDDER_KILLS", 6);
    let (mut shelf, node) = (Shelf::own("torture").await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "600s", &shelf.output()));
    let mut webs = ["web-1", "web-2", "web-3"].map(|name| Counting::new(&node, name));
    for kill in 0..kills {
        agent.start().await;
        let shipped = async || agent.metric("skidder_events_total{result=\"shipped\"}").await > Some(0.0);
        for web in &mut webs {
            web.write(200);
            web.container.rotate(1_000);
            web.write(100);
        }
        agent.until("the first events of this life", shipped).await;
        webs.iter_mut().for_each(|web| web.write(400));
        if kill % 3 == 2 {
            shelf.elasticsearch.kill9();
            // Be it a bulk request, or the look-up before it.
            let unanswered =
                async || agent.status().await["not_ready"].as_array().is_some_and(|why| !why.is_empty());
            webs.iter_mut().for_each(|web| web.write(100));
            agent.until("a request that nobody answers", unanswered).await;
            agent.kill9();
            shelf.elasticsearch.restart().await;
        } else {
            agent.kill9();
        }
    }
    agent.start().await;
    let expected: Vec<String> = webs.iter().flat_map(|web| web.lines.clone()).collect();
    shelf.until_count(&agent, expected.len()).await;
    agent.close().await;
    shelf.assert_once(&expected).await;
}

/// The documents of the fake, in the order of their file.
fn in_order(fake: &Fake) -> Vec<String> {
    let mut documents: Vec<Value> =
        fake.model().stored.values().flat_map(|index| index.values().cloned()).collect();
    documents.sort_by_key(|document| document["log"]["offset"].as_u64());
    documents.iter().map(|document| document["message"].as_str().expect("a message").to_owned()).collect()
}

/// An end that the clock has set holds after a crash, though by then the trace has gone on.
#[tokio::test]
async fn a_trace_that_goes_on_after_it_was_given_out() {
    let behaviours = [Behaviour::Silent, Behaviour::Lost, Behaviour::Reset];
    for behaviour in behaviours {
        let (fake, node) = (Fake::new(), Node::new());
        let url = fake.serve().await;
        let output =
            format!("output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ max_wait: 50ms }} }} }}\n");
        let mut agent = Agent::new(&configuration(&node, "300ms", &output));
        let mut web = node.pod("shop", "web-1", "web");
        let trace: Vec<String> = std::iter::once("java.lang.IllegalStateException: no order".to_owned())
            .chain((1..7).map(|line| format!("\tat com.example.Shop.order(Shop.java:{line})")))
            .collect();
        let (early, late) = trace.split_at(4);
        let withheld = behaviour.clone();
        fake.rule(move |_| withheld.clone());
        early.iter().for_each(|line| web.err(line));
        agent.start().await;
        agent.until("the trace to be sent", async || fake.requests() > 0).await;
        agent.kill9();
        fake.rule(|_| Behaviour::Accept);
        late.iter().for_each(|line| web.err(line));
        node.pass(Duration::from_secs(2));
        web.err("the order is over");
        agent.start().await;
        let over = async || in_order(&fake).iter().any(|message| message.ends_with("the order is over"));
        agent.until("the last line", over).await;
        agent.close().await;

        let messages = in_order(&fake);
        assert_eq!(messages[0], early.join("\n"), "it ends where it was cut: {messages:#?}");
        let lines: Vec<_> = messages.iter().flat_map(|message| message.lines()).map(str::to_owned).collect();
        assert_eq!(lines, [trace, vec!["the order is over".to_owned()]].concat());
    }
}
