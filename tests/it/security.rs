//! The agent before real clusters: who it is, what it may do, what it sets up, and what is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::messages;
use crate::support::agent::Agent;
use crate::support::between::{Answers, Between};
use crate::support::elasticsearch::{Elasticsearch, Options, SUPERUSER};
use crate::support::http;
use crate::support::node::Node;
use crate::support::proxy::Proxy;

const SHIPPED: &str = "skidder_events_total{result=\"shipped\"}";
const DUPLICATE: &str = "skidder_events_total{result=\"duplicate\"}";
const DEAD: &str = "skidder_events_total{result=\"dead_letter\"}";

/// An agent for this node and cluster, writing to `logs-<dataset>-default`; `more` are keys of the output, `events`
/// those of `events`.
fn agent(node: &Node, cluster: &Elasticsearch, dataset: &str, more: &str, events: &str) -> Agent {
    let (node, url) = (node.path().display(), cluster.url());
    let tls = cluster.ca().map(|ca| format!("tls: {{ ca_file: '{}' }}, ", ca.display())).unwrap_or_default();
    Agent::new(&format!(
        "data_dir: ${{DATA}}\n\
         node_name: node-1\n\
         files: [{{ include: ['{node}/containers/*.log'] }}]\n\
         events: {{ {events} }}\n\
         kubernetes: {{ kubelet: {{ url: '{node}/pods.json' }} }}\n\
         output: {{ elasticsearch: {{ urls: ['{url}'], {tls}{more}, data_stream: {{ dataset: {dataset} }}, \
         batch: {{ max_wait: 50ms }} }} }}\n"
    ))
}

/// What the node's kubelet said of these pods: uid, name, and the label `app.kubernetes.io/name`.
fn pods(node: &Node, pods: &[[&str; 3]]) {
    let pod = |[uid, name, label]: &[&str; 3]| {
        json!({
            "metadata": { "name": name, "namespace": "shop", "uid": uid,
                "labels": { "app": label, "app.kubernetes.io/name": label } },
            "spec": { "nodeName": "node-1", "containers": [{ "name": "web", "image": "registry/web:1.4" }] },
            "status": { "podIP": "10.0.0.7", "containerStatuses": [] },
        })
    };
    let items: Vec<_> = pods.iter().map(pod).collect();
    let list = json!({ "kind": "PodList", "apiVersion": "v1", "items": items });
    fs::write(node.path().join("pods.json"), list.to_string()).expect("recorded pods");
}

/// A node with one pod that wrote so many lines.
fn wrote(lines: usize) -> Node {
    let node = Node::new();
    pods(&node, &[]);
    let mut web = node.pod("shop", "web-1", "web");
    (0..lines).for_each(|line| web.out(&format!("line {line}")));
    node
}

/// A dataset that no other test uses, and its data stream.
fn dataset(cluster: &Elasticsearch, theme: &str) -> (String, String) {
    let dataset = cluster.stream(theme).replace("logs-", "").replace('-', ".");
    let stream = format!("logs-{dataset}-default");
    (dataset, stream)
}

/// The body of the command in the documentation that makes an API key.
fn documented_key() -> Value {
    let page = include_str!("../../docs/elasticsearch.md");
    let (_, body) = page.split_once("/_security/api_key -d '").expect("the command");
    serde_json::from_str(body.split_once('\'').expect("the command's end").0).expect("the command's body")
}

/// An API key that may do what the documentation says, as `id:key` and encoded.
async fn api_key(cluster: &Elasticsearch) -> [String; 2] {
    key_of(cluster, &documented_key()).await
}

async fn key_of(cluster: &Elasticsearch, key: &Value) -> [String; 2] {
    let key = cluster.post("/_security/api_key", key).await.body;
    let text = |name: &str| key[name].as_str().expect("an API key").to_owned();
    [format!("{}:{}", text("id"), text("api_key")), text("encoded")]
}

/// Puts a file in place of another, as a mounted secret changes.
fn replace(path: &Path, text: &str) {
    fs::write(path.with_extension("new"), text).expect("secret");
    fs::rename(path.with_extension("new"), path).expect("secret");
}

