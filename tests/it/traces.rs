//! Traces of twelve languages, as their runtimes print them: each one event, however it comes; and ordinary lines,
//! each an event of its own.
//!
//! `tests/data/traces/<language>/<case>.txt` is one event, or several with a line `%%` between. Of
//! `tests/data/not-traces/*.txt` each line is an event. A new case is a new file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use skidder::event::{End, Event, Line, Position, Span, Stream};
use skidder::join::{Joiner, Rules, Settings};

static RULES: LazyLock<Arc<Rules>> =
    LazyLock::new(|| Arc::new(Rules::compile(&Settings::default()).expect("the built-in rules compile")));

const NOON: i64 = 1_795_348_800_000_000_000;
const MILLISECOND: i64 = 1_000_000;

/// Lines as a runtime would have written them, with their places.
#[derive(Clone, Debug)]
struct Written {
    stream: Stream,
    time: i64,
    partial: bool,
    message: Vec<u8>,
    span: Span,
}

/// A log in the making: each line gets the place after the last.
#[derive(Default)]
struct Log {
    lines: Vec<Written>,
    at: Position,
}

impl Log {
    fn add(&mut self, stream: Stream, message: &[u8], partial: bool) {
        let end = Position { offset: self.at.offset + message.len() as u64 + 42, ..self.at };
        self.lines.push(Written {
            stream,
            time: NOON + self.lines.len() as i64 * MILLISECOND / 10,
            partial,
            message: message.to_vec(),
            span: Span { start: self.at, end },
        });
        self.at = end;
    }

    fn text(&mut self, stream: Stream, text: &str) {
        for line in text.split('\n') {
            self.add(stream, line.as_bytes(), false);
        }
    }

    fn rotate(&mut self) {
        self.at = Position { generation: self.at.generation + 1, offset: 0 };
    }
}

/// An event, with all that a document is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    stream: Stream,
    message: String,
    span: Span,
    lines: u32,
    bytes: u64,
    multiline: bool,
    partial: bool,
}

fn found(event: &Event<'_>) -> Found {
    Found {
        stream: event.stream,
        message: String::from_utf8_lossy(event.message).into_owned(),
        span: event.span,
        lines: event.lines,
        bytes: event.bytes,
        multiline: event.flags.multiline,
        partial: event.flags.partial,
    }
}

fn push(joiner: &mut Joiner, line: &Written, now: Instant, sink: &mut impl FnMut(&Event<'_>)) {
    let time = skidder::event::time::rfc3339(line.time);
    let line = Line {
        time: &time,
        stream: line.stream,
        partial: line.partial,
        message: &line.message,
        utf8: true,
        malformed: false,
        truncated: 0,
        span: line.span,
    };
    joiner.push(&line, now, sink);
}

/// Joins all lines, then lets the clock end the rest.
fn join(lines: &[Written]) -> Vec<Found> {
    let (mut joiner, now) = (Joiner::new(Arc::clone(&RULES)), Instant::now());
    let mut events = Vec::new();
    for line in lines {
        push(&mut joiner, line, now, &mut |event: &Event<'_>| events.push(found(event)));
    }
    joiner.expire(now + Duration::from_secs(1), &mut |event: &Event<'_>| events.push(found(event)));
    assert_eq!((joiner.held(), joiner.deadline()), (None, None), "the clock leaves nothing");
    events
}

fn messages(lines: &[Written], stream: Stream) -> Vec<String> {
    join(lines).into_iter().filter(|event| event.stream == stream).map(|event| event.message).collect()
}

/// What a case file says: the events that its text must come out as.
struct Case {
    path: PathBuf,
    events: Vec<String>,
}

fn data(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn cases() -> Vec<Case> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Case { path, events: text.split("\n%%\n").map(str::to_owned).collect() }
    };
    files(&data("traces")).iter().flat_map(|folder| files(folder)).map(read).collect()
}

/// Runs a check over all cases and tells all that fail, so that one run shows the whole state of the rules.
fn every_case(check: impl Fn(&Case) -> Result<(), String>) {
    let wrong: Vec<String> = cases()
        .iter()
        .filter_map(|case| Some(format!("{}\n{}", case.path.display(), check(case).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{} cases are not exact:\n{}", wrong.len(), wrong.join("\n"));
}

fn same(actual: &[String], expected: &[String]) -> Result<(), String> {
    if actual == expected {
        return Ok(());
    }
    let list = |events: &[String]| {
        events.iter().map(|event| format!("  ┌ {}\n", event.replace('\n', "\n  │ "))).collect::<String>()
    };
    Err(format!("expected\n{}but got\n{}", list(expected), list(actual)))
}

const ORDINARY: [&str; 4] = [
    "listening on port 8080",
    "2026-11-22 10:00:00.123  INFO 1 --- [main] com.acme.Api : started",
    r#"{"level":"error","msg":"failed","stack":"Error: x\n    at y"}"#,
    "at 10:00 the job ran",
];

#[test]
fn alone_each_is_exact() {
    every_case(|case| {
        let mut log = Log::default();
        log.text(Stream::Stderr, &case.events.join("\n"));
        same(&messages(&log.lines, Stream::Stderr), &case.events)
    });
}

#[test]
fn twice_in_a_row_they_are_two() {
    every_case(|case| {
        let twice = [case.events.clone(), case.events.clone()].concat();
        let mut log = Log::default();
        log.text(Stream::Stderr, &twice.join("\n"));
        same(&messages(&log.lines, Stream::Stderr), &twice)
    });
}

#[test]
fn between_ordinary_lines_they_take_none_of_them() {
    for ordinary in ORDINARY {
        every_case(|case| {
            let mut expected = vec![ordinary.to_owned()];
            expected.extend_from_slice(&case.events);
            expected.push(ordinary.to_owned());
            let mut log = Log::default();
            log.text(Stream::Stderr, &expected.join("\n"));
            same(&messages(&log.lines, Stream::Stderr), &expected)
        });
    }
}
