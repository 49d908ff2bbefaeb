//! What joining costs per line: ordinary lines of several kinds, and the traces of each language.
//!
//! `cargo bench --bench join` prints the time of a whole text; the throughput is in lines (elements) a second.

#![allow(clippy::expect_used, reason = "a bench that cannot begin should say why")]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use skidder::event::{Event, Line, Position, Span, Stream};
use skidder::join::{Joiner, Language, Rules, Settings};

const ORDINARY: [(&str, &str); 7] = [
    (
        "text",
        "listening on port 8080, three workers are ready and eleven more will follow in a while, as it is said",
    ),
    (
        "access",
        r#"10.0.0.1 - - [22/Nov/2026:10:00:01 +0000] "GET /cart/17?of=tea HTTP/1.1" 200 615 "-" "curl/8.5.0""#,
    ),
    (
        "dated-info",
        "2026-11-22T10:00:00.123Z  INFO 1 --- [nio-8080-exec-1] com.acme.shop.CartController : 3 items in cart 17",
    ),
    (
        "dated-error",
        "2026-11-22T10:00:00.123Z ERROR 1 --- [nio-8080-exec-1] com.acme.shop.CartController : no items in cart 17",
    ),
    (
        "json",
        r#"{"level":"error","ts":"2026-11-22T10:00:00.123Z","msg":"failed","error":"no rows","cart":17,"items":[1,2]}"#,
    ),
    ("possible-head", "error: the other side refused the connection, it is tried again in three seconds"),
    ("blank", ""),
];

/// Gives each line to a joiner, as often as there are lines, at ever later places.
fn join(rules: &Arc<Rules>, lines: &[&str]) -> u64 {
    let (mut joiner, now) = (Joiner::new(Arc::clone(rules)), Instant::now());
    let (mut bytes, mut at) = (0, 0);
    let mut sink = |event: &Event<'_>| bytes += black_box(event).bytes;
    for line in lines {
        let end = at + line.len() as u64 + 1;
        let span = Span {
            start: Position { generation: 0, offset: at },
            end: Position { generation: 0, offset: end },
        };
        at = end;
        let line = Line {
            time: b"2026-11-22T10:00:00.123456789Z",
            stream: Stream::Stderr,
            partial: false,
            message: line.as_bytes(),
            utf8: true,
            malformed: false,
            truncated: 0,
            span,
        };
        joiner.push(&line, now, &mut sink);
    }
    joiner.finish(&mut sink);
    bytes
}

fn ordinary(criterion: &mut Criterion) {
    let rules = Arc::new(Rules::compile(&Settings::default()).expect("the built-in rules compile"));
    let mut group = criterion.benchmark_group("join/ordinary");
    group.throughput(Throughput::Elements(1000));
    for (name, line) in ORDINARY {
        let lines = vec![line; 1000];
        group.bench_function(name, |bench| bench.iter(|| join(&rules, black_box(&lines))));
    }
    group.finish();
}

fn traces(criterion: &mut Criterion) {
    let rules = Arc::new(Rules::compile(&Settings::default()).expect("the built-in rules compile"));
    let mut group = criterion.benchmark_group("join/traces");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces");
    for language in Language::ALL {
        let files = fs::read_dir(data.join(language.name())).expect("the cases are there");
        let texts: Vec<String> = files.flatten().flat_map(|file| fs::read_to_string(file.path())).collect();
        let lines: Vec<&str> =
            texts.iter().flat_map(|text| text.lines()).filter(|line| *line != "%%").collect();
        group.throughput(Throughput::Elements(lines.len() as u64));
        let id = BenchmarkId::from_parameter(language.name());
        group.bench_with_input(id, &lines, |bench, lines| bench.iter(|| join(&rules, lines)));
    }
    group.finish();
}

fn compile(criterion: &mut Criterion) {
    criterion.bench_function("join/compile", |bench| {
        bench.iter(|| Rules::compile(black_box(&Settings::default())))
    });
}

criterion_group!(benches, ordinary, traces, compile);
criterion_main!(benches);
