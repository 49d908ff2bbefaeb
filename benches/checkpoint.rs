//! What the checkpoint costs: settling receipts, writing positions, waiting for the disk, starting.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use skidder::checkpoint::{Ledger, Store, read};
use skidder::event::{GenerationKey, Receipt, Record, SourceId, SourceKey};
use tempfile::TempDir;

/// The containers of a full node.
const SOURCES: u32 = 300;
/// A node whose dead pods' files are all still there.
const FILES: u32 = 10_000;

fn name(source: u32) -> SourceKey {
    SourceKey(Arc::from(format!("pod/0b2c6f0e-1d1c-4b0e-9a66-3f6b5c9d{source:04x}/web/0")))
}

fn receipt(source: u32, index: u64) -> Receipt {
    let generation = GenerationKey([7; 9]);
    Receipt {
        source: SourceId(source),
        key: name(source),
        index,
        generation,
        offset: 4_096 * index,
        anchor: 0,
    }
}

fn position(source: u32, offset: u64) -> Record {
    Record::Position { source: name(source), key: GenerationKey([7; 9]), offset, anchor: 0 }
}

fn generation(source: u32) -> Record {
    let key = GenerationKey([7; 9]);
    Record::Generation {
        source: name(source),
        key,
        head_len: 180,
        head: 1 << 60,
        device: 2049,
        inode: 1 << 20,
        start: 0,
        size: 0,
    }
}

fn open(data_dir: &Path) -> Store {
    match Store::open(data_dir) {
        Ok((store, _)) => store,
        Err(error) => panic!("{error}"),
    }
}

fn folder() -> TempDir {
    TempDir::new().unwrap_or_else(|error| panic!("{error}"))
}

fn checkpoint(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("checkpoint");

    group.throughput(Throughput::Elements(u64::from(SOURCES)));
    group.bench_function("settle a batch of every container", |bencher| {
        let mut ledger = Ledger::new();
        let mut index = 0;
        bencher.iter_batched(
            || {
                let receipts: Vec<_> = (0..SOURCES).map(|source| receipt(source, index)).collect();
                index += 1;
                receipts
            },
            |receipts| {
                receipts.into_iter().filter(|receipt| ledger.settle(receipt.clone()).is_some()).count()
            },
            BatchSize::LargeInput,
        );
    });

    let data_dir = folder();
    let mut store = open(data_dir.path());
    let mut offset = 0;
    group.bench_function("write every container's position", |bencher| {
        bencher.iter(|| {
            offset += 4_096;
            let records: Vec<_> = (0..SOURCES).map(|source| position(source, offset)).collect();
            store.append(&records, false).and_then(|()| store.compact_if_due()).is_ok()
        });
    });

    group.throughput(Throughput::Elements(1));
    group.bench_function("make one cut durable", |bencher| {
        bencher.iter(|| {
            offset += 4_096;
            store.append(&[position(1, offset)], true).is_ok()
        });
    });

    let data_dir = folder();
    let mut store = open(data_dir.path());
    for source in 0..FILES {
        if let Err(error) = store.append(&[generation(source), position(source, 9_000)], false) {
            panic!("{error}");
        }
    }
    let bytes = std::fs::read(data_dir.path().join("checkpoint")).unwrap_or_default();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("read the checkpoint of 10,000 files", |bencher| {
        bencher.iter(|| read(black_box(&bytes)).map(|reading| reading.saved.sources.len()));
    });
    group.finish();
}

criterion_group!(benches, checkpoint);
criterion_main!(benches);