/// Whether each line of [`wrote`] and no other is there, once.
async fn holds_each_line(cluster: &Elasticsearch, stream: &str, lines: usize) {
    let hits = cluster.search(stream, &json!({ "match_all": {} })).await;
    let messages: Vec<_> = hits.iter().filter_map(|hit| hit["_source"]["message"].as_str()).collect();
    let expected: Vec<_> = (0..lines).map(|line| format!("line {line}")).collect();
    assert_eq!(messages, expected, "{stream}");
}

#[tokio::test]
async fn a_password_and_a_key_in_both_forms() {
    let cluster = Elasticsearch::secured().await;
    let [pair, encoded] = api_key(&cluster).await;
    let (user, password) = SUPERUSER;
    let node = wrote(20);
    for (theme, access) in [
        ("basic", format!("username: {user}, password: {password}")),
        ("pair", format!("api_key: '{pair}'")),
        ("encoded", format!("api_key: '{encoded}'")),
    ] {
        let (dataset, stream) = dataset(&cluster, theme);
        let mut agent = agent(&node, &cluster, &dataset, &access, "");
        agent.start().await;
        agent.until_metric(SHIPPED, 20.0).await;
        holds_each_line(&cluster, &stream, 20).await;
        let (code, said) = agent.ask(&["status", "--url", agent.address()]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("\nready\n") && said.contains("\nshop/web-1 "), "{said}");
        let (code, said) = agent.ask(&["setup"]).await;
        assert_eq!(
            (code, said.matches("unchanged").count()),
            (Some(0), 2),
            "the agent has set it up: {said}"
        );
        assert!(agent.term().await.success());
        assert!(!agent.log().contains(&pair) && !agent.log().contains(&encoded));
    }
}

