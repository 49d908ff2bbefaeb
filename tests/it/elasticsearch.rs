//! What Skidder relies on of Elasticsearch, asked of a real one.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::elasticsearch::{Elasticsearch, Options};

/// A bulk of `create` actions with these ids.
fn creates(ids: &[&str]) -> Vec<Value> {
    ids.iter()
        .flat_map(|id| {
            let document = json!({
                "@timestamp": "2026-11-22T10:00:00.123456789Z",
                "message": format!("line {id}"),
                "log": { "offset": id.len() },
            });
            [json!({ "create": { "_id": id } }), document]
        })
        .collect()
}

/// The `status` of each item of a bulk answer.
fn statuses(answer: &Value) -> Vec<u64> {
    let items = answer["items"].as_array().expect("items of a bulk answer");
    items.iter().map(|item| item["create"]["status"].as_u64().expect("status of an item")).collect()
}

#[tokio::test]
async fn an_id_is_created_once() {
    let elasticsearch = Elasticsearch::shared().await;
    let stream = elasticsearch.stream("once");
    elasticsearch
        .template(&stream, &json!({ "properties": { "@timestamp": { "type": "date_nanos" } } }))
        .await;

    let first = elasticsearch.bulk(&stream, &creates(&["a", "b"])).await;
    assert_eq!(statuses(&first.body), [201, 201]);
    let second = elasticsearch.bulk(&stream, &creates(&["b", "c"])).await;
    assert_eq!(statuses(&second.body), [409, 201]);
    assert_eq!(second.body["errors"], true);

    assert_eq!(elasticsearch.count(&stream).await, 3);
    let hits = elasticsearch.search(&stream, &json!({ "match": { "message": "c" } })).await;
    assert_eq!(hits[0]["_source"]["message"], "line c");
    elasticsearch.delete_stream(&stream).await;
}

#[tokio::test]
async fn a_data_stream_is_made_by_its_first_document() {
    let elasticsearch = Elasticsearch::shared().await;
    let stream = elasticsearch.stream("made");
    elasticsearch.template(&stream, &json!({})).await;

    assert_eq!(elasticsearch.count(&stream).await, 0);
    let answer = elasticsearch.bulk(&stream, &creates(&["a"])).await;
    let index = answer.body["items"][0]["create"]["_index"].as_str().expect("index of an item");
    assert!(index.starts_with(&format!(".ds-{stream}-")), "{index}");
    let resolved = elasticsearch.get(&format!("/_resolve/index/{stream}")).await;
    assert_eq!(resolved.body["data_streams"][0]["backing_indices"][0], index);
    elasticsearch.delete_stream(&stream).await;
}

