//! Nothing lost, nothing doubled: the real process, killed again and again, before an Elasticsearch that answers badly.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use skidder::event::Stream;

use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake, item_error};
use crate::support::node::{Container, Node};
use crate::support::wait;

const STREAM: &str = "logs-kubernetes.container_logs-default";
const BATCH: &str = "max_bytes: 64KiB, max_wait: 50ms";

/// A container that is written to, and the events that must come of it.
struct Written {
    container: Container,
    name: String,
    next: usize,
    /// A trace that was begun, and its text so far.
    open: Option<String>,
    expected: Vec<String>,
}

impl Written {
    fn new(node: &Node, index: usize) -> Self {
        let name = format!("web-{index}");
        let container = node.pod("shop", &name, "web");
        Self { container, name, next: 0, open: None, expected: Vec::new() }
    }

    fn number(&mut self) -> String {
        self.next += 1;
        format!("{}:{}", self.name, self.next)
    }

    fn line(&mut self) {
        let text = format!("line {} of the order", self.number());
        self.container.out(&text);
        self.expected.push(text);
    }

    fn long_line(&mut self) {
        let (first, second) = (format!("parts {} ", self.number()), "x".repeat(300));
        self.container.part(Stream::Stdout, &first);
        self.container.line(Stream::Stdout, &second);
        self.expected.push(first + &second);
    }

    fn begin_trace(&mut self) {
        self.end_trace();
        let head = format!("java.lang.IllegalStateException: order {}", self.number());
        self.container.err(&head);
        self.open = Some(head);
    }

    fn go_on_with_trace(&mut self) {
        if let Some(open) = &mut self.open {
            let line = format!("\tat com.example.Shop.order(Shop.java:{})", open.len());
            self.container.err(&line);
            open.push('\n');
            open.push_str(&line);
        }
    }

    fn end_trace(&mut self) {
        if let Some(trace) = self.open.take() {
            self.expected.push(trace);
            let text = format!("error {} is over", self.number());
            self.container.err(&text);
            self.expected.push(text);
        }
    }

    fn act(&mut self, random: &mut fastrand::Rng) {
        match random.u32(0..20) {
            0..9 => self.line(),
            9 => self.long_line(),
            10 | 11 => self.begin_trace(),
            12..17 => self.go_on_with_trace(),
            17 | 18 => self.end_trace(),
            _ => self.container.rotate(100_000),
        }
    }
}

/// A fifth of the requests goes wrong, in one of the ways that there are.
fn troubled(fake: &Fake, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    fake.rule(move |_| match random.u32(0..25) {
        0 => Behaviour::error(429, "es_rejected_execution_exception", "rejected execution"),
        1 => Behaviour::error(503, "unavailable", "no"),
        2 => Behaviour::Reset,
        3 => Behaviour::Lost,
        4 => Behaviour::items(|index, _| {
            if index % 3 == 0 {
                item_error(429, "es_rejected_execution_exception", "queue is full")
            } else {
                None
            }
        }),
        _ => Behaviour::Accept,
    });
}

