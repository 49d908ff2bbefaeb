//! Events that `multiline.max_lines` ends: counted, flagged, nothing of them lost, and explained at a desk.

use std::fs;
use std::process::Command;

use crate::support::agent::Agent;
use crate::support::fake::Fake;
use crate::support::node::Node;

const TRACE: [&str; 7] = [
    "java.lang.IllegalStateException: no order",
    "\tat com.example.Shop.order(Shop.java:12)",
    "\tat com.example.Shop.main(Shop.java:3)",
    "\tat com.example.Shop.run(Shop.java:4)",
    "\tat com.example.Shop.call(Shop.java:5)",
    "\tat com.example.Shop.next(Shop.java:6)",
    "\tat com.example.Shop.last(Shop.java:7)",
];

#[tokio::test]
async fn what_a_limit_splits_is_counted_and_whole() {
    let (fake, node) = (Fake::new(), Node::new());
    let mut agent = Agent::new(&format!(
        "data_dir: ${{DATA}}\nfiles: [{{ include: [\"{}/containers/*.log\"] }}]\n\
         multiline: {{ max_lines: 3, timeout: 300s }}\nkubernetes: {{ kubelet: {{ enabled: false }} }}\n\
         output: {{ elasticsearch: {{ urls: [\"{}\"], batch: {{ max_wait: 50ms }} }} }}\n",
        node.path().display(),
        fake.serve().await
    ));
    let mut web = node.pod("shop", "web-1", "web");
    TRACE.iter().for_each(|line| web.err(line));
    web.err("the order is over");
    agent.start().await;
    let stored = || fake.documents("logs-kubernetes.container_logs-default");
    agent
        .until("all", async || stored().iter().any(|document| document["message"] == "the order is over"))
        .await;
    assert_eq!(agent.metric("skidder_split_events_total").await, Some(2.0));
    let mut documents = stored();
    documents.sort_by_key(|document| document["log"]["offset"].as_u64());
    let messages: Vec<&str> =
        documents.iter().map(|document| document["message"].as_str().unwrap()).collect();
    let pieces =
        [TRACE[..3].join("\n"), TRACE[3..6].join("\n"), TRACE[6].to_owned(), "the order is over".to_owned()];
    assert_eq!(messages, pieces);
    assert!(documents[0]["log"]["flags"].to_string().contains("truncated"), "{}", documents[0]);
    agent.close().await;
}

#[test]
fn at_a_desk_it_is_said_why_lines_were_joined_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    let lonely = "java.lang.RuntimeException: lonely";
    fs::write(&log, format!("{}\nplain\n{lonely}\nafter\n", TRACE.join("\n"))).unwrap();
    let mut logs = Command::new(env!("CARGO_BIN_EXE_skidder"));
    let output = logs.args(["logs", "--format", "plain", "--explain"]).arg(&log).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let explained: Vec<&str> = said
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("= ")?.split(", bytes").next())
        .collect();
    let maybe = "one line, maybe of java, but nothing that belongs followed";
    assert_eq!(explained, ["7 lines joined by java", "one line", maybe, "one line"], "{said}");
}