/// The gap that a look-up by id before a second try has to close.
#[tokio::test]
async fn an_id_is_unique_within_one_backing_index_only() {
    let elasticsearch = Elasticsearch::shared().await;
    let stream = elasticsearch.stream("rollover");
    elasticsearch.template(&stream, &json!({})).await;

    let before = elasticsearch.bulk(&stream, &creates(&["a"])).await;
    let rolled = elasticsearch.post(&format!("/{stream}/_rollover"), &json!({})).await;
    assert_eq!(rolled.body["rolled_over"], true);
    let after = elasticsearch.bulk(&stream, &creates(&["a"])).await;
    assert_eq!(statuses(&after.body), [201]);
    assert_eq!(elasticsearch.count(&stream).await, 2);

    let old = before.body["items"][0]["create"]["_index"].as_str().expect("index of an item").to_owned();
    assert_eq!(elasticsearch.get(&format!("/{old}/_doc/a")).await.body["found"], true);
    elasticsearch.delete_stream(&stream).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let mut elasticsearch = Elasticsearch::own(Options::default()).await;
    let (url, stream) = (elasticsearch.url().to_owned(), elasticsearch.stream("kill"));
    elasticsearch.template(&stream, &json!({})).await;

    let ids: Vec<_> = (0..12_000).map(|number| format!("id-{number}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let answer = elasticsearch.bulk(&stream, &creates(&ids)).await;
    assert_eq!(answer.body["errors"], false);

    elasticsearch.kill9();
    elasticsearch.restart().await;
    assert_eq!(elasticsearch.url(), url, "the address is kept, for the agent knows no other");
    let hits = elasticsearch.search(&stream, &json!({ "match_all": {} })).await;
    let found: HashSet<_> = hits.iter().filter_map(|hit| hit["_id"].as_str()).collect();
    assert_eq!((hits.len(), found.len()), (12_000, 12_000));
    let again = elasticsearch.bulk(&stream, &creates(&["id-0"])).await;
    assert_eq!(statuses(&again.body), [409]);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused_without_a_word() {
    let elasticsearch = Elasticsearch::own(Options::default().setting("http.max_content_length=1kb")).await;
    let stream = elasticsearch.stream("large");
    let ids: Vec<_> = (0..100).map(|number| format!("id-{number}")).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let answer = elasticsearch.bulk(&stream, &creates(&ids)).await;
    assert_eq!((answer.status.as_u16(), answer.body), (413, Value::Null));
}

#[tokio::test]
async fn security_wants_a_name_and_tls_an_authority() {
    let elasticsearch = Elasticsearch::own(Options::default().server("8-security").tls()).await;
    assert!(elasticsearch.url().starts_with("https://127.0.0.1:"));
    let root = elasticsearch.get("/").await;
    assert_eq!(root.body["tagline"], "You Know, for Search");

    // A key that may write to streams of logs alone.
    let role =
        json!({ "indices": [{ "names": ["logs-*"], "privileges": ["create_doc", "auto_configure"] }] });
    let key = json!({ "name": "skidder", "role_descriptors": { "skidder": role } });
    let key = elasticsearch.post("/_security/api_key", &key).await;
    let encoded = key.body["encoded"].as_str().expect("an API key");

    let ca = std::fs::read(elasticsearch.ca().expect("an authority")).expect("certificate of the authority");
    let ca = reqwest::Certificate::from_pem(&ca).expect("certificate of the authority");
    let client = reqwest::Client::builder().tls_certs_only([ca]).build().expect("HTTP client");
    let bulk = |target: &str| {
        let body = "{\"create\":{}}\n{\"@timestamp\":\"2026-11-22T10:00:00Z\"}\n";
        let request = client.post(format!("{}/{target}/_bulk", elasticsearch.url())).body(body);
        request.header("content-type", "application/x-ndjson")
    };
    let nobody = bulk("logs-a-b").send().await.expect("an answer");
    assert_eq!(nobody.status().as_u16(), 401);

    elasticsearch.template("logs-a-b", &json!({})).await;
    for (target, status) in [("logs-a-b", 201), ("metrics-a-b", 403)] {
        let request = bulk(target).header("authorization", format!("ApiKey {encoded}"));
        let answer = request.send().await.expect("an answer").bytes().await.expect("an answer's body");
        assert_eq!(statuses(&serde_json::from_slice(&answer).expect("JSON")), [status], "{target}");
    }
}

#[tokio::test]
async fn elasticsearch_9_tells_its_version() {
    tells_its_version("9", "9.").await;
}

#[tokio::test]
async fn opensearch_2_tells_its_version() {
    tells_its_version("opensearch-2", "2.").await;
}

async fn tells_its_version(server: &'static str, start: &str) {
    let elasticsearch = Elasticsearch::own(Options::default().server(server)).await;
    let root = elasticsearch.get("/").await;
    let number = root.body["version"]["number"].as_str().expect("a version");
    assert!(number.starts_with(start), "{number}");
    let stream = elasticsearch.stream("version");
    elasticsearch.template(&stream, &json!({})).await;
    let answer = elasticsearch.bulk(&stream, &creates(&["a", "a"])).await;
    assert_eq!(statuses(&answer.body), [201, 409]);
}
