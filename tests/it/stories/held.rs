//! Files that lose their names before they are delivered: held, copied to the spool, given up where there is no room.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;

use super::{Counting, assert_once, configuration};
use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake};
use crate::support::node::Node;

/// A cluster that may be away.
struct Cluster {
    fake: Fake,
    output: String,
}

impl Cluster {
    async fn new() -> Self {
        let fake = Fake::new();
        let url = fake.serve().await;
        let batch = "{ max_bytes: 64KiB, max_wait: 50ms }";
        let output = format!(
            "output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {batch}, setup: false, compression: none }} }}\n"
        );
        Self { fake, output }
    }

    /// From now on it takes everything, and says so to nobody.
    fn loses_answers(&self) {
        self.fake.rule(|_| Behaviour::Lost);
    }

    fn is_away(&self) {
        self.fake.rule(|_| Behaviour::Reset);
    }

    fn is_back(&self) {
        self.fake.rule(|_| Behaviour::Accept);
    }

    /// Each message that was stored, once for each of its ids.
    fn messages(&self) -> Vec<String> {
        let model = self.fake.model();
        let stored = model.stored.values().flat_map(BTreeMap::values);
        stored.map(|document| document["message"].as_str().expect("a message").to_owned()).collect()
    }

    /// All ids under which a message was ever sent are the same.
    fn assert_same_ids(&self) {
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        for (action, document) in self.fake.model().seen.iter().flat_map(|seen| &seen.lines) {
            let id = action["create"]["_id"].as_str().expect("an id").to_owned();
            let message = document["message"].as_str().expect("a message").to_owned();
            let first = ids.entry(message.clone()).or_insert_with(|| id.clone());
            assert_eq!(*first, id, "{message}");
        }
    }
}

/// The files of an agent's spool.
fn spool(agent: &Agent) -> Vec<PathBuf> {
    let entries = fs::read_dir(agent.data().join("spool")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "gz"));
    paths
}

/// The bytes of an agent by what became of them, as `/status` has them.
async fn bytes(agent: &Agent) -> Value {
    agent.status().await["bytes"].clone()
}

async fn until_rest(agent: &Agent) {
    agent.until_metric("skidder_lag_bytes", 0.0).await;
    let mut sum = 0.0;
    for result in ["acknowledged", "dropped", "dead_letter", "truncated", "lost"] {
        sum += agent.metric(&format!("skidder_bytes_total{{result=\"{result}\"}}")).await.expect("a series");
    }
    let read = agent.metric("skidder_read_bytes_total").await.expect("a series");
    let lost = agent.metric("skidder_bytes_total{result=\"lost\"}").await.expect("a series");
    assert_eq!(sum, read + lost, "what was read or lost has come to an end");
}

#[tokio::test]
async fn a_pod_that_is_deleted_in_an_outage_survives_the_agent() {
    let (cluster, node) = (Cluster::new().await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &cluster.output));
    let mut web = Counting::new(&node, "web-1");
    cluster.loses_answers();
    web.write(2_000);
    agent.start().await;
    agent.until("a request that nobody answers", async || cluster.fake.requests() > 0).await;
    cluster.is_away();
    let lines = web.lines.clone();
    web.container.delete();
    agent.until("the pod's log in the spool", async || spool(&agent).len() == 1).await;
    agent.kill9();
    cluster.is_back();
    agent.start().await;
    let all = async || cluster.messages().len() >= lines.len();
    agent.until("all lines", all).await;
    until_rest(&agent).await;
    agent.until("an empty spool", async || spool(&agent).is_empty()).await;
    assert_once(&cluster.messages(), &lines);
    cluster.assert_same_ids();
    assert_eq!(agent.metric("skidder_bytes_total{result=\"lost\"}").await, Some(0.0));
    assert!(agent.term().await.success(), "{}", agent.log());
}

