//! Traces of twelve languages, as their runtimes print them: each one event, however it comes; and ordinary lines,
//! each an event of its own.
//!
//! `tests/data/traces/<language>/<case>.txt` is one event, or several with a line `%%` between. Of
//! `tests/data/not-traces/*.txt` each line is an event. A new case is a new file.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic says what is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use skidder::event::{End, Event, Line, Position, Span, Stream};
use skidder::join::{Joiner, Rules, Settings};

mod blocks;
mod chance;

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
    let time = (line.stream != Stream::None).then(|| skidder::event::time::rfc3339(line.time));
    let line = Line {
        time: time.as_ref().map_or(b"", |time| time.as_slice()),
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
    let at = actual.iter().zip(expected).take_while(|(one, other)| one == other).count();
    let show = |event: Option<&String>| {
        event.map_or("nothing".to_owned(), |event| format!("┌ {}", event.replace('\n', "\n│ ")))
    };
    let (wanted, got, next) = (show(expected.get(at)), show(actual.get(at)), show(actual.get(at + 1)));
    Err(format!("event {at} should be\n{wanted}\nbut is\n{got}\nand the next\n{next}"))
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

#[test]
fn one_after_another_they_are_apart() {
    let cases = cases();
    let mut wrong = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        // Neighbours of other languages, near and far.
        for step in [1, 17, 59, 101] {
            let next = &cases[(index + step) % cases.len()];
            let expected = [case.events.clone(), next.events.clone()].concat();
            let mut log = Log::default();
            log.text(Stream::Stderr, &expected.join("\n"));
            if let Err(how) = same(&messages(&log.lines, Stream::Stderr), &expected) {
                wrong.push(format!("{} then {}\n{how}", case.path.display(), next.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} pairs are not exact:\n{}", wrong.len(), wrong.join("\n"));
}

/// Two cases, a line of each in turn, on a stream each.
fn woven(one: &Case, other: &Case) -> Log {
    let (one, other) = (one.events.join("\n"), other.events.join("\n"));
    let (mut left, mut right) = (one.split('\n'), other.split('\n'));
    let mut log = Log::default();
    loop {
        let (a, b) = (left.next(), right.next());
        a.into_iter().for_each(|line| log.add(Stream::Stdout, line.as_bytes(), false));
        b.into_iter().for_each(|line| log.add(Stream::Stderr, line.as_bytes(), false));
        if a.is_none() && b.is_none() {
            return log;
        }
    }
}

#[test]
fn woven_over_both_streams_they_come_out_whole() {
    let cases = cases();
    for (index, case) in cases.iter().enumerate() {
        let other = &cases[(index + 29) % cases.len()];
        let log = woven(case, other);
        for (stream, case) in [(Stream::Stdout, case), (Stream::Stderr, other)] {
            let exact = same(&messages(&log.lines, stream), &case.events);
            assert_eq!(exact, Ok(()), "{}", case.path.display());
        }
    }
}

#[test]
fn cut_into_parts_they_are_the_same() {
    every_case(|case| {
        let mut log = Log::default();
        for line in case.events.join("\n").split('\n') {
            let parts: Vec<&[u8]> = line.as_bytes().chunks(7).collect();
            let Some((last, before)) = parts.split_last() else {
                log.add(Stream::Stdout, b"", false);
                continue;
            };
            before.iter().for_each(|part| log.add(Stream::Stdout, part, true));
            log.add(Stream::Stdout, last, false);
        }
        same(&messages(&log.lines, Stream::Stdout), &case.events)
    });
}

#[test]
fn across_a_rotation_they_stay_whole() {
    every_case(|case| {
        let text = case.events.join("\n");
        let count = text.split('\n').count();
        (1..count).step_by(count / 8 + 1).try_for_each(|at| {
            let mut log = Log::default();
            for (index, line) in text.split('\n').enumerate() {
                if index == at {
                    log.rotate();
                }
                log.add(Stream::Stderr, line.as_bytes(), false);
            }
            same(&messages(&log.lines, Stream::Stderr), &case.events)
        })
    });
}

/// All lines are read; then the reader is killed after each of them in turn and begins again where it held.
fn assert_replays(log: &[Written], what: &str) {
    let whole = by_place(join(log));
    for killed in 0..=log.len() {
        let (mut joiner, now) = (Joiner::new(Arc::clone(&RULES)), Instant::now());
        let mut events = Vec::new();
        for line in &log[..killed] {
            push(&mut joiner, line, now, &mut |event: &Event<'_>| events.push(found(event)));
        }
        let again = joiner.held().or_else(|| log.get(killed).map(|line| line.span.start));
        let again = log.iter().position(|line| Some(line.span.start) == again).unwrap_or(log.len());
        events.extend(join(&log[again..]));
        assert_eq!(by_place(events), whole, "{what}: killed after {killed} lines, again from {again}");
    }
}

/// Events by stream and place: given out twice, they must be the same twice.
fn by_place(events: Vec<Found>) -> BTreeMap<(usize, Position, Position), Found> {
    let mut places = BTreeMap::new();
    for event in events {
        let place = (event.stream.index(), event.span.start, event.span.end);
        if let Some(before) = places.insert(place, event.clone()) {
            assert_eq!(before, event);
        }
    }
    places
}

#[test]
fn killed_anywhere_the_same_events_come_again() {
    let cases = cases();
    for (index, case) in cases.iter().enumerate().step_by(3) {
        let other = &cases[(index + 29) % cases.len()];
        let log = woven(case, other);
        assert_replays(&log.lines[..log.lines.len().min(60)], &case.path.display().to_string());
    }
}

#[test]
fn ordinary_lines_stand_alone() {
    let mut count = 0;
    for path in files(&data("not-traces")) {
        let text = fs::read_to_string(&path).unwrap();
        let expected: Vec<String> = text.strip_suffix('\n').unwrap().split('\n').map(str::to_owned).collect();
        count += expected.len();
        let mut log = Log::default();
        log.text(Stream::Stdout, &expected.join("\n"));
        assert_eq!(same(&messages(&log.lines, Stream::Stdout), &expected), Ok(()), "{}", path.display());
    }
    assert!(count >= 200, "{count} lines");
}

#[test]
fn a_bare_trace_leaves_the_line_before_it_alone() {
    let bare = [
        "java.lang.IllegalStateException: boom\n\tat com.acme.Cart.total(Cart.java:3)",
        "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\nValueError: x",
        "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:3 +0x1d",
        "TypeError: x\n    at f (/app/index.js:1:2)",
    ];
    let is_alarm = |line: &str| line.to_lowercase().contains(['e', 'w', 'f', 'a']) && line.contains("10:0");
    for path in files(&data("not-traces")) {
        for line in fs::read_to_string(&path).unwrap().lines().filter(|line| !is_alarm(line)) {
            for trace in bare {
                let expected = [line.to_owned(), trace.to_owned()];
                let mut log = Log::default();
                log.text(Stream::Stdout, &expected.join("\n"));
                assert_eq!(
                    same(&messages(&log.lines, Stream::Stdout), &expected),
                    Ok(()),
                    "{}",
                    path.display()
                );
            }
        }
    }
}

/// A joiner that was given all of a case, and the number of its events.
fn reader_of(case: &Case) -> (Joiner, usize) {
    let mut log = Log::default();
    log.text(Stream::None, &case.events.join("\n"));
    let (mut joiner, now, mut given) = (Joiner::new(Arc::clone(&RULES)), Instant::now(), 0);
    log.lines.iter().for_each(|line| push(&mut joiner, line, now, &mut |_: &Event<'_>| given += 1));
    (joiner, case.events.len() - given)
}

/// Whether a line is an event below so many others that are held.
fn stands_apart(mut joiner: Joiner, line: &str, events: usize) -> bool {
    let mut log = Log { at: Position { generation: 0, offset: 1 << 30 }, ..Log::default() };
    log.add(Stream::None, line.as_bytes(), false);
    let (mut count, mut is_last) = (0, false);
    let mut sink = |event: &Event<'_>| {
        count += 1;
        is_last = event.message == line.as_bytes();
    };
    push(&mut joiner, &log.lines[0], Instant::now(), &mut sink);
    joiner.finish(&mut sink);
    count == events + 1 && is_last
}

#[test]
fn no_trace_takes_an_ordinary_line_below_it() {
    let lines: Vec<String> = files(&data("not-traces"))
        .iter()
        .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut wrong = Vec::new();
    for case in &cases() {
        // .NET's console logger indents whatever belongs to a record by six blanks.
        let is_record = case.path.to_string_lossy().contains("dotnet/console-logger");
        let belongs = |line: &&String| is_record && line.starts_with("      ");
        let (joiner, events) = reader_of(case);
        for line in lines.iter().filter(|line| !belongs(line)) {
            if !stands_apart(joiner.clone(), line, events) {
                wrong.push(format!("{:?} below {}", line, case.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} lines are swallowed:\n{}", wrong.len(), wrong.join("\n"));
}
