//! Another configuration for an agent that runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake};
use crate::support::node::Node;

const STREAM: &str = "logs-kubernetes.container_logs-default";
const SUCCESS: &str = "skidder_config_reloads_total{result=\"success\"}";
const FAILURE: &str = "skidder_config_reloads_total{result=\"failure\"}";
const BATCH: &str = "max_wait: 20ms";

/// The messages in a stream, in the order of their places in the log.
fn messages(fake: &Fake, stream: &str) -> Vec<String> {
    let mut documents = fake.documents(stream);
    documents.sort_by_key(|document| document["log"]["offset"].as_u64());
    let text = |document: &serde_json::Value| document["message"].as_str().unwrap_or_default().to_owned();
    documents.iter().map(text).collect()
}

async fn until_messages(agent: &Agent, fake: &Fake, stream: &str, expected: &[&str]) {
    let there = async || messages(fake, stream).len() >= expected.len();
    agent.until(&format!("{} events", expected.len()), there).await;
    assert_eq!(messages(fake, stream), expected);
}

async fn reload(agent: &Agent, configuration: &str, metric: &str) {
    let before = agent.metric(metric).await.unwrap_or_default();
    agent.configure(configuration);
    agent.signal(Signal::HUP);
    agent.until_metric(metric, before + 1.0).await;
}

/// An open trace on one stream holds the position back; what was delivered of the other stays delivered, although
/// the new rules would make something else of it and the new stream has none of it.
#[tokio::test]
async fn what_was_delivered_is_not_delivered_again_under_other_rules() {
    reloaded_within_a_trace(false).await;
}

/// The same when nothing was written since the log's file was rotated: the newest file is empty, so it has no name yet.
#[tokio::test]
async fn nor_is_it_where_the_newest_file_is_empty() {
    reloaded_within_a_trace(true).await;
}

async fn reloaded_within_a_trace(rotated: bool) {
    let (node, fake) = (Node::new(), Fake::new());
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    let mut web = node.pod("shop", "web-1", "web");
    agent.start().await;
    web.err("java.lang.IllegalStateException: no order");
    ["step 1", " of the order", "step 2", " of the order"].iter().for_each(|line| web.out(line));
    until_messages(&agent, &fake, STREAM, &["step 1", " of the order", "step 2", " of the order"]).await;

    if rotated {
        let page = async || agent.page().await.and_then(|page| page.files.into_iter().next());
        let at = async |is_there: fn(u64) -> bool| page().await.is_some_and(|file| is_there(file.offset));
        agent.until("the file to be read", async || at(|offset| offset > 0).await).await;
        web.rotate(5);
        agent.until("the next file to be read", async || at(|offset| offset == 0).await).await;
    }
    let patterns = "{ languages: [go], patterns: [{ name: step, start: \"^step\" }], timeout";
    let changed = plain
        .replace("{ timeout", patterns)
        .replace("setup: false", "setup: false, data_stream: { dataset: two }");
    reload(&agent, &changed, SUCCESS).await;
    web.err("\tat com.example.Shop.order(Shop.java:12)");
    ["step 3", " of the order", "step 4"].iter().for_each(|line| web.out(line));
    web.err("over");
    let before = node.written();
    web.out("step 5");
    let trace = "java.lang.IllegalStateException: no order\n\tat com.example.Shop.order(Shop.java:12)";
    let expected = [trace, "step 3\n of the order", "step 4", "over"];
    until_messages(&agent, &fake, "logs-two-default", &expected).await;
    assert_eq!(messages(&fake, STREAM).len(), 4);
    assert_eq!(fake.model().conflicts, 0, "nothing was sent twice");
    let sums = agent.at_rest(node.written() - before).await;
    assert_eq!(sums.acknowledged, before, "each byte is counted once");
    assert!(agent.term().await.success(), "{}", agent.log());
}