/// A copy is made at SIGTERM, as nobody knows whether an answer will come; it comes.
#[tokio::test]
async fn a_copy_that_was_not_needed_after_all_is_not_read() {
    let (cluster, node) = (Cluster::new().await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &cluster.output));
    let mut web = Counting::new(&node, "web-1");
    cluster.is_away();
    web.write(100);
    agent.start().await;
    agent.until("a request", async || cluster.fake.requests() > 0).await;
    let lines = web.lines.clone();
    web.container.delete();
    agent.signal(Signal::TERM);
    agent.until("the pod's log in the spool", async || spool(&agent).len() == 1).await;
    cluster.is_back();
    assert!(agent.ended().await.success(), "{}", agent.log());
    assert_once(&cluster.messages(), &lines);
    agent.start().await;
    agent.until("an empty spool", async || spool(&agent).is_empty()).await;
    assert!(agent.term().await.success(), "{}", agent.log());
    assert_eq!(cluster.fake.model().conflicts, 0, "nothing was sent again");
}

/// More generations than the kubelet keeps, while nothing can be shipped; the agent is killed and later stopped.
#[tokio::test]
async fn generations_that_are_rotated_away_in_an_outage() {
    let (cluster, node) = (Cluster::new().await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &cluster.output));
    let mut web = Counting::new(&node, "web-1");
    cluster.is_away();
    agent.start().await;
    for generation in 0..7 {
        web.write(300);
        let written = 1.0_f64.max(f64::from(generation) * 300.0 * 60.0);
        let seen = async || agent.metric("skidder_lag_bytes").await >= Some(written);
        agent.until("the generation to be seen", seen).await;
        web.container.rotate(3);
    }
    web.write(300);
    // Two rotated ones are left at most, of seven.
    agent.until("the spool to have the others", async || spool(&agent).len() >= 5).await;
    agent.kill9();
    agent.start().await;
    agent.until("the reader to be at it", async || agent.metric("skidder_lag_bytes").await > Some(0.0)).await;
    let stopped = agent.term().await;
    assert!(!stopped.success(), "nothing was acknowledged: {}", agent.log());
    cluster.is_back();
    agent.start().await;
    let all = async || cluster.messages().len() >= web.lines.len();
    agent.until("all lines", all).await;
    until_rest(&agent).await;
    agent.until("an empty spool", async || spool(&agent).is_empty()).await;
    assert_once(&cluster.messages(), &web.lines);
    cluster.assert_same_ids();
}

