//! Pods come, change and go: every line carries all that the kubelet has to say of its pod.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::fake::{Behaviour, Fake};
use crate::support::kubelet::{Kubelet, Listed, PodList, Reply, Request};
use crate::support::node::{Container, Node, uid};

const TOKEN: &str = "a-service-accounts-token";

/// A node, its kubelet, and an agent that prints documents.
struct Cluster {
    node: Node,
    pods: PodList,
    kubelet: Kubelet,
    agent: Agent,
    folder: TempDir,
}

impl Cluster {
    /// With a kubelet that lists `pods`, asked anew after `refresh`.
    async fn new(refresh: &str) -> Self {
        let pods = PodList::default();
        let listed = pods.clone();
        Self::answering(refresh, pods, move |_| listed.reply()).await
    }

    /// With a kubelet that answers as it is told, to those who have the token.
    async fn answering(
        refresh: &str,
        pods: PodList,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let (node, folder) = (Node::new(), TempDir::new().expect("folder"));
        let script = move |request: &Request| match &*request.token {
            TOKEN => script(request),
            _ => Reply::Text(401, "Unauthorized".to_owned()),
        };
        // As a kubelet that made its certificate for itself, which names only the host.
        let kubelet = Kubelet::with_names(&["node-1"], script).await;
        let agent = Agent::new("");
        let cluster = Self { node, pods, kubelet, agent, folder };
        cluster.agent.configure(&cluster.configuration(refresh, "1s", "output: { stdout: {} }"));
        cluster
    }

    fn configuration(&self, refresh: &str, timeout: &str, output: &str) -> String {
        let (ca, token) = (self.folder.path().join("ca.crt"), self.folder.path().join("token"));
        fs::write(&ca, &self.kubelet.certificate).expect("certificate");
        fs::write(&token, TOKEN).expect("token");
        format!(
            "node_name: node-1\n\
             data_dir: ${{DATA}}\n\
             files: [{{ include: [\"{}/containers/*.log\"] }}]\n\
             multiline: {{ timeout: {timeout} }}\n\
             kubernetes:\n  \
               wait: 60s\n  \
               kubelet: {{ url: \"https://{}\", ca_file: {}, token_file: {}, server_name: node-1, refresh: {refresh} }}\n\
             {output}\n",
            self.node.path().display(),
            self.kubelet.address,
            ca.display(),
            token.display(),
        )
    }

    async fn until_held(&self, path: &Path) {
        self.agent.until(&format!("{} to be open", path.display()), async || self.agent.holds(path)).await;
    }

    /// Waits until the kubelet was asked again from now on: twice, for the first may be under way.
    async fn until_asked_again(&self) {
        let before = self.kubelet.asked().len();
        let again = async || self.kubelet.asked().len() >= before + 2;
        self.agent.until("the kubelet to be asked again", again).await;
    }
}

/// All that is known of a Deployment's pod is in the document.
fn assert_full(document: &Value, name: &str, uid: &str, id: &str) {
    let (replicaset, _) = name.rsplit_once('-').expect("a pod of a ReplicaSet");
    let (deployment, _) = replicaset.rsplit_once('-').expect("a ReplicaSet of a Deployment");
    let mut kubernetes = document["kubernetes"].clone();
    kubernetes["container"] = json!({ "name": kubernetes["container"]["name"] });
    let expected = json!({
        "namespace": "shop", "pod": { "name": name, "uid": uid, "ip": "10.0.0.7" },
        "container": { "name": "web" }, "node": { "name": "node-1" },
        "labels": { "app": "web", "pod-template-hash": "5d8f7c9b6d" },
        "replicaset": { "name": replicaset }, "deployment": { "name": deployment },
    });
    assert_eq!(kubernetes, expected, "{document:#}");
    let image = json!({ "name": "registry.example.com/web:1.4", "hash": { "all": ["sha256:0123abcd"] } });
    let container = json!({ "id": id, "runtime": "containerd", "image": image });
    assert_eq!(document["container"], container, "{document:#}");
    assert_eq!(document["skidder"], Value::Null, "{document:#}");
}

