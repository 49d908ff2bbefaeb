//! A sidecar, with the configuration that is shipped for it: it ends after its application, with nothing left behind.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Shelf, message};
use crate::support::agent::Agent;
use crate::support::node::Node;

/// A pod's volumes: what the application writes, and what the downward API tells.
struct Pod {
    folder: TempDir,
}

impl Pod {
    fn new() -> Self {
        let pod = Self { folder: TempDir::with_prefix("skidder-pod-").expect("folder of the pod") };
        fs::create_dir(pod.folder.path().join("app")).expect("volume");
        fs::create_dir(pod.folder.path().join("podinfo")).expect("volume");
        fs::write(pod.folder.path().join("api-key"), "id:key").expect("secret");
        pod.label("cart");
        pod
    }

    /// The kubelet writes the pod's labels and annotations, whole.
    fn label(&self, app: &str) {
        let podinfo = self.folder.path().join("podinfo");
        let labels = format!("app=\"{app}\"\njob-name=\"import-29924280\"\nnote=\"a \\\"quoted\\\" one\"");
        for (name, text) in [("labels", &*labels), ("annotations", "skidder.io/json=\"off\"")] {
            fs::write(podinfo.join("new"), text).expect("podinfo");
            fs::rename(podinfo.join("new"), podinfo.join(name)).expect("podinfo");
        }
    }

    /// `config/sidecar.yaml` in this pod, with something in place of its output.
    fn sidecar(&self, output: &str) -> Agent {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sidecar.yaml");
        let mut text = fs::read_to_string(path).expect("config/sidecar.yaml");
        for (there, here) in
            [("/var/log/app", "app"), ("/etc/podinfo", "podinfo"), ("/etc/skidder/api-key", "api-key")]
        {
            assert!(text.contains(there), "{text}");
            text = text.replace(there, &self.folder.path().join(here).display().to_string());
        }
        // As long as this machine may take.
        text = text.replace("timeout: 25s", "timeout: 110s");
        let begin = text.find("output:").expect("an output");
        text.replace_range(begin.., output);
        let told = [
            ("POD_NAME", "import-29924280-abcde"),
            ("POD_NAMESPACE", "shop"),
            ("POD_UID", "0b5d0a0e-6b7e-4a57-9e54-2f0a6b1c7d11"),
            ("NODE_NAME", "node-1"),
        ];
        told.iter().fold(Agent::new(&text), |agent, (name, value)| agent.with(name, value))
    }

    /// The application: a program of its own, which ends.
    async fn run(&self, script: &str) {
        let folder = self.folder.path().join("app");
        let status = Command::new("sh").args(["-ec", script]).current_dir(folder).status().await;
        assert!(status.expect("a shell").success());
    }
}

const ORDERS: &str = r#"
    i=0
    while [ $i -lt 2000 ]; do
        echo "2026-11-22 10:00:00.$((i % 900 + 100)) INFO order $i"
        [ $((i % 100)) -ne 0 ] || echo "[22/Nov/2026:10:00:00 +0000] GET /order/$i" >> access.log
        i=$((i + 1))
    done > orders.log
    mv orders.log orders.log.1
    printf '2026-11-22 11:00:00.5 ERROR failed\njava.lang.IllegalStateException: no order\n\tat a.B.c(B.java:1)' > orders.log
    mkdir late
    printf '2026-11-22 12:00:00.25 INFO the end' > late/bye.log
"#;

