//! The messages of `tests/data/json`, put before a real server: each is indexed, or kept as text; none is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, json};
use skidder::enrich::document::globs;
use skidder::enrich::{DocumentSettings, JsonMode, Metadata, Schema, Scratch, Subject, Template};
use skidder::event::{
    Batch, Event, Item, Origin, Position, SourceId, Span, Stream, Target, TargetKind, Verdict,
};
use skidder::observe::Metrics;
use skidder::ship::elasticsearch::{Settings, StateHandle, run};
use tokio::sync::mpsc;

use crate::support::elasticsearch::Elasticsearch;

/// One message: as it is, or of parts with how often each stands there.
#[derive(Deserialize)]
struct Case {
    name: String,
    message: Option<String>,
    #[serde(default)]
    parts: Vec<(String, usize)>,
}

fn cases() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/json/messages.ndjson");
    let text = fs::read_to_string(path).expect("the messages");
    let cases = text.lines().map(|line| serde_json::from_str::<Case>(line).expect("a message"));
    let whole = |parts: &[(String, usize)]| parts.iter().map(|(part, times)| part.repeat(*times)).collect();
    cases.map(|case| (case.name, case.message.unwrap_or_else(|| whole(&case.parts)))).collect()
}

fn stream(cluster: &Elasticsearch, theme: &str) -> Arc<Target> {
    let dataset = cluster.stream(theme).replace("logs-", "").replace('-', ".");
    let name = format!("logs-{dataset}-default");
    Arc::new(Target { name, kind: TargetKind::DataStream, pipeline: String::new() })
}

/// The document of each message, each a nanosecond after the other.
fn documents(mode: JsonMode, target: &Target) -> Vec<Vec<u8>> {
    let settings = DocumentSettings {
        schema: Schema::Ecs,
        json: mode,
        labels: globs(&["*"]).expect("a glob"),
        annotations: globs::<&str>(&[]).expect("no glob"),
        dedot: true,
        add_fields: Map::new(),
        node_name: "node-1".to_owned(),
    };
    let subject = Subject {
        origin: &Origin::File,
        pod: None,
        docker: None,
        path: "/var/log/odd.log",
        target: Some(target),
        metadata: Metadata::NotKubernetes,
        json: None,
    };
    let (template, mut scratch) = (Template::new(&settings, &subject), Scratch::default());
    let render = |(number, (_, message)): (usize, (String, String))| {
        let time = format!("2026-11-22T10:00:00.{number:09}Z");
        let start = Position { generation: 0, offset: number as u64 };
        let line = Event::line(time.as_bytes(), Stream::Stdout, message.as_bytes());
        let event = Event { span: Span { start, end: start }, ..line };
        let mut document = Vec::new();
        template.render(&event, &mut scratch, &mut document);
        document
    };
    cases().into_iter().enumerate().map(render).collect()
}

/// Ships all messages of one mode to one data stream, set up by the output itself; gives the stream.
async fn ship(cluster: &Elasticsearch, mode: JsonMode, theme: &str) -> String {
    let target = stream(cluster, theme);
    let mut batch = Batch { target: Some(Arc::clone(&target)), ..Batch::default() };
    for (number, document) in documents(mode, &target).into_iter().enumerate() {
        let start = batch.body.len() as u32;
        batch.body.extend_from_slice(format!("{{\"create\":{{\"_id\":\"{number:03}\"}}}}\n").as_bytes());
        let written = batch.body.len() as u32;
        batch.items.push(Item { start, document: written, source: SourceId(0), bytes: 1 });
        batch.body.extend_from_slice(&document);
    }
    let count = batch.items.len();
    let (send, receive) = mpsc::channel(1);
    let (settled, mut verdicts) = mpsc::unbounded_channel();
    send.send(batch).await.expect("room for one");
    drop(send);
    let settings = Settings::new(vec![cluster.url().parse().expect("a URL")]);
    let (metrics, state) = (Arc::new(Metrics::default()), StateHandle::default());
    run(settings, receive, settled, metrics, state).await.expect("no certificates are needed");
    let settled = verdicts.recv().await.expect("the batch");
    assert_eq!(settled.verdicts, vec![Verdict::Shipped; count], "{theme}");
    target.name.clone()
}

/// Ships all messages in the three modes. Beside each other none is refused but in `merge`, where one program's field
/// may be a number and another's an object: there each is sent to a data stream of its own.
pub async fn none_is_refused(cluster: &Elasticsearch) {
    let count = cases().len();
    assert!(count >= 60);
    for (mode, theme) in [(JsonMode::Nested, "nested"), (JsonMode::Merge, "merge"), (JsonMode::Off, "off")] {
        let stream = ship(cluster, mode, theme).await;
        let hits = cluster.search(&stream, &json!({ "match_all": {} })).await;
        let numbers: Vec<_> =
            hits.iter().filter_map(|hit| hit["_source"]["log"]["offset"].as_u64()).collect();
        assert_eq!(
            numbers,
            (0..count as u64).collect::<Vec<_>>(),
            "{theme}: in the order of their nanoseconds"
        );
        if mode != JsonMode::Merge {
            let safe = cluster.search(&stream, &json!({ "exists": { "field": "error.type" } })).await;
            assert!(safe.is_empty(), "{theme}: {safe:#?}");
        }
    }
    let (mut lines, mut streams) = (String::new(), BTreeSet::new());
    let one = stream(cluster, "alone");
    let pattern = one.name.replace("-default", ".*-default");
    let template = json!({ "index_patterns": [pattern], "data_stream": {}, "priority": 300,
        "composed_of": ["skidder-logs"], "template": { "settings": { "number_of_replicas": 0 } } });
    let answer = cluster.put("/_index_template/alone", &template).await;
    assert!(answer.status.is_success(), "{answer:?}");
    for (number, document) in documents(JsonMode::Merge, &one).into_iter().enumerate() {
        let name = one.name.replace("-default", &format!(".{number}-default"));
        lines += &format!("{}\n", json!({ "create": { "_index": name, "_id": "a" } }));
        lines += str::from_utf8(&document).expect("UTF-8");
        streams.insert(name);
    }
    let answer = cluster.bulk_text(&one.name, lines).await;
    let items = answer.body["items"].as_array().expect("items");
    for ((name, _), item) in cases().iter().zip(items) {
        assert_eq!(item["create"]["status"], 201, "{name}: {item}");
    }
    for stream in streams {
        cluster.delete_stream(&stream).await;
    }
}