#[tokio::test]
async fn a_wrong_key_in_a_file_and_then_the_right_one_lose_nothing() {
    let cluster = Elasticsearch::secured().await;
    let [pair, encoded] = api_key(&cluster).await;
    let (dataset, stream) = dataset(&cluster, "file");
    let node = wrote(200);
    let file = node.path().join("api-key");
    replace(&file, &pair.replace(':', ":x"));
    let mut agent = agent(&node, &cluster, &dataset, &format!("api_key_file: '{}'", file.display()), "");
    agent.start().await;
    agent
        .until("the key to be refused", async || {
            agent.status().await["not_ready"].to_string().contains("401")
        })
        .await;
    let (code, said) = agent.ask(&["setup"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("may not ask for the template") && !said.contains(&pair), "{said}");

    replace(&file, &format!("{encoded}\n"));
    agent.until_metric(SHIPPED, 200.0).await;
    agent.ready().await;
    assert_eq!(agent.metric(DUPLICATE).await, Some(0.0));
    holds_each_line(&cluster, &stream, 200).await;
}

#[tokio::test]
async fn an_authority_that_is_not_ours_gets_no_password() {
    let cluster = Elasticsearch::secured().await;
    let (dataset, stream) = dataset(&cluster, "authority");
    let node = wrote(5);
    let (user, password) = SUPERUSER;
    let access = format!("username: {user}, password: {password}");
    let ca = cluster.ca().expect("an authority");
    // In place of the cluster's own authority, that of somebody else.
    let trusted = node.path().join("ca.pem");
    replace(&trusted, &crate::support::authority::Authority::new().pem());
    let mut agent = agent(&node, &cluster, &dataset, &access, "");
    let text = agent.configuration().replace(&ca.display().to_string(), &trusted.display().to_string());
    agent.configure(&text);
    agent.start().await;
    agent
        .until("the certificate to be refused", async || {
            agent.status().await["not_ready"].to_string().to_lowercase().contains("certificate")
        })
        .await;
    replace(&trusted, &fs::read_to_string(ca).expect("certificate"));
    agent.until_metric(SHIPPED, 5.0).await;
    holds_each_line(&cluster, &stream, 5).await;
}

#[tokio::test]
async fn a_missing_privilege_is_named_and_waited_for() {
    let cluster = Elasticsearch::secured().await;
    let (dataset, stream) = dataset(&cluster, "privilege");
    // The user, and its role, are called as the dataset.
    let may_write = async |names: &str| {
        let role = json!({ "indices": [
            { "names": ["logs-*-*"], "privileges": ["auto_configure"] },
            { "names": [names], "privileges": ["create_doc"] },
        ] });
        assert!(cluster.put(&format!("/_security/role/{dataset}"), &role).await.status.is_success());
    };
    let user = json!({ "password": "secret-of-a-test", "roles": [dataset] });
    assert!(cluster.put(&format!("/_security/user/{dataset}"), &user).await.status.is_success());
    let role = json!({ "indices": [{ "names": ["logs-*-*"], "privileges": ["auto_configure"] }] });
    assert!(cluster.put(&format!("/_security/role/{dataset}"), &role).await.status.is_success());
    // Without the privilege for templates it goes on with what the cluster has.
    cluster.template(&stream, &json!({})).await;

    let node = wrote(50);
    let access = format!("username: {dataset}, password: secret-of-a-test");
    let mut agent = agent(&node, &cluster, &dataset, &access, "");
    agent.start().await;
    let reasons = async || agent.status().await["not_ready"].to_string();
    agent.until("the privilege to be named", async || reasons().await.contains("create_doc")).await;
    let (code, said) = agent.ask(&["setup"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("manage_index_templates") && said.lines().count() == 1, "{said}");
    assert!(agent.log().contains("going on without"), "{}", agent.log());

    // Another stream may be written to: now this one alone waits.
    may_write("logs-another-default").await;
    agent
        .until("the stream to be named", async || {
            let error = agent.status().await["outputs"][0]["last_error"].to_string();
            error.contains(&format!("{stream}: 403")) && error.contains("create_doc")
        })
        .await;
    agent.ready().await;
    let shown = async || {
        let state = agent.status().await["outputs"][0]["state"].to_string();
        state.contains(&format!("ok, but {stream} waits: "))
    };
    agent.until("the page to show what waits", shown).await;

    may_write("logs-*-*").await;
    agent.until_metric(SHIPPED, 50.0).await;
    holds_each_line(&cluster, &stream, 50).await;
}

#[tokio::test]
async fn elasticsearch_8_is_set_up() {
    is_set_up("8", "flattened").await;
}

#[tokio::test]
async fn elasticsearch_9_is_set_up() {
    is_set_up("9", "flattened").await;
}

#[tokio::test]
async fn opensearch_2_is_set_up() {
    is_set_up("opensearch-2", "flat_object").await;
}

/// A cluster that never saw the agent: its templates are installed once, documents are found by label, workload and
/// nanosecond, and what a person changes stays.
async fn is_set_up(server: &'static str, flat: &str) {
    let cluster = Elasticsearch::own(Options::default().server(server)).await;
    let (dataset, stream) = dataset(&cluster, "setup");
    let node = Node::new();
    let uids = ["00000000-0000-4000-a000-000000000001", "00000000-0000-4000-a000-000000000002"];
    pods(&node, &[[uids[0], "cart-0", "cart"], [uids[1], "web-0", "web"]]);
    let mut cart = node.container("shop", "cart-0", uids[0], "web");
    let mut web = node.container("shop", "web-0", uids[1], "web");
    for line in 0..10 {
        cart.out(&format!("order {line}"));
        web.out(&json!({ "level": "error", "message": format!("page {line}"), "took": line }).to_string());
    }
    let mut agent = agent(&node, &cluster, &dataset, "compression: none", "");
    // As Elasticsearch has one built in.
    let built_in = json!({ "index_patterns": ["logs-*-*"], "data_stream": {}, "priority": 100,
        "template": { "mappings": { "properties": { "kubernetes": { "type": "keyword" } } } } });
    assert!(cluster.put("/_index_template/logs", &built_in).await.status.is_success());
    let (code, said) = agent.ask(&["setup"]).await;
    assert_eq!((code, said.matches("made;").count()), (Some(0), 2), "{said}");
    let (code, said) = agent.ask(&["setup"]).await;
    assert_eq!((code, said.matches("unchanged").count()), (Some(0), 2), "{said}");
    assert!(said.contains("nothing changed"), "{said}");

    agent.start().await;
    agent.until_metric(SHIPPED, 20.0).await;
    let mapping = cluster.get(&format!("/{stream}/_mapping")).await.body;
    let (_, mapping) = mapping.as_object().and_then(|all| all.iter().next()).expect("a backing index");
    let labels = &mapping["mappings"]["properties"]["kubernetes"]["properties"]["labels"];
    assert_eq!(labels["type"], flat, "{mapping:#}");
    for (field, value, found) in [
        ("kubernetes.labels.app", "cart", 10),
        ("kubernetes.labels.app_kubernetes_io/name", "web", 10),
        ("kubernetes.labels.app", "nobody", 0),
        ("kubernetes.pod.name", "cart-0", 10),
        ("kubernetes.pod.ip", "10.0.0.0/8", 20),
        ("log.level", "error", 10),
        ("message", "order", 10),
    ] {
        let query = if field == "message" { "match" } else { "term" };
        let hits = cluster.search(&stream, &json!({ query: { field: value } })).await;
        assert_eq!(hits.len(), found, "{field} : {value}");
    }
    let carts = cluster.search(&stream, &json!({ "term": { "kubernetes.labels.app": "cart" } })).await;
    let messages: Vec<_> = carts.iter().filter_map(|hit| hit["_source"]["message"].as_str()).collect();
    assert_eq!(messages, (0..10).map(|line| format!("order {line}")).collect::<Vec<_>>(), "in order");
    let third = &carts[3]["_source"]["@timestamp"];
    let later = json!({ "range": { "@timestamp": { "gt": third } } });
    assert_eq!(cluster.search(&stream, &later).await.len(), 13, "later by nanoseconds than {third}");

    messages::none_is_refused(&cluster).await;

    let path = "/_component_template/skidder-logs";
    let mut theirs = cluster.get(path).await.body["component_templates"][0]["component_template"].take();
    theirs["template"]["settings"]["index"]["refresh_interval"] = json!("30s");
    for name in ["created_date", "created_date_millis", "modified_date", "modified_date_millis"] {
        theirs.as_object_mut().expect("a template").remove(name);
    }
    assert!(cluster.put(path, &theirs).await.status.is_success());
    let (code, said) = agent.ask(&["setup"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("kept, as a person made or changed it"), "{said}");
    let kept = cluster.get(path).await.body["component_templates"][0]["component_template"].take();
    assert_eq!(kept["template"]["settings"]["index"]["refresh_interval"], "30s");
}

#[tokio::test]
async fn a_conflict_beside_a_thousand_is_found_in_the_safe_shape() {
    let cluster = Elasticsearch::secured().await;
    let (dataset, stream) = dataset(&cluster, "conflict");
    let node = Node::new();
    pods(&node, &[]);
    let mut web = node.pod("shop", "web-1", "web");
    for line in 0..=1_000 {
        match line {
            500 => web.out(r#"{"message":"odd","took":{"ms":5}}"#),
            _ => web.out(&json!({ "message": format!("line {line}"), "took": line }).to_string()),
        }
    }
    let access = format!("username: {}, password: {}", SUPERUSER.0, SUPERUSER.1);
    let mut agent = agent(&node, &cluster, &dataset, &access, "json: merge");
    agent.start().await;
    agent.until_metric(SHIPPED, 1_001.0).await;
    assert_eq!(agent.metric(DEAD).await, Some(0.0));
    assert_eq!(cluster.count(&stream).await, 1_001);
    let safe = cluster.search(&stream, &json!({ "exists": { "field": "error.type" } })).await;
    assert_eq!(safe.len(), 1, "{safe:#?}");
    let safe = &safe[0]["_source"];
    assert_eq!((&safe["message"], safe["took"].is_null()), (&json!("odd"), true), "{safe:#}");
    assert_eq!(safe["kubernetes"]["pod"]["name"], "web-1");
    assert!(safe["error"]["message"].as_str().is_some_and(|words| words.contains("took")), "{safe:#}");
    assert!(safe["event"]["original"].as_str().is_some_and(|text| text.contains(r#""ms":5"#)), "{safe:#}");
}

#[tokio::test]
async fn what_is_refused_for_good_is_replayed_once_it_is_mended() {
    let cluster = Elasticsearch::secured().await;
    let (dataset, stream) = dataset(&cluster, "dead");
    // A template of somebody's that has no room for what the agent adds, not even for the reason of a refusal.
    let strict = json!({ "dynamic": "strict", "properties": { "message": { "type": "text" } } });
    cluster.template(&stream, &strict).await;
    let node = wrote(3);
    let access = format!("username: {}, password: {}", SUPERUSER.0, SUPERUSER.1);
    let mut agent = agent(&node, &cluster, &dataset, &access, "");
    agent.start().await;
    agent.until_metric(DEAD, 3.0).await;
    let (code, said) = agent.ask(&["dead-letters", "list"]).await;
    assert_eq!((code, said.matches("line ").count()), (Some(0), 3), "{said}");
    assert!(said.contains("strict_dynamic_mapping_exception") && said.contains("shop/web-1/web"), "{said}");
    let (code, said) = agent.ask(&["dead-letters", "replay"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("3  refused again, and kept"), "{said}");

    let mended = cluster.put(&format!("/{stream}/_mapping"), &json!({ "dynamic": true })).await;
    assert!(mended.status.is_success(), "{mended:?}");
    let (code, said) = agent.ask(&["dead-letters", "replay"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("3  stored now"), "{said}");
    holds_each_line(&cluster, &stream, 3).await;
    assert_eq!(agent.ask(&["dead-letters", "list"]).await, (Some(0), "no dead letters\n".to_owned()));
}

/// The documented role lets what may be stored already be looked up by id, and nothing be read otherwise; a role
/// that lacks it costs copies where a stream rolls over between a lost answer and its retry, and no more.
#[tokio::test]
async fn looking_up_needs_a_privilege_and_reading_is_none_of_it() {
    let cluster = Elasticsearch::secured().await;
    let between = Between::serve(&cluster).await;
    let mut without = documented_key();
    let privileges = &mut without["role_descriptors"]["skidder"]["indices"][0]["privileges"];
    *privileges = json!(["auto_configure", "create_doc"]);
    for (key, theme, [found, failed], copies) in
        [(documented_key(), "may.look", [1.0, 0.0], 0), (without, "may.not.look", [0.0, 1.0], 1)]
    {
        let [pair, encoded] = key_of(&cluster, &key).await;
        let (dataset, stream) = dataset(&cluster, theme);
        let node = Node::new();
        pods(&node, &[]);
        let mut web = node.pod("shop", "web-1", "web");
        web.out("first");
        let mut agent = agent(&node, &cluster, &dataset, &format!("api_key: '{pair}'"), "");
        let text = agent.configuration().replace(cluster.url(), between.url());
        agent.configure(&text);
        agent.start().await;
        agent.until_metric(SHIPPED, 1.0).await;
        between.answers(Answers::Break);
        let before = between.lost();
        web.out("second");
        agent.until("an answer to be lost", async || between.lost() > before).await;
        let rolled = cluster.post(&format!("/{stream}/_rollover"), &json!({})).await;
        assert_eq!(rolled.body["rolled_over"], true, "{rolled:?}");
        between.answers(Answers::Arrive);
        // There already, or once more; a retry may have lost its answer too.
        let both = async || {
            let (stored, known) = (agent.metric(SHIPPED).await, agent.metric(DUPLICATE).await);
            stored.zip(known).is_some_and(|(stored, known)| stored + known >= 2.0)
        };
        agent.until("both lines to be there", both).await;
        for (result, least) in [("found", found), ("failed", failed)] {
            let count = agent.metric(&format!("skidder_lookups_total{{result=\"{result}\"}}")).await;
            let is_so = if least == 0.0 { count == Some(0.0) } else { count >= Some(least) };
            assert!(is_so, "{result}: {count:?}\n{}", agent.log());
        }
        assert_eq!(agent.log().matches("cannot look up").count(), failed as usize, "{}", agent.log());
        assert_eq!(cluster.count(&stream).await, 2 + copies, "{theme}");

        let search = http::client().get(format!("{}/{stream}/_search", cluster.url()));
        let answer = search.header("authorization", format!("ApiKey {encoded}")).send().await;
        assert_eq!(answer.expect("an answer").status().as_u16(), 403, "the agent's key cannot search");
    }
}

#[tokio::test]
async fn a_proxy_is_taken_from_the_environment() {
    let secured = Elasticsearch::secured().await;
    let plain = Elasticsearch::shared().await;
    let [pair, _] = api_key(&secured).await;
    for (cluster, variable, access, asked) in [
        (&secured, "HTTPS_PROXY", format!("api_key: '{pair}'"), "CONNECT 127.0.0.1:"),
        (&plain, "HTTP_PROXY", "compression: gzip".to_owned(), " http://127.0.0.1:"),
    ] {
        let proxy = Proxy::serve().await;
        let (dataset, stream) = dataset(cluster, "proxy");
        let node = wrote(20);
        let mut agent = agent(&node, cluster, &dataset, &access, "");
        agent = agent.with(variable, proxy.url());
        agent.start().await;
        agent.until_metric(SHIPPED, 20.0).await;
        holds_each_line(cluster, &stream, 20).await;
        let seen = proxy.asked();
        assert!(!seen.is_empty() && seen.iter().all(|line| line.contains(asked)), "{seen:?}");
        assert!(agent.term().await.success());

        // Not for these.
        let mut agent = agent.with("NO_PROXY", "127.0.0.1");
        let mut web = node.pod("shop", "web-2", "web");
        web.out("around it");
        agent.start().await;
        agent.until_metric(SHIPPED, 1.0).await;
        assert_eq!(proxy.asked().len(), seen.len());
    }
}

/// Whatever goes wrong with it, a secret is in no output.
#[tokio::test]
async fn a_secret_is_never_shown() {
    use base64::Engine as _;
    const SECRET: &str = "xyzzy-plugh-42";
    let cluster = Elasticsearch::secured().await;
    let (dataset, _) = dataset(&cluster, "secret");
    let node = wrote(3);
    let file = node.path().join("secret");
    replace(&file, SECRET);
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let forms = [SECRET.to_owned(), encoded(&format!("id:{SECRET}")), encoded(&format!("nobody:{SECRET}"))];
    for access in [
        format!("api_key: 'id:{SECRET}'"),
        format!("api_key: '{}'", forms[1]),
        format!("username: nobody, password: '{SECRET}'"),
        format!("username: nobody, password_file: '{}'", file.display()),
        "username: nobody, password: '${SECRET}'".to_owned(),
    ] {
        let mut agent = agent(&node, &cluster, &dataset, &access, "").with("SECRET", SECRET);
        agent = agent.with("SKIDDER_LOG", "trace");
        agent.start().await;
        let refused = async || agent.status().await["not_ready"].to_string().contains("401");
        agent.until("the credentials to be refused", refused).await;
        let mut shown = Vec::new();
        for path in ["/", "/status", "/metrics", "/readyz"] {
            shown.push(agent.answer(path).await.expect("an answer").1);
        }
        for arguments in
            [&["check"][..], &["check", "--json"], &["setup"], &["status", "--url", agent.address()]]
        {
            shown.push(agent.ask(arguments).await.1);
        }
        shown.push(agent.log());
        let is_written = !access.contains("_file");
        assert_eq!(shown.iter().any(|text| text.contains("***")), is_written, "where it stands it is masked");
        for text in &shown {
            assert!(forms.iter().all(|form| !text.contains(form)), "{access}: {text}");
        }
        // A configuration that is wrong beside it is quoted without it.
        let text = agent.configuration().replace("batch:", "in_flight: none, batch:");
        agent.configure(&text);
        let (code, said) = agent.ask(&["check"]).await;
        assert_eq!(code, Some(2), "{said}");
        assert!(forms.iter().all(|form| !said.contains(form)), "{access}: {said}");
    }
}
