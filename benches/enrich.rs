//! What a document costs: rendering one event, by kind of message. `cargo bench --bench enrich`.

// A bench that cannot begin may panic.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use skidder::enrich::document::globs;
use skidder::enrich::{
    DocumentSettings, JsonMode, Metadata, Pods, Schema, Scratch, Subject, Template, escape,
};
use skidder::event::{Event, Origin, Position, Span, Stream, Target, TargetKind};

const POD: &str = "827ea626-4087-4bd8-83dd-94f45392d429";

/// A template with the metadata of a recorded Deployment's pod.
fn template(json: JsonMode) -> Template {
    let pods = Pods::parse(&include_bytes!("../tests/data/kubelet/pods.json")[..]).expect("recorded");
    let origin = Origin::Pod {
        namespace: "shop".to_owned(),
        pod: "checkout-5d8f7c9b6d-x7k2p".to_owned(),
        uid: POD.to_owned(),
        container: "web".to_owned(),
        instance: 0,
        container_id: None,
    };
    let target = Target {
        name: "logs-kubernetes.container_logs-default".to_owned(),
        kind: TargetKind::DataStream,
        pipeline: String::new(),
    };
    let settings = DocumentSettings {
        schema: Schema::Ecs,
        json,
        labels: globs(&["*"]).expect("a glob"),
        annotations: globs::<&str>(&[]).expect("no glob"),
        dedot: true,
        add_fields: serde_json::Map::new(),
        node_name: "lab-node".to_owned(),
    };
    let subject = Subject {
        origin: &origin,
        pod: pods.get(POD).map(|pod| &**pod),
        docker: None,
        path: "/var/log/pods/shop_checkout-5d8f7c9b6d-x7k2p_827ea626-4087-4bd8-83dd-94f45392d429/web/0.log",
        target: Some(&target),
        metadata: Metadata::Full,
        json: None,
    };
    Template::new(&settings, &subject)
}

fn event(message: &[u8], utf8: bool) -> Event<'_> {
    Event {
        utf8,
        span: Span { start: Position { generation: 0, offset: 123_456_789 }, end: Position::default() },
        ..Event::line(b"2026-11-22T17:59:23.309465212Z", Stream::Stdout, message)
    }
}

const PLAIN: &str = "GET /api/v1/carts/8c1f0d/items?limit=50&page=2 200 12.4ms 10.42.0.17 Mozilla/5.0 (X11; Linux \
                     x86_64) AppleWebKit/537.36 request-id=5f2b7c1e9a user=4711 cache=miss";
const QUOTED: &str = r#"10.42.0.17 - - [22/Nov/2026:17:59:23 +0000] "GET /carts HTTP/1.1" 200 512 "https://shop/" "Mozilla/5.0 (X11; Linux x86_64)" rt="0.012""#;
const JSON: &str = r#"{"level":"info","ts":1795370363.309,"caller":"http/server.go:112","msg":"request","method":"GET","path":"/api/v1/carts","status":200,"ms":12.4,"user":{"id":4711,"roles":["a","b"]}}"#;

fn documents(criterion: &mut Criterion) {
    let trace = format!(
        "java.lang.IllegalStateException: {PLAIN}\n{}",
        "\tat c.s.cart.Cart.add(Cart.java:42)\n".repeat(50)
    );
    let mut group = criterion.benchmark_group("document");
    for (name, json, message, utf8) in [
        ("plain", JsonMode::Nested, PLAIN, true),
        ("plain, UTF-8 unknown", JsonMode::Nested, PLAIN, false),
        ("quotes", JsonMode::Nested, QUOTED, true),
        ("trace of 50 frames", JsonMode::Nested, &trace, true),
        ("json nested", JsonMode::Nested, JSON, true),
        ("json merge", JsonMode::Merge, JSON, true),
        ("json off", JsonMode::Off, JSON, true),
    ] {
        let template = template(json);
        let event = event(message.as_bytes(), utf8);
        let (mut scratch, mut out) = (Scratch::default(), Vec::with_capacity(1 << 16));
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                out.clear();
                template.render(black_box(&event), &mut scratch, &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// Escaping alone, ours beside the crate that needs a `str`.
fn escaping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("escape");
    for (name, message) in [("plain", PLAIN), ("quotes", QUOTED)] {
        group.throughput(Throughput::Bytes(message.len() as u64));
        let mut out = Vec::with_capacity(1 << 16);
        group.bench_function(BenchmarkId::new("ours", name), |bencher| {
            bencher.iter(|| {
                out.clear();
                escape::append_message(black_box(message.as_bytes()), true, &mut out);
                black_box(&out);
            });
        });
        group.bench_function(BenchmarkId::new("json-escape-simd with a check", name), |bencher| {
            bencher.iter(|| {
                out.clear();
                let text = simdutf8::basic::from_utf8(black_box(message.as_bytes())).unwrap_or_default();
                json_escape_simd::escape_into(text, &mut out);
                black_box(&out);
            });
        });
    }
    group.finish();
}

/// The kubelet's answer.
fn pods(criterion: &mut Criterion) {
    let answer = include_bytes!("../tests/data/kubelet/pods.json");
    let mut group = criterion.benchmark_group("pods");
    group.throughput(Throughput::Bytes(answer.len() as u64));
    group.bench_function("parse", |bencher| bencher.iter(|| Pods::parse(black_box(&answer[..]))));
    group.finish();
}

criterion_group!(benches, documents, escaping, pods);
criterion_main!(benches);
