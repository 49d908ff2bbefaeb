//! Any bytes as lines of two streams: nothing panics, and every byte is in exactly one event.

#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use skidder::event::{Event, Line, Position, Span, Stream};
use skidder::join::{Joiner, Rules, Settings};

static RULES: LazyLock<Arc<Rules>> =
    LazyLock::new(|| Arc::new(Rules::compile(&Settings::default()).expect("the built-in rules compile")));

fuzz_target!(|data: &[u8]| {
    let (mut joiner, now) = (Joiner::new(Arc::clone(&RULES)), Instant::now());
    let (mut given, mut at) = (0, 0);
    let mut sink = |event: &Event<'_>| given += event.bytes;
    for text in data.split(|byte| *byte == b'\n') {
        // The first byte of a line says whose it is and whether it is a part.
        let (kind, message) = text.split_first().map_or((0, text), |(first, rest)| (*first, rest));
        let start = Position { generation: 0, offset: at };
        at += text.len() as u64 + 1;
        let line = Line {
            time: if kind & 8 == 0 { b"2026-11-22T10:00:00Z" } else { b"2026-11-22T10:00:09Z" },
            stream: if kind & 1 == 0 { Stream::Stdout } else { Stream::Stderr },
            partial: kind & 6 == 6,
            message,
            utf8: false,
            malformed: kind & 0xF0 == 0xF0,
            truncated: 0,
            span: Span { start, end: Position { generation: 0, offset: at } },
        };
        joiner.push(&line, now, &mut sink);
    }
    joiner.finish(&mut sink);
    assert_eq!(given, at);
});