#[tokio::test]
async fn a_job_ends_with_nothing_left_behind() {
    let (shelf, pod) = (Shelf::shared("sidecar").await, Pod::new());
    let mut sidecar = pod.sidecar(&shelf.output());
    sidecar.start().await;
    sidecar.ready().await;
    pod.run(ORDERS).await;
    // As the kubelet does, when all containers of the pod have ended that are no sidecars.
    assert!(sidecar.term().await.success(), "{}", sidecar.log());

    let mut expected: Vec<String> = (0..2_000)
        .map(|order| format!("2026-11-22 10:00:00.{} INFO order {order}", order % 900 + 100))
        .collect();
    expected.push(
        "2026-11-22 11:00:00.5 ERROR failed\njava.lang.IllegalStateException: no order\n\tat a.B.c(B.java:1)"
            .to_owned(),
    );
    expected.push("2026-11-22 12:00:00.25 INFO the end".to_owned());
    // Both blocks have a dataset of their own.
    let namespace = shelf.stream.rsplit('-').next().expect("a namespace");
    let all = json!({ "match_all": {} });
    let (orders, accesses) = (format!("logs-app.logs-{namespace}"), format!("logs-app.access-{namespace}"));
    let hits = shelf.elasticsearch.search(&orders, &all).await;
    super::assert_once(&hits.iter().map(message).collect::<Vec<_>>(), &expected);
    let access = shelf.elasticsearch.search(&accesses, &all).await;
    assert_eq!(access.len(), 20);
    assert_eq!(access[0]["_source"]["@timestamp"], "2026-11-22T10:00:00.000000000Z");
    let last = &hits.last().expect("a hit")["_source"];
    assert_eq!(last["@timestamp"], "2026-11-22T12:00:00.250000000Z");
    let kubernetes = json!({
        "namespace": "shop",
        "pod": { "name": "import-29924280-abcde", "uid": "0b5d0a0e-6b7e-4a57-9e54-2f0a6b1c7d11" },
        "node": { "name": "node-1" },
        "labels": { "app": "cart", "job-name": "import-29924280", "note": "a \"quoted\" one" },
        "job": { "name": "import-29924280" }, "cronjob": { "name": "import" },
    });
    assert_eq!(last["kubernetes"], kubernetes, "{last:#}");
    for stream in [&orders, &accesses] {
        shelf.elasticsearch.delete_stream(stream).await;
    }
}

#[tokio::test]
async fn labels_that_change_hold_for_later_lines() {
    let pod = Pod::new();
    let mut sidecar = pod.sidecar("output: { stdout: {} }");
    sidecar.start().await;
    pod.run("echo '2026-11-22 10:00:00.1 INFO {\"a\":1}' > one.log; echo '{\"a\":1}' > two.log").await;
    let app = |document: &Value| document["kubernetes"]["labels"]["app"].clone();
    let documents = sidecar.until_documents(2).await;
    assert!(
        documents.iter().all(|document| app(document) == "cart" && document["json"].is_null()),
        "{documents:?}"
    );
    pod.label("basket");
    // Read again every second or so; a line shows when.
    let mut line = 2;
    loop {
        pod.run(&format!("echo '2026-11-22 10:00:01.1 INFO {line}' >> one.log")).await;
        line += 1;
        if app(&sidecar.until_documents(line).await[line - 1]) == "basket" {
            break;
        }
        assert!(line < 1_000, "the labels are read again");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(sidecar.term().await.success(), "{}", sidecar.log());
}

/// The application's files become the sidecar's standard output, which is a container's log like any other.
#[tokio::test]
async fn a_sidecar_prints_for_the_nodes_agent() {
    let (pod, node) = (Pod::new(), Node::new());
    let mut sidecar = pod.sidecar("output: { stdout: { format: raw } }");
    sidecar.start().await;
    pod.run(ORDERS).await;
    assert!(sidecar.term().await.success(), "{}", sidecar.log());

    let mut runtime = node.pod("shop", "import-29924280-abcde", "skidder");
    sidecar.printed().lines().for_each(|line| runtime.out(line));
    let agent = Agent::new(&format!(
        "data_dir: ${{DATA}}\n\
         files: [{{ include: [\"{}/containers/*.log\"] }}]\n\
         multiline: {{ patterns: [{{ name: dated, match: {{ container: skidder }} }}] }}\n\
         output: {{ stdout: {{}} }}",
        node.path().display()
    ));
    let printed = agent.run_once(&[]).await;
    let documents: Vec<Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(documents.len(), 2_022);
    let trace = documents.iter().find(|document| document["log"]["flags"] == json!(["multiline"]));
    let text = trace.expect("a trace")["message"].as_str().expect("a message");
    assert!(
        text.starts_with("2026-11-22 11:00:00.5 ERROR failed\n") && text.ends_with("(B.java:1)"),
        "{text}"
    );
    assert!(
        documents.iter().all(|document| document["kubernetes"]["pod"]["name"] == "import-29924280-abcde")
    );
}