#[tokio::test]
async fn an_invalid_configuration_changes_nothing() {
    let (node, fake) = (Node::new(), Fake::new());
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    let mut web = node.pod("shop", "web-1", "web");
    agent.start().await;
    agent.ready().await;
    let before = agent.status().await["configuration"]["hash"].clone();
    web.out("one");
    for (number, (wrong, told)) in [
        (plain.replace("multiline: { timeout", "multiline: { timout"), "yaml:3: multiline.timout"),
        (plain.replace("setup: false", "setup: false, tls: { ca_file: /nowhere }"), "tls.ca_file"),
        (
            plain.replace("{ timeout", "{ patterns: [{ name: x, start: '\\w{1000}{1000}' }], timeout"),
            "size limit",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        reload(&agent, &wrong, FAILURE).await;
        let status = agent.status().await;
        let refused = status["configuration"]["refused"].as_str().unwrap_or_default();
        assert!(refused.contains(told), "{refused}");
        assert_eq!(agent.log().matches("is not applied, the running one stays").count(), number + 1);
        assert_eq!(status["configuration"]["hash"], before);
    }
    assert_eq!(agent.metric("skidder_config_last_reload_successful").await, Some(0.0));
    web.out("two");
    until_messages(&agent, &fake, STREAM, &["one", "two"]).await;
    reload(&agent, &plain, SUCCESS).await;
    assert_eq!(agent.metric("skidder_config_last_reload_successful").await, Some(1.0));
    assert!(agent.status().await["configuration"]["refused"].is_null());
    assert!(agent.term().await.success(), "{}", agent.log());
}

#[tokio::test]
async fn what_cannot_change_is_named_and_the_rest_is_applied() {
    let (node, fake) = (Node::new(), Fake::new());
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    let mut web = node.pod("shop", "web-1", "web");
    agent.start().await;
    web.out("one");
    until_messages(&agent, &fake, STREAM, &["one"]).await;
    let elsewhere = plain
        .replace("${DATA}", "${DATA}/elsewhere")
        .replace("setup: false", "setup: false, data_stream: { dataset: two }");
    reload(&agent, &elsewhere, SUCCESS).await;
    web.out("two");
    until_messages(&agent, &fake, "logs-two-default", &["two"]).await;
    assert!(agent.log().contains("data_dir has changed; restart the agent to apply it"), "{}", agent.log());
    assert!(!agent.data().join("elsewhere").exists());
    assert!(agent.term().await.success(), "{}", agent.log());
}

#[tokio::test]
async fn an_address_is_mended_while_nobody_answers() {
    let (node, fake) = (Node::new(), Fake::new());
    let url = fake.serve().await;
    let plain = node.configuration(&url, BATCH);
    // Nobody listens on port 1.
    let mut agent = Agent::new(&plain.replace(&url, "http://127.0.0.1:1"));
    let mut web = node.pod("shop", "web-1", "web");
    ["one", "two"].iter().for_each(|line| web.out(line));
    agent.start().await;
    let away = async || agent.answer("/readyz").await.is_some_and(|(status, _)| status == 503);
    agent.until("/readyz to be 503", away).await;
    reload(&agent, &plain, SUCCESS).await;
    until_messages(&agent, &fake, STREAM, &["one", "two"]).await;
    agent.ready().await;
    let outputs = agent.status().await["outputs"].clone();
    assert_eq!(outputs.as_array().map(Vec::len), Some(1), "{outputs}");
    agent.close().await;
}

#[tokio::test]
async fn what_is_under_way_is_sent_again_under_the_same_ids() {
    let (node, fake) = (Node::new(), Fake::new());
    fake.script([Behaviour::error(503, "unavailable", "no"), Behaviour::Silent]);
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    let mut web = node.pod("shop", "web-1", "web");
    web.err("java.lang.IllegalStateException: no order");
    ["step 1", " of the order"].iter().for_each(|line| web.out(line));
    agent.start().await;
    agent.until("a request that is never answered", async || fake.requests() >= 2).await;
    let patterns = "{ languages: [none], patterns: [{ name: step, start: \"^step\" }], timeout";
    reload(&agent, &plain.replace("{ timeout", patterns), SUCCESS).await;
    // They are stored, though the first shift never heard of it: looked up, and not sent again.
    let found = "skidder_lookups_total{result=\"found\"}";
    agent.until("them to be found", async || agent.metric(found).await >= Some(2.0)).await;
    web.err("\tat com.example.Shop.order(Shop.java:12)");
    web.err("over");
    let trace = "java.lang.IllegalStateException: no order\n\tat com.example.Shop.order(Shop.java:12)";
    until_messages(&agent, &fake, STREAM, &[trace, "step 1", " of the order", "over"]).await;
    assert!(agent.term().await.success(), "{}", agent.log());
}

/// A ConfigMap changes by a link above the file, without any signal.
#[tokio::test]
async fn a_configmap_changes_by_its_links() {
    let (node, fake) = (Node::new(), Fake::new());
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    let folder = agent.data().parent().expect("the agent's folder").to_owned();
    let version = |name: &str, text: &str| {
        fs::create_dir(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("skidder.yaml"), text).unwrap();
        symlink(name, folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    };
    let first = agent.configuration();
    version("..1", &first);
    fs::remove_file(folder.join("skidder.yaml")).unwrap();
    symlink("..data/skidder.yaml", folder.join("skidder.yaml")).unwrap();
    let mut web = node.pod("shop", "web-1", "web");
    agent.start().await;
    web.out("one");
    until_messages(&agent, &fake, STREAM, &["one"]).await;
    version("..2", &first.replace("setup: false", "setup: false, data_stream: { dataset: two }"));
    agent.until_metric(SUCCESS, 1.0).await;
    web.out("two");
    until_messages(&agent, &fake, "logs-two-default", &["two"]).await;
    version("..3", "output: nowhere");
    agent.until_metric(FAILURE, 1.0).await;
    web.out("three");
    until_messages(&agent, &fake, "logs-two-default", &["two", "three"]).await;
    assert!(agent.term().await.success(), "{}", agent.log());
}

/// While the answer to the last request of the old configuration is awaited nobody reads.
#[tokio::test]
async fn what_is_unlinked_while_nobody_reads_is_read_from_what_is_held() {
    let (node, fake) = (Node::new(), Fake::new());
    fake.script([Behaviour::Slow(Duration::from_secs(3))]);
    let plain = node.configuration(&fake.serve().await, BATCH);
    let mut agent = Agent::new(&plain);
    let (mut gone, mut stays) = (node.pod("shop", "gone-1", "web"), node.pod("shop", "stays-1", "web"));
    agent.start().await;
    gone.out("of gone: one");
    agent.until("a request that takes its time", async || fake.requests() >= 1).await;
    agent.configure(&plain.replace("20ms", "21ms"));
    agent.signal(Signal::HUP);
    let heard = async || agent.log().contains("applying the changed configuration");
    agent.until("the reader to end", heard).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    gone.out("of gone: two");
    stays.out("of stays: one");
    stays.rotate(5);
    stays.out("of stays: two");
    gone.delete();
    stays.rotated().iter().for_each(|rotated| fs::remove_file(rotated).unwrap());
    let count = async || messages(&fake, STREAM).len() >= 4;
    agent.until("4 events", count).await;
    agent.close().await;
    let mut all = messages(&fake, STREAM);
    all.sort_unstable();
    assert_eq!(all, ["of gone: one", "of gone: two", "of stays: one", "of stays: two"]);
}
