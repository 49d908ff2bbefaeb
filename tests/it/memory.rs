//! Memory: bounded while nothing can be shipped, given back afterwards.

use std::fs;

use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake};
use crate::support::node::Node;

const MIB: u64 = 1 << 20;

/// A kubelet is not asked, and all pods' logs are read.
fn configuration(node: &Node, url: &str) -> String {
    format!(
        "data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{}/pods/*/*/*.log\"] }}]\n\
         kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
         output: {{ elasticsearch: {{ urls: [\"{url}\"], setup: false, batch: {{ max_wait: 100ms }} }} }}",
        node.path().display()
    )
}

/// What the process holds in memory that is no file's (`VmRSS` less `RssFile`), now and at most so far, in bytes. The
/// text of an executable is the kernel's cache, and that of a test's is several times a release's.
fn memory(agent: &Agent) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    };
    let file = field("RssFile:");
    (field("VmRSS:") - file, field("VmHWM:").saturating_sub(file))
}

/// 20 containers with more than may be held, and a cluster that takes nothing until the agent has read what it may.
#[tokio::test]
async fn a_backlog_and_an_outage_stay_within_the_budget() {
    const LINES: usize = 1_000;
    let (fake, node) = (Fake::new(), Node::new());
    let url = fake.serve().await;
    fake.rule(|_| Behaviour::error(503, "unavailable", "an outage"));
    let text = "an order was taken, and its payment failed; ".repeat(60);
    for pod in 0..20 {
        let mut container = node.pod("shop", &format!("web-{pod}"), "web");
        for line in 0..LINES {
            container.out(&format!("{pod}.{line}: {text}"));
        }
    }
    let mut agent = Agent::new(&configuration(&node, &url));
    agent.start().await;
    // Each batch that is held is 5 MiB of the 32: the fifth is read when four are, and they cannot leave.
    let read = "skidder_read_bytes_total";
    let held = async || agent.metric(read).await.is_some_and(|bytes| bytes > (20 * MIB) as f64);
    agent.until("20 MiB to be held", held).await;
    fake.rule(|_| Behaviour::Accept);
    agent.until_metric("skidder_lag_bytes", 0.0).await;
    agent.until_metric("skidder_events_total{result=\"shipped\"}", (20 * LINES) as f64).await;
    let (_, most) = memory(&agent);
    // The budget of 32 MiB, what is compressed, and what an agent is without any log.
    assert!(most < 44 * MIB, "held {} KiB at most", most / 1024);
    let given_back = async || memory(&agent).0 < 16 * MIB;
    agent.until("the memory to be given back", given_back).await;
    agent.close().await;
}

/// Files that are only there cost little: their state, no buffers.
#[tokio::test]
async fn a_thousand_files_cost_little() {
    const FILES: usize = 1_000;
    let (fake, node) = (Fake::new(), Node::new());
    let url = fake.serve().await;
    for pod in 0..FILES {
        node.pod("shop", &format!("web-{pod}"), "web").out("started");
    }
    let mut agent = Agent::new(&configuration(&node, &url));
    agent.start().await;
    agent.until_metric("skidder_events_total{result=\"shipped\"}", FILES as f64).await;
    let little = async || memory(&agent).0 < 24 * MIB;
    agent.until("the memory to be given back", little).await;
    agent.close().await;
}