/// What does not fit is lost, the oldest first, and counted to the byte.
#[tokio::test]
async fn what_does_not_fit_is_lost_oldest_first() {
    let (cluster, node) = (Cluster::new().await, Node::new());
    let tight = format!("max_buffered_bytes: 4MiB\nheld_files: {{ max_bytes: 200KiB }}\n{}", cluster.output);
    let mut agent = Agent::new(&configuration(&node, "60s", &tight));
    let noise: String =
        (0..1_500_u32).map(|n| char::from(b'!' + (n.wrapping_mul(0x9e37_79b9) >> 24) as u8 % 90)).collect();
    cluster.is_away();
    agent.start().await;
    let mut old = Counting::new(&node, "old");
    let mut young = Counting::new(&node, "young");
    let mut written = 0.0;
    for web in [&mut old, &mut young] {
        let count = if web.name == "old" { 6_000 } else { 60 };
        for _ in 0..count {
            let text = web.next(format_args!("{}{noise}", fastrand::u64(..)));
            web.container.out(&text);
        }
        written += fs::metadata(web.container.path()).expect("a log").len() as f64;
        agent
            .until("all to be seen", async || agent.metric("skidder_lag_bytes").await == Some(written))
            .await;
    }
    let (old, young) = ((old.container, old.lines), (young.container, young.lines));
    old.0.delete();
    let lost = async || agent.metric("skidder_lost_bytes_total{reason=\"held_files\"}").await > Some(0.0);
    agent.until("the oldest to be given up", lost).await;
    young.0.delete();
    agent.until("the other in the spool", async || spool(&agent).len() == 1).await;
    cluster.is_back();
    until_rest(&agent).await;
    let messages = cluster.messages();
    let of = |name: &str| messages.iter().filter(|text| text.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_once(&of("young"), &young.1);
    let shipped = of("old").len();
    assert!(shipped < old.1.len(), "some are lost");
    assert_once(&of("old"), &old.1[..shipped]);
    let lost = agent.metric("skidder_lost_bytes_total{reason=\"held_files\"}").await.expect("a series");
    let acknowledged = agent.metric("skidder_bytes_total{result=\"acknowledged\"}").await.expect("a series");
    assert_eq!(lost + acknowledged, written, "to the byte");
    assert_eq!(agent.log().matches("bytes were gone before they were read").count(), 1, "{}", agent.log());
    assert_eq!(bytes(&agent).await["pending"], 0);
    assert!(agent.term().await.success(), "{}", agent.log());
}

/// A damaged copy costs what it held, and nothing else.
#[tokio::test]
async fn a_damaged_copy_is_set_aside_and_counted() {
    let (cluster, node) = (Cluster::new().await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &cluster.output));
    let mut web = Counting::new(&node, "web-1");
    let mut other = Counting::new(&node, "other");
    cluster.is_away();
    web.write(500);
    other.write(10);
    agent.start().await;
    agent.until("a request", async || cluster.fake.requests() > 0).await;
    let held = fs::metadata(web.container.path()).expect("a log").len() as f64;
    web.container.delete();
    agent.until("the pod's log in the spool", async || spool(&agent).len() == 1).await;
    agent.kill9();
    let copy = spool(&agent).remove(0);
    let bytes = fs::read(&copy).expect("a copy");
    fs::write(&copy, &bytes[..bytes.len() - 20]).expect("a shorter copy");
    cluster.is_back();
    agent.start().await;
    agent
        .until("the other's lines", async || {
            cluster.messages().iter().any(|text| text.starts_with("other 9"))
        })
        .await;
    agent.until_metric("skidder_lag_bytes", 0.0).await;
    let lost = agent.metric("skidder_lost_bytes_total{reason=\"unreadable\"}").await.expect("a series");
    let shipped = agent.metric("skidder_bytes_total{result=\"acknowledged\"}").await.expect("a series");
    let whole = held + fs::metadata(other.container.path()).expect("a log").len() as f64;
    assert!(lost > 0.0);
    assert_eq!(lost + shipped, whole);
    let aside = copy.with_extension("damaged");
    agent.until("the copy to be set aside", async || aside.exists()).await;
    assert!(agent.log().contains("is damaged"), "{}", agent.log());
    assert!(agent.term().await.success(), "{}", agent.log());
}

/// Of what vanished while no agent ran, as much is counted as was seen.
#[tokio::test]
async fn what_vanishes_while_the_agent_is_away_is_counted() {
    let (cluster, node) = (Cluster::new().await, Node::new());
    let mut agent = Agent::new(&configuration(&node, "60s", &cluster.output));
    let (mut gone, mut rotated) = (Counting::new(&node, "gone"), Counting::new(&node, "rotated"));
    cluster.is_away();
    gone.write(100);
    rotated.write(50);
    agent.start().await;
    let lost = [&gone, &rotated].map(|web| fs::metadata(web.container.path()).expect("a log").len() as f64);
    agent.until_metric("skidder_lag_bytes", lost.iter().sum()).await;
    agent.term().await;
    gone.container.delete();
    rotated.container.rotate(1);
    rotated.container.rotate(1);
    rotated.write(7);
    cluster.is_back();
    agent.start().await;
    agent.until_metric("skidder_lost_bytes_total{reason=\"deleted\"}", lost[0]).await;
    agent.until_metric("skidder_lost_bytes_total{reason=\"rotated\"}", lost[1]).await;
    agent.until_metric("skidder_bytes_total{result=\"lost\"}", lost.iter().sum()).await;
    until_rest(&agent).await;
    assert_once(&cluster.messages(), &rotated.lines[50..]);
    assert!(agent.term().await.success(), "{}", agent.log());
}