fn message(document: &Value) -> &str {
    document["message"].as_str().expect("a message")
}

/// A pod of the shop, and the container of it that writes.
struct Pod {
    name: String,
    uid: String,
    web: Container,
}

impl Pod {
    fn start(node: &Node, suffix: &str) -> Self {
        let (name, uid) = (format!("web-5d8f7c9b6d-{suffix}"), uid());
        let web = node.container("shop", &name, &uid, "web");
        Self { name, uid, web }
    }

    /// As the kubelet lists it.
    fn listed<'a>(&'a self, id: &'a str, restarts: u32) -> Listed<'a> {
        Listed { name: &self.name, uid: &self.uid, id, restarts }
    }
}

/// A kubelet's list is about a second behind the runtime, and a pod is listed before it runs.
#[tokio::test]
async fn the_first_line_of_each_of_two_hundred_pods_is_fully_enriched() {
    const PODS: usize = 200;
    let mut cluster = Cluster::new("60s").await;
    cluster.agent.start().await;
    cluster.agent.until("the first request", async || !cluster.kubelet.asked().is_empty()).await;
    let (begun, before) = (Instant::now(), cluster.kubelet.asked().len());
    let mut pods = Vec::new();
    for index in 0..PODS {
        let mut pod = Pod::start(&cluster.node, &format!("{index:05}"));
        pod.web.out(&format!("the first line of {index}"));
        cluster.pods.set(&pod.listed("", 0));
        pods.push(pod);
        // Listed with its id a second later.
        if let Some(earlier) = index.checked_sub(40) {
            cluster.pods.set(&pods[earlier].listed(&pods[earlier].web.id(), 0));
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    pods.iter().for_each(|pod| cluster.pods.set(&pod.listed(&pod.web.id(), 0)));
    let documents = cluster.agent.until_documents(PODS).await;
    let asked = cluster.kubelet.asked().len() - before;
    // Once a second, however many there are: ten within these five seconds and what is left to be told then.
    let seconds = usize::try_from(begun.elapsed().as_secs()).expect("seconds");
    assert!(asked <= 10.max(seconds + 1), "asked {asked} times in {seconds} s");
    for document in &documents {
        let index: usize =
            message(document).rsplit(' ').next().and_then(|index| index.parse().ok()).expect("index");
        let pod = &pods[index];
        assert_full(document, &pod.name, &pod.uid, &pod.web.id());
    }
    assert_eq!(documents.len(), PODS);
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

#[tokio::test]
async fn a_deleted_pods_last_lines_are_fully_named() {
    let mut cluster = Cluster::new("1s").await;
    cluster.agent.start().await;
    // Gone before the kubelet was heard: its file is open, and waits.
    let mut brief = Pod::start(&cluster.node, "brief");
    brief.web.out("all that the brief one had to say");
    let (brief_id, listed) = (brief.web.id(), (brief.name.clone(), brief.uid.clone()));
    cluster.until_held(&brief.web.path()).await;
    cluster.pods.set(&brief.listed(&brief_id, 0));
    brief.web.delete();
    let documents = cluster.agent.until_documents(1).await;
    assert_full(&documents[0], &listed.0, &listed.1, &brief_id);
    cluster.pods.remove(&listed.1);

    // Gone from the kubelet's list and from the disk, both, while the agent cannot read.
    let mut late = Pod::start(&cluster.node, "late0");
    late.web.out("the first line of the late one");
    let (name, uid, id) = (late.name.clone(), late.uid.clone(), late.web.id());
    cluster.pods.set(&late.listed(&id, 0));
    cluster.agent.until_documents(2).await;
    cluster.agent.signal(Signal::STOP);
    for number in 0..1_000 {
        late.web.out(&format!("last line {number}"));
    }
    cluster.pods.remove(&uid);
    late.web.delete();
    cluster.agent.signal(Signal::CONT);
    let documents = cluster.agent.until_documents(1_002).await;
    documents[1..].iter().for_each(|document| assert_full(document, &name, &uid, &id));
    assert_eq!(message(&documents[1_001]), "last line 999");
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

/// A static pod's files outlive it for up to a minute, and the agent may be restarted in between.
#[tokio::test]
async fn a_pod_that_went_while_the_agent_was_away_is_still_known() {
    let pods = PodList::default();
    let listed = pods.clone();
    let mut cluster = Cluster::answering("1s", pods, move |_| listed.reply()).await;
    let mut pod = Pod::start(&cluster.node, "gone0");
    pod.web.out("before");
    let id = pod.web.id();
    cluster.pods.set(&pod.listed(&id, 0));
    cluster.agent.start().await;
    cluster.agent.until_documents(1).await;
    cluster.agent.until("the memory", async || cluster.agent.data().join("pods.json").exists()).await;
    cluster.agent.kill9();
    pod.web.out("after");
    cluster.pods.remove(&pod.uid);
    cluster.agent.start().await;
    cluster.agent.until("the last line", async || cluster.agent.printed().contains("\"after\"")).await;
    for document in cluster.agent.documents() {
        assert_full(&document, &pod.name, &pod.uid, &id);
    }
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

/// The link comes after the container's end, the kubelet's list is an instance behind, and each file goes when the
/// instance after the next one starts.
#[tokio::test]
async fn a_crash_loop_is_fully_named() {
    const INSTANCES: u32 = 20;
    let mut cluster = Cluster::new("60s").await;
    cluster.agent.start().await;
    let mut pod = Pod::start(&cluster.node, "crash");
    let mut ids = vec![pod.web.id()];
    cluster.pods.set(&pod.listed(&ids[0], 0));
    for instance in 0..INSTANCES {
        if instance > 0 {
            pod.web.restart_unlinked();
        }
        pod.web.out(&format!("{instance} begins"));
        pod.web.err(&format!("{instance} fails"));
        cluster.until_held(&pod.web.path()).await;
        if instance > 0 {
            let before = ids[ids.len() - 1].clone();
            ids.push(pod.web.link());
            cluster.pods.set(&pod.listed(&before, instance - 1));
        }
    }
    let documents = cluster.agent.until_documents(2 * ids.len()).await;
    // Each instance is a log of its own, and may come before or after another.
    for (instance, id) in ids.iter().enumerate() {
        let name = format!("{instance}.log");
        let is_of = |document: &&Value| {
            document["log"]["file"]["path"].as_str().is_some_and(|path| path.ends_with(&format!("/{name}")))
        };
        let documents: Vec<_> = documents.iter().filter(is_of).collect();
        let messages: Vec<_> = documents.iter().map(|document| message(document)).collect();
        assert_eq!(messages, [format!("{instance} begins"), format!("{instance} fails")]);
        for document in documents {
            assert_full(document, &pod.name, &pod.uid, id);
            let status = &document["kubernetes"]["container"]["status"];
            let restarts = if instance == 0 { Value::Null } else { json!({ "restarts": instance }) };
            assert_eq!(*status, restarts);
        }
    }
    assert_eq!(documents.len(), 2 * ids.len());
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

#[tokio::test]
async fn a_pod_of_the_same_name_is_another_and_one_of_the_same_uid_the_same() {
    let mut cluster = Cluster::new("1s").await;
    cluster.agent.start().await;
    let mut ids = Vec::new();
    // A StatefulSet's pod comes again under its name; a static pod under its uid too, its file under its path.
    for (suffix, uid) in [("again", uid()), ("again", uid()), ("still", uid())] {
        let name = format!("web-5d8f7c9b6d-{suffix}");
        let lives = if suffix == "still" { 2 } else { 1 };
        for life in 0..lives {
            let mut web = cluster.node.container("shop", &name, &uid, "web");
            web.out(&format!("{life} of {uid}"));
            ids.push((name.clone(), uid.clone(), web.id()));
            cluster.pods.set(&Listed { name: &name, uid: &uid, id: &web.id(), restarts: 0 });
            cluster.agent.until_documents(ids.len()).await;
            web.delete();
            cluster.pods.remove(&uid);
            cluster.until_asked_again().await;
        }
    }
    let documents = cluster.agent.documents();
    assert_eq!(documents.len(), ids.len());
    for (document, (name, uid, id)) in documents.iter().zip(&ids) {
        assert!(message(document).ends_with(uid), "{document:#}");
        assert_full(document, name, uid, id);
    }
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

#[tokio::test]
async fn changed_labels_and_annotations_hold_for_later_lines() {
    let mut cluster = Cluster::new("1s").await;
    cluster.agent.configure(&cluster.configuration("1s", "60s", "output: { stdout: {} }"));
    let mut pod = Pod::start(&cluster.node, "label");
    let id = pod.web.id();
    cluster.pods.set(&pod.listed(&id, 0));
    cluster.agent.start().await;
    pod.web.out("before");
    cluster.agent.until_documents(1).await;
    // Held, for no silence ends it soon. It ends where other rules begin.
    pod.web.err("java.lang.IllegalStateException: no order");
    pod.web.err("\tat com.example.Shop.order(Shop.java:12)");
    cluster.agent.until_metric("skidder_read_lines_total", 3.0).await;
    cluster.pods.change(&pod.uid, |listed| {
        listed["metadata"]["labels"]["app"] = json!("cart");
        listed["metadata"]["annotations"] =
            json!({ "skidder.io/multiline": "none", "skidder.io/json": "yes" });
    });
    let documents = cluster.agent.until_documents(2).await;
    assert_eq!(
        message(&documents[1]),
        "java.lang.IllegalStateException: no order\n\tat com.example.Shop.order(Shop.java:12)"
    );
    for document in &documents {
        assert_full(document, &pod.name, &pod.uid, &id);
    }
    pod.web.err("\tat com.example.Shop.main(Shop.java:3)");
    pod.web.err("java.lang.IllegalStateException: again");
    let documents = cluster.agent.until_documents(4).await;
    let after: Vec<_> = documents[2..].iter().map(message).collect();
    assert_eq!(after, ["\tat com.example.Shop.main(Shop.java:3)", "java.lang.IllegalStateException: again"]);
    for document in &documents[2..] {
        assert_eq!(document["kubernetes"]["labels"]["app"], "cart");
    }
    // What is wrong is said once, there and in the log, until it is put right.
    let complaint = |page: &Value| page["complaints"].as_array().cloned().unwrap_or_default();
    let complaints = complaint(&cluster.agent.status().await);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert_eq!(complaints[0]["pod"], pod.name.as_str());
    let words = "annotation skidder.io/json: \"yes\" is none of off, nested, merge; it is ignored";
    assert_eq!(complaints[0]["message"], words);
    cluster.until_asked_again().await;
    assert_eq!(
        cluster.agent.log().matches("is none of off, nested, merge").count(),
        1,
        "{}",
        cluster.agent.log()
    );
    cluster.pods.change(&pod.uid, |listed| listed["metadata"]["annotations"] = json!({}));
    cluster.agent.until("no complaints", async || complaint(&cluster.agent.status().await).is_empty()).await;
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

/// What the change has ended, and no byte would, ends there again after a crash before its answer came.
#[tokio::test]
async fn where_other_rules_begin_is_durable() {
    const STREAM: &str = "logs-kubernetes.container_logs-default";
    let (fake, mut cluster) = (Fake::new(), Cluster::new("1s").await);
    let output =
        format!("output: {{ elasticsearch: {{ urls: [\"{}\"], setup: false }} }}", fake.serve().await);
    cluster.agent.configure(&cluster.configuration("1s", "60s", &output));
    let mut pod = Pod::start(&cluster.node, "cut00");
    let id = pod.web.id();
    let annotate = |languages: &str| {
        let annotations = json!({ "skidder.io/multiline": languages });
        cluster.pods.change(&pod.uid, |listed| listed["metadata"]["annotations"] = annotations);
    };
    cluster.pods.set(&pod.listed(&id, 0));
    annotate("java");
    // Stored, but never acknowledged: all is sent again.
    fake.rule(|_| Behaviour::Silent);
    cluster.agent.start().await;
    pod.web.err("java.lang.IllegalStateException: no order");
    pod.web.err("\tat com.example.Shop.order(Shop.java:12)");
    cluster.agent.until_metric("skidder_read_lines_total", 2.0).await;
    annotate("java,python");
    cluster.agent.until("the first half", async || fake.documents(STREAM).len() == 1).await;
    cluster.agent.kill9();
    fake.rule(|_| Behaviour::Accept);
    pod.web.err("\tat com.example.Shop.main(Shop.java:3)");
    pod.web.err("the end");
    cluster.agent.start().await;
    cluster.agent.until("all", async || fake.documents(STREAM).len() >= 3).await;
    let found = cluster.agent.metric("skidder_lookups_total{result=\"found\"}").await;
    assert!(found >= Some(1.0), "the first half was looked up, under its id");
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
    let stored = fake.documents(STREAM);
    let mut messages: Vec<_> = stored.iter().map(message).collect();
    messages.sort_unstable();
    let first = "java.lang.IllegalStateException: no order\n\tat com.example.Shop.order(Shop.java:12)";
    assert_eq!(messages, ["\tat com.example.Shop.main(Shop.java:3)", first, "the end"]);
}

#[tokio::test]
async fn a_pod_may_leave_itself_out_and_come_back() {
    let mut cluster = Cluster::new("1s").await;
    cluster.agent.start().await;
    let mut pod = Pod::start(&cluster.node, "mute0");
    let id = pod.web.id();
    cluster.pods.set(&pod.listed(&id, 0));
    pod.web.out("heard");
    cluster.agent.until_documents(1).await;
    let annotate = |annotations: Value| {
        cluster.pods.change(&pod.uid, |listed| listed["metadata"]["annotations"] = annotations);
    };
    annotate(json!({ "fluentbit.io/exclude_stdout": "true" }));
    cluster.until_asked_again().await;
    pod.web.out("not heard");
    pod.web.err("heard on standard error");
    assert_eq!(message(&cluster.agent.until_documents(2).await[1]), "heard on standard error");
    annotate(json!({ "co.elastic.logs/enabled": "false" }));
    cluster.until_asked_again().await;
    cluster.agent.until("the file to be let go", async || !cluster.agent.holds(&pod.web.path())).await;
    pod.web.err("not heard at all");
    annotate(json!({}));
    cluster.until_held(&pod.web.path()).await;
    pod.web.out("heard again");
    assert_eq!(message(&cluster.agent.until_documents(3).await[2]), "heard again");
    // Left out from the beginning, though its lines were seen to be there: nothing waits for them.
    let mut never = Pod::start(&cluster.node, "never");
    never.web.out("not heard either");
    cluster.agent.until("a lag", async || cluster.agent.metric("skidder_lag_bytes").await > Some(0.0)).await;
    let never_id = never.web.id();
    cluster.pods.set(&never.listed(&never_id, 0));
    cluster.pods.change(&never.uid, |listed| {
        listed["metadata"]["annotations"] = json!({ "skidder.io/exclude-containers": "web" });
    });
    cluster.agent.until_metric("skidder_lag_bytes", 0.0).await;
    assert_eq!(cluster.agent.documents().len(), 3);
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}

/// Variables that other programs obey: the kubelet of the own node is never asked by way of a proxy.
#[tokio::test]
async fn proxy_variables_are_ignored() {
    let mut cluster = Cluster::new("60s").await;
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        cluster.agent = cluster.agent.with(name, "http://127.0.0.1:1");
    }
    let mut pod = Pod::start(&cluster.node, "proxy");
    pod.web.out("a line");
    let id = pod.web.id();
    cluster.pods.set(&pod.listed(&id, 0));
    cluster.agent.start().await;
    assert_full(&cluster.agent.until_documents(1).await[0], &pod.name, &pod.uid, &id);
    assert!(cluster.agent.term().await.success(), "{}", cluster.agent.log());
}
