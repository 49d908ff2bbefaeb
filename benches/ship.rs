//! Shipping: compressing a body, reading an answer, and all the bookkeeping around a request that is answered
//! at once.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "made by criterion's macros; a bench that cannot go on ends"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skidder::event::{Batch, Item, SourceId, Target, TargetKind};
use skidder::ship::elasticsearch::transport::{Answer, Failure, Request, Transport};
use skidder::ship::elasticsearch::{Compression, Settings, StateHandle, parse, run_over};
use skidder::ship::gzip::Compressor;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// A body of `batch.max_bytes`.
const BODY: usize = 5 << 20;
/// What the kubelet tells of a pod, as it stands in each document.
const METADATA: &str = r#""kubernetes":{"namespace":"shop","pod":{"name":"web-7d4b9c-xk2lp","uid":"0d1f5e0a-7c5e-4a5b-9d5e-2f6b1c3d4e5f","ip":"10.0.0.7"},"container":{"name":"web"},"node":{"name":"node-1"},"labels":{"app_kubernetes_io/name":"web","app_kubernetes_io/part-of":"shop","pod-template-hash":"7d4b9c"},"replicaset":{"name":"web-7d4b9c"},"deployment":{"name":"web"}},"container":{"id":"5f0c0e8a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6","runtime":"containerd","image":{"name":"registry/web:1.4"}},"host":{"name":"node-1"},"data_stream":{"type":"logs","dataset":"kubernetes.container_logs","namespace":"default"},"ecs":{"version":"8.11.0"}"#;

/// Documents as the agent writes them, with ids that grow within a generation.
fn batch(target: &Arc<Target>) -> Batch {
    let mut random = fastrand::Rng::with_seed(1);
    let mut batch = Batch { target: Some(Arc::clone(target)), ..Batch::default() };
    let mut text = String::new();
    let mut offset = 0_u64;
    while text.len() < BODY {
        let start = text.len() as u32;
        let _ = writeln!(text, r#"{{"create":{{"_id":"q83v7xIlMd0A{offset:010x}"}}}}"#);
        let document = text.len() as u32;
        let nanos = offset * 1_713 % 1_000_000_000;
        let (status, took, user) = (random.u16(200..504), random.u32(..90_000), random.u32(..));
        let _ = writeln!(
            text,
            r#"{{"@timestamp":"2026-11-22T10:00:00.{nanos:09}Z","message":"GET /cart/{user} {status} took {took}us from 10.1.{}.{}","stream":"stdout","log":{{"file":{{"path":"/var/log/pods/shop_web/web/0.log"}},"offset":{offset}}},{METADATA}}}"#,
            random.u8(..),
            random.u8(..),
        );
        batch.items.push(Item { start, document, source: SourceId(0), bytes: 120 });
        offset += 120;
    }
    batch.body = text.into_bytes();
    batch
}

fn answer(count: usize) -> String {
    let items = vec![r#"{"create":{"status":201}}"#; count].join(",");
    format!(r#"{{"errors":false,"items":[{items}]}}"#)
}

fn target() -> Arc<Target> {
    Arc::new(Target {
        name: "logs-kubernetes.container_logs-default".into(),
        kind: TargetKind::DataStream,
        pipeline: String::new(),
    })
}

fn compressing(criterion: &mut Criterion) {
    let body = batch(&target()).body;
    let mut compressor = Compressor::default();
    let mut out = Vec::new();
    compressor.compress(&body, &mut out);
    let mut group = criterion.benchmark_group("ship");
    group.sample_size(20);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function(format!("gzip, ratio {:.1}", body.len() as f64 / out.len() as f64), |bencher| {
        bencher.iter(|| {
            out.clear();
            compressor.compress(black_box(&body), &mut out);
        });
    });
    group.finish();
}

fn reading(criterion: &mut Criterion) {
    let count = batch(&target()).items.len();
    let answer = answer(count);
    let mut group = criterion.benchmark_group("ship");
    group.throughput(Throughput::Elements(count as u64));
    group.bench_function("answer", |bencher| bencher.iter(|| parse(black_box(answer.as_bytes()), count)));
    group.finish();
}

/// A cluster that takes everything at once.
struct Taker(String);

impl Transport for Taker {
    async fn send(&self, _: Request) -> Result<Answer, Failure> {
        Ok(Answer::new(200, self.0.clone()))
    }
}

fn dispatching(criterion: &mut Criterion) {
    const BATCHES: usize = 16;
    let runtime = Runtime::new().unwrap();
    let target = target();
    let sample = batch(&target);
    let taker = Arc::new(Taker(answer(sample.items.len())));
    let batches = || -> Vec<Batch> {
        let copy = || Batch {
            target: sample.target.clone(),
            body: sample.body.clone(),
            items: sample.items.clone(),
            ..Batch::default()
        };
        (0..BATCHES).map(|_| copy()).collect()
    };
    let mut group = criterion.benchmark_group("ship");
    group.sample_size(10);
    group.throughput(Throughput::Bytes((sample.body.len() * BATCHES) as u64));
    for (name, compression) in [("dispatch", Compression::None), ("dispatch and gzip", Compression::Gzip)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                batches,
                |batches| {
                    let settings = Settings { setup: false, compression, ..Settings::new(Vec::new()) };
                    runtime.block_on(async {
                        let (send, receive) = mpsc::channel(BATCHES);
                        let (settled, mut verdicts) = mpsc::unbounded_channel();
                        for batch in batches {
                            send.send(batch).await.unwrap();
                        }
                        drop(send);
                        let (metrics, state) = (Arc::default(), StateHandle::default());
                        run_over(Arc::clone(&taker), settings, receive, settled, metrics, state).await;
                        let mut count = 0;
                        while let Some(settled) = verdicts.recv().await {
                            count += settled.verdicts.len();
                        }
                        count
                    })
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, compressing, reading, dispatching);
criterion_main!(benches);
