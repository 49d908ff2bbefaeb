//! Batching: documents of ready bytes into bodies, what it costs over copying them.
#![allow(missing_docs, reason = "made by criterion's macros")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skidder::batch::{Assembler, Entry, Layout, Mark, Settings, ids};
use skidder::event::{GenerationKey, SourceId, SourceKey, Target, TargetKind};

/// Lines of a block, all of one source.
const BLOCK: u64 = 1_000;
const BLOCKS: u64 = 64;
const SOURCES: u64 = 16;
/// What a document weighs with its metadata, and the log line that it stands for.
const DOCUMENT: usize = 700;
const LINE: u64 = 214;

/// Pushes all blocks, taking and giving back the batches as an output would.
fn push_all(assembler: &mut Assembler, target: &Arc<Target>, document: &[u8], now: Instant) -> u64 {
    let mut sealed = 0;
    for block in 0..BLOCKS {
        let source = SourceId((block % SOURCES) as u32);
        let key = SourceKey(format!("pod/{}", source.0).into());
        let generation = GenerationKey([source.0 as u8; 9]);
        let begin = block / SOURCES * BLOCK * LINE;
        assembler.mark(source, &key, Mark { generation, offset: begin, anchor: 0 }, now);
        for line in 0..BLOCK {
            let (start, end) = (begin + line * LINE, begin + (line + 1) * LINE);
            let entry = Entry {
                target: Some(target),
                start: (&generation, start),
                end: (&generation, end),
                source,
                bytes: LINE,
                time: Some(line as i64),
                sent_before: false,
            };
            assembler.push(entry, |body| body.extend_from_slice(document), now);
        }
        assembler.mark(source, &key, Mark { generation, offset: begin + BLOCK * LINE, anchor: 0 }, now);
        while let Some(batch) = assembler.sealed() {
            sealed += 1;
            assembler.recycle(batch.body);
        }
    }
    sealed
}

fn assembling(criterion: &mut Criterion) {
    let now = Instant::now();
    let target = Arc::new(Target {
        name: "logs-kubernetes.container_logs-default".into(),
        kind: TargetKind::DataStream,
        pipeline: String::new(),
    });
    let document = [b'x'; DOCUMENT];
    let mut group = criterion.benchmark_group("batch");
    group.sample_size(20);
    group.throughput(Throughput::Elements(BLOCKS * BLOCK));
    for (name, layout) in [
        ("ids", Layout::Bulk { document_ids: true }),
        ("no ids", Layout::Bulk { document_ids: false }),
        ("lines", Layout::Lines),
    ] {
        let wait = Duration::from_secs(1);
        let settings = Settings { max_bytes: 5 << 20, max_wait: wait, first_wait: wait, layout };
        group.bench_function(name, |bencher| {
            // The second round runs on bodies that come back, as a busy agent's do.
            bencher.iter_batched_ref(
                || {
                    let mut assembler = Assembler::new(settings);
                    push_all(&mut assembler, &target, &document, now);
                    assembler
                },
                |assembler| black_box(push_all(assembler, &target, &document, now)),
                BatchSize::LargeInput,
            );
        });
    }
    let mut body = Vec::with_capacity(6 << 20);
    group.bench_function("copying alone", |bencher| {
        bencher.iter(|| {
            for _ in 0..BLOCKS * BLOCK {
                if body.len() > 5 << 20 {
                    body.clear();
                }
                body.extend_from_slice(black_box(&document));
            }
        });
    });
    group.finish();
}

fn id(criterion: &mut Criterion) {
    let key = GenerationKey([7; 9]);
    let mut out = Vec::with_capacity(64);
    let mut group = criterion.benchmark_group("id");
    group.throughput(Throughput::Elements(1));
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            out.clear();
            ids::write(&mut out, (black_box(&key), black_box(1_234_567)), (&key, black_box(1_234_781)));
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, assembling, id);
criterion_main!(benches);
