//! Decoding: from the bytes of a file to lines, for each format.
#![allow(missing_docs, reason = "made by criterion's macros")]

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use memchr::memchr_iter;
use skidder::decode::{Decoder, FormatChoice, Settings, TimePattern};
use skidder::event::{Position, RawLine, Span, time};

#[path = "corpus/mod.rs"]
mod corpus;
use corpus::{Shape, corpus};

const LENGTH: usize = 16 << 20;
const READ_AT: &[u8] = b"2026-11-22T10:00:00.000000000Z";

/// Calls `each` with every line of `bytes`, as `tail` gives them, and sums up what it gives.
fn lines<'a>(bytes: &'a [u8], mut each: impl FnMut(RawLine<'a>) -> usize) -> usize {
    let (mut start, mut sum) = (0, 0);
    for newline in memchr_iter(b'\n', bytes) {
        let place = |offset: usize| Position { generation: 0, offset: offset as u64 };
        let span = Span { start: place(start), end: place(newline + 1) };
        sum += each(RawLine { bytes: &bytes[start..newline], span, utf8: true, truncated: 0 });
        start = newline + 1;
    }
    sum
}

fn formats(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(20);
    for (name, shape, format) in [
        ("cri", Shape::Cri, FormatChoice::Cri),
        ("docker", Shape::Docker, FormatChoice::Docker),
        ("plain", Shape::Plain, FormatChoice::Plain),
    ] {
        let log = corpus(shape, LENGTH, 1);
        group.throughput(Throughput::ElementsAndBytes { elements: log.lines, bytes: log.bytes.len() as u64 });
        group.bench_function(format!("{name}/newlines alone"), |bencher| {
            bencher.iter(|| lines(&log.bytes, |line| black_box(line).bytes.len()));
        });
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || Decoder::new(&Settings { format, time: None }),
                |decoder| lines(&log.bytes, |line| black_box(decoder.decode(line, READ_AT)).message.len()),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn times(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("time");
    group.throughput(Throughput::Elements(1));
    for text in ["2026-11-22T10:00:00.123456789Z", "2026-11-22T10:00:00.1234567Z"] {
        group.bench_function(format!("length/{}", text.len()), |bencher| {
            bencher.iter(|| time::length(black_box(text.as_bytes())));
        });
        group.bench_function(format!("nanos/{}", text.len()), |bencher| {
            bencher.iter(|| time::nanos(black_box(text.as_bytes())));
        });
    }
    let pattern = TimePattern::new("%Y-%m-%d %H:%M:%S%.f").ok();
    let mut decoder = Decoder::new(&Settings { format: FormatChoice::Plain, time: pattern });
    let line = b"2026-11-22 10:00:00.123 INFO a line";
    group.bench_function("pattern", |bencher| {
        bencher.iter(|| {
            let raw = RawLine { bytes: black_box(line), span: Span::default(), utf8: true, truncated: 0 };
            black_box(decoder.decode(raw, READ_AT).time.len())
        });
    });
    group.finish();
}

criterion_group!(benches, formats, times);
criterion_main!(benches);
