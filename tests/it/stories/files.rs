//! Logs that no kubelet manages: plain files, and a Docker host's.

use skidder::event::Stream;

use super::Shelf;
use crate::support::agent::Agent;
use crate::support::node::{Node, PlainFile};

fn configuration(node: &Node, include: &str, shelf: &Shelf) -> String {
    format!(
        "data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{}/{include}\"] }}]\n\
         multiline: {{ timeout: 60s }}\n\
         kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
         {}",
        node.path().display(),
        shelf.output()
    )
}

/// What is truncated before it was read is gone, so each time all was shipped before; the agent, when it is there
/// and when it is not, sees an emptied file begin anew.
#[tokio::test]
async fn a_file_is_emptied_under_its_writer() {
    let (shelf, node) = (Shelf::shared("plain").await, Node::new());
    let mut app = node.plain("app.log");
    let mut agent = Agent::new(&configuration(&node, "apps/*.log", &shelf));
    let mut expected = Vec::new();
    // The new content is shorter, or longer than what was there.
    for (round, count) in [300, 100, 400, 500, 50].into_iter().enumerate() {
        for number in 0..count {
            let text = format!("{round}.{number}: an order was taken");
            app.line(&text);
            expected.push(text);
        }
        agent.start().await;
        shelf.until_count(&agent, expected.len()).await;
        agent.until_metric("skidder_lag_bytes", 0.0).await;
        if round % 2 == 0 {
            app.copy_and_truncate();
            app.line("the first after the truncation");
            expected.push("the first after the truncation".to_owned());
            shelf.until_count(&agent, expected.len()).await;
            agent.kill9();
        } else {
            agent.kill9();
            app.copy_and_truncate();
        }
    }
    agent.start().await;
    app.line("the last");
    expected.push("the last".to_owned());
    shelf.until_count(&agent, expected.len()).await;
    agent.close().await;
    shelf.assert_once(&expected).await;
    shelf.clear().await;
}

/// To another name that is included, with events sent and not acknowledged, and with a new file under the old name.
#[tokio::test]
async fn a_file_is_renamed_while_the_agent_is_away() {
    let (shelf, node) = (Shelf::shared("renamed").await, Node::new());
    let (mut app, other) = (node.plain("app.log"), node.path().join("apps/renamed.log"));
    let mut agent = Agent::new(&configuration(&node, "apps/*.log", &shelf));
    let mut expected = Vec::new();
    let mut take = |app: &mut PlainFile, number: usize| {
        let text = format!("{number}: an order was taken");
        app.line(&text);
        expected.push(text);
        expected.clone()
    };
    (0..300).for_each(|number| drop(take(&mut app, number)));
    agent.start().await;
    shelf.until_count(&agent, 300).await;
    agent.kill9();
    (300..400).for_each(|number| drop(take(&mut app, number)));
    std::fs::rename(app.path(), &other).expect("plain file");
    // The program writes on to the file that it has open; another begins one of the old name.
    take(&mut app, 400);
    let mut next = node.plain("app.log");
    (401..500).for_each(|number| drop(take(&mut next, number)));
    agent.start().await;
    shelf.until_count(&agent, 500).await;
    take(&mut app, 500);
    let expected = take(&mut next, 501);
    shelf.until_count(&agent, expected.len()).await;
    agent.close().await;
    shelf.assert_once(&expected).await;
    shelf.clear().await;
}

#[tokio::test]
async fn docker_rotates_while_the_agent_is_killed() {
    let (shelf, node) = (Shelf::shared("docker").await, Node::new());
    let mut web = node.docker("web");
    let mut agent = Agent::new(&configuration(&node, "docker/*/*-json.log", &shelf));
    let mut expected = Vec::new();
    for life in 0..4 {
        agent.start().await;
        for generation in 0..3 {
            for number in 0..200 {
                let text = format!("{life}.{generation}.{number}: an order was taken");
                web.line(Stream::Stdout, &text);
                expected.push(text);
            }
            let text = format!("{life}.{generation}: a line in two parts");
            web.part(Stream::Stdout, &text[..8]);
            if generation == 1 {
                let some =
                    async || agent.metric("skidder_events_total{result=\"shipped\"}").await > Some(0.0);
                agent.until("the first events of this life", some).await;
                agent.kill9();
            }
            web.rotate(20);
            web.line(Stream::Stdout, &text[8..]);
            expected.push(text);
        }
    }
    agent.start().await;
    shelf.until_count(&agent, expected.len()).await;
    agent.close().await;
    shelf.assert_once(&expected).await;
    shelf.clear().await;
}