/// What is stored, as message → how often.
fn stored(fake: &Fake) -> BTreeMap<String, usize> {
    let mut messages = BTreeMap::new();
    for document in fake.documents(STREAM) {
        *messages.entry(document["message"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    messages
}

fn assert_once(fake: &Fake, expected: &[String], seed: u64) {
    let stored = stored(fake);
    let lost: Vec<_> = expected.iter().filter(|text| !stored.contains_key(*text)).collect();
    let doubled: Vec<_> = stored.iter().filter(|(_, count)| **count > 1).collect();
    let expected: std::collections::BTreeSet<_> = expected.iter().collect();
    let strange: Vec<_> = stored.keys().filter(|text| !expected.contains(text)).collect();
    for document in fake.documents(STREAM) {
        let message = document["message"].as_str().unwrap_or_default();
        if strange.iter().any(|text| text.lines().next() == message.lines().next()) {
            println!("strange: {document}");
        }
    }
    assert!(
        lost.is_empty() && doubled.is_empty() && strange.is_empty(),
        "SKIDDER_SEED={seed}: lost {}: {:?}\ndoubled {}: {:?}\nsplit or strange {}: {:?}",
        lost.len(),
        lost.iter().take(5).collect::<Vec<_>>(),
        doubled.len(),
        doubled.iter().take(5).collect::<Vec<_>>(),
        strange.len(),
        strange.iter().take(5).collect::<Vec<_>>(),
    );
}

/// A number from the environment.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// `SKIDDER_TORTURE_SECONDS` makes it go on for so long (`make torture`); else it is a fixed number of kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_once_through_kills_rotations_and_bad_answers() {
    let seed = number("SKIDDER_SEED", fastrand::u64(..));
    let kills = number("SKIDDER_KILLS", 15);
    let seconds = number("SKIDDER_TORTURE_SECONDS", 0);
    println!("SKIDDER_SEED={seed} SKIDDER_KILLS={kills}");
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = fastrand::Rng::with_seed(seed);
    let node = Node::new();
    let fake = Fake::new();
    troubled(&fake, seed);
    let mut agent = Agent::new(&node.configuration(&fake.serve().await, BATCH));
    let mut containers: Vec<Written> = (0..4).map(|index| Written::new(&node, index)).collect();
    let mut kill = 0;
    while kill < kills || Instant::now() < end {
        kill += 1;
        agent.start().await;
        write_for_a_while(&mut containers, &mut random).await;
        if kill % 5 == 0 {
            assert!(agent.term().await.success(), "{}", agent.log());
        } else {
            agent.kill9();
        }
        fake.model().seen.clear();
    }
    for written in &mut containers {
        written.end_trace();
        // A line stamped so much later ends what a stream still holds back.
        node.pass(Duration::from_secs(120));
        written.line();
    }
    let expected: Vec<String> = containers.iter().flat_map(|written| written.expected.clone()).collect();
    agent.start().await;
    let all = wait::until(async || {
        let stored = stored(&fake);
        expected.iter().all(|text| stored.contains_key(text)).then_some(())
    });
    if all.await.is_none() {
        println!("{}\n{}", agent.log(), serde_json::to_string_pretty(&agent.status().await).unwrap());
    }
    assert!(agent.term().await.success(), "{}", agent.log());
    assert_once(&fake, &expected, seed);
    let conflicts = fake.model().conflicts;
    println!("{kill} kills, {} events, {conflicts} conflicts", expected.len());
}

/// The reloads change rules, sizes and waits, but not what becomes of these lines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_once_through_reloads() {
    let seed = number("SKIDDER_SEED", fastrand::u64(..));
    let reloads = number("SKIDDER_RELOADS", 12);
    println!("SKIDDER_SEED={seed} SKIDDER_RELOADS={reloads}");
    let mut random = fastrand::Rng::with_seed(seed);
    let node = Node::new();
    let fake = Fake::new();
    troubled(&fake, seed);
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    agent.start().await;
    let mut containers: Vec<Written> = (0..4).map(|index| Written::new(&node, index)).collect();
    for reload in 1..=reloads {
        write_for_a_while(&mut containers, &mut random).await;
        let wait = format!("max_wait: {}ms", reload + 50);
        let languages = ["[all]", "[java]", "[python, java]"][random.usize(0..3)];
        let changed = plain.replace("max_wait: 50ms", &wait);
        agent.configure(&changed.replace("{ timeout", &format!("{{ languages: {languages}, timeout")));
        agent.signal(Signal::HUP);
        let applied = async || {
            let reloaded = agent.metric("skidder_config_reloads_total{result=\"success\"}").await;
            reloaded >= Some(reload as f64)
        };
        agent.until(&format!("reload {reload}"), applied).await;
    }
    for written in &mut containers {
        written.end_trace();
        node.pass(Duration::from_secs(120));
        written.line();
    }
    let expected: Vec<String> = containers.iter().flat_map(|written| written.expected.clone()).collect();
    let all = wait::until(async || {
        let stored = stored(&fake);
        expected.iter().all(|text| stored.contains_key(text)).then_some(())
    });
    if all.await.is_none() {
        println!("{}\n{:#}", agent.log(), agent.status().await);
    }
    assert_eq!(agent.metric("skidder_config_reloads_total{result=\"failure\"}").await, Some(0.0));
    assert!(agent.term().await.success(), "{}", agent.log());
    assert_once(&fake, &expected, seed);
    let conflicts = fake.model().conflicts;
    println!("{reloads} reloads, {} events, {conflicts} conflicts", expected.len());
}

async fn write_for_a_while(containers: &mut [Written], random: &mut fastrand::Rng) {
    for _ in 0..random.u32(5..40) {
        for _ in 0..random.u32(1..40) {
            let index = random.usize(0..containers.len());
            containers[index].act(random);
        }
        // Not a time that is asserted: it lets the agent come between.
        tokio::time::sleep(Duration::from_millis(random.u64(0..30))).await;
    }
}
