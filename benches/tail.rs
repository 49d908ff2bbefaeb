//! Tailing: whole lines from a file, plain and packed, beside the bare reading of the same file.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "made by criterion's macros; a bench that cannot go on ends"
)]

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flate2::Compression;
use flate2::write::GzEncoder;
use skidder::discover::generations;
use skidder::event::SourceKey;
use skidder::tail::{Chain, Naming, Resume, Turn};

#[path = "corpus/mod.rs"]
mod corpus;
use corpus::{Shape, corpus};

const LENGTH: usize = 16 << 20;
/// As much as the agent reads in one turn.
const TURN: usize = 256 * 1024;

/// The lines of a log, read to its end.
fn lines(live: &Path, buffer: &mut [u8]) -> u64 {
    let now = Instant::now();
    let source = SourceKey("bench".into());
    let mut chain = Chain::new(source, Naming::FirstLine, live.to_owned(), 1 << 20, Resume::default());
    chain.survey(&generations(live).unwrap(), now).unwrap();
    chain.close_all();
    let mut count = 0;
    while !chain.is_empty() {
        if let Turn::Lines(lines) = chain.turn(buffer, now).unwrap() {
            count += lines.into_iter().map(|line| u64::from(!black_box(line).bytes.is_empty())).sum::<u64>();
        }
    }
    count
}

/// The bytes of a file, looked at by nobody.
fn bytes(path: &Path, buffer: &mut [u8]) -> usize {
    let mut file = File::open(path).unwrap();
    let mut sum = 0;
    loop {
        match file.read(buffer).unwrap() {
            0 => return sum,
            length => sum += black_box(&buffer[..length]).len(),
        }
    }
}

fn tailing(criterion: &mut Criterion) {
    let log = corpus(Shape::Cri, LENGTH, 1);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [plain, packed]: [PathBuf; 2] = ["plain", "packed"].map(|name| folder.path().join(name));
    fs::create_dir(&plain).unwrap();
    fs::create_dir(&packed).unwrap();
    fs::write(plain.join("0.log"), &log.bytes).unwrap();
    // A rotated generation, as the kubelet packs it, before a live one of nothing.
    let file = File::create(packed.join("0.log.20261122-100000.gz")).unwrap();
    let mut encoder = GzEncoder::new(file, Compression::default());
    encoder.write_all(&log.bytes).unwrap();
    encoder.finish().unwrap();
    fs::write(packed.join("0.log"), b"").unwrap();

    let mut buffer = vec![0; TURN];
    let mut group = criterion.benchmark_group("tail");
    group.sample_size(20);
    group.throughput(Throughput::ElementsAndBytes { elements: log.lines, bytes: log.bytes.len() as u64 });
    group.bench_function("reading alone", |bencher| {
        bencher.iter(|| bytes(&plain.join("0.log"), &mut buffer));
    });
    for (name, folder) in [("plain", plain), ("gzip", packed)] {
        let live = folder.join("0.log");
        assert_eq!(lines(&live, &mut buffer), log.lines, "no line is missing");
        group.bench_function(name, |bencher| bencher.iter(|| lines(&live, &mut buffer)));
    }
    group.finish();
}

criterion_group!(benches, tailing);
criterion_main!(benches);
