//! Events for reading: one line each with its time, whose it is and what it says; a trace's lines indented below.
//!
//! ```text
//! -- 2026-11-22 (UTC) --
//! -- shop/cart-6c8f5d7b9d-x2k4m is of Deployment cart --
//! 09:06:12.410 shop/cart-6c8f5d7b9d-x2k4m web | 2026-11-22T09:06:12.410Z ERROR 1 --- [exec-1] … : answering 500
//!
//!     java.lang.IllegalStateException: checkout of cart 8f31c2 failed
//!         at com.example.cart.CartService.checkout(CartService.java:13)
//! 09:14:41.200 shop/api-5d8f7c9b6d-7qzlp api ! panic: assignment to entry in nil map
//! ```
//!
//! `|` is standard output, `!` standard error. Nothing of a message is left out but, from JSON messages, the time
//! that the first column shows already; control characters are made visible. Lines are never cut nor folded.

mod body;
mod paint;
mod totals;

pub use totals::{Totals, bytes, counted};

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use regex::bytes::Regex;
use xxhash_rust::xxh3::Xxh3;

use body::Body;
use paint::{Paint, Style};

use crate::event::{End, Event, Limit, Reason, Span, Stream, time};

/// What stands before each line of a trace but its first.
const INDENT: &[u8] = b"    ";

/// Whose an event is, as far as a reader wants to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrettySubject<'a> {
    /// The pod's namespace; empty for none.
    pub namespace: &'a str,
    /// The pod's name; empty for a plain file, which `path` names then.
    pub pod: &'a str,
    /// The container's name; empty for none.
    pub container: &'a str,
    /// The file; empty for standard input.
    pub path: &'a str,
}

/// Writes events for reading.
#[derive(Debug)]
pub struct Pretty {
    /// Write colours. Without, only the messages themselves are not ASCII.
    pub color: bool,
    /// The zone in which times are shown.
    pub zone: TimeZone,
    /// Say below each event why its lines were joined, where it lies and what ended it.
    pub explain: bool,
    /// What to mark in messages.
    pub marks: Option<Regex>,
    /// The day (year, month, day) and zone of the last heading.
    heading: Option<((i16, i8, i8), Offset)>,
    /// The pods that were introduced, as hashes of their names.
    introduced: HashSet<u64>,
    /// Reused from event to event.
    body: Body,
}

impl Pretty {
    /// Times in UTC, nothing marked, nothing explained.
    pub fn new(color: bool) -> Self {
        Self {
            color,
            zone: TimeZone::UTC,
            explain: false,
            marks: None,
            heading: None,
            introduced: HashSet::new(),
            body: Body::default(),
        }
    }

    /// Says what a pod belongs to, such as `Deployment` and `cart`; of each pod once.
    pub fn introduce(&mut self, subject: &PrettySubject<'_>, kind: &str, name: &str, out: &mut Vec<u8>) {
        if self.introduced.insert(hash(&[subject.namespace, subject.pod])) {
            let text = format!("-- {}/{} is of {kind} {name} --", subject.namespace, subject.pod);
            self.paint().text(Style::Faint, text.as_bytes(), out);
            out.push(b'\n');
        }
    }

    /// Whether it was said what this pod belongs to.
    pub fn has_introduced(&self, subject: &PrettySubject<'_>) -> bool {
        self.introduced.contains(&hash(&[subject.namespace, subject.pod]))
    }

    /// Writes one event, with a heading before it where the day changes.
    pub fn render(&mut self, subject: &PrettySubject<'_>, event: &Event<'_>, out: &mut Vec<u8>) {
        let nanos = time::nanos(event.time);
        self.clock(event.time, nanos, out);
        let paint = self.paint();
        whose(paint, subject, out);
        match event.stream {
            Stream::Stderr => paint.text(Style::Stderr, b"! ", out),
            Stream::Stdout | Stream::None => paint.text(Style::Faint, b"| ", out),
        }
        self.body.set(event, nanos);
        self.body.write(paint, self.marks.as_ref(), out);
        flags(paint, event, out);
        out.push(b'\n');
        if self.explain {
            explain(paint, subject, event, out);
        }
    }

    fn paint(&self) -> Paint {
        Paint { color: self.color }
    }

    /// The time, after a heading with the date when that is another than the last one's.
    fn clock(&mut self, text: &[u8], nanos: Option<i64>, out: &mut Vec<u8>) {
        let paint = self.paint();
        let Some(instant) = nanos.and_then(|nanos| Timestamp::from_nanosecond(nanos.into()).ok()) else {
            paint.text(Style::Faint, text, out);
            out.push(b' ');
            return;
        };
        let offset = self.zone.to_offset(instant);
        let local = offset.to_datetime(instant);
        let day = (local.year(), local.month(), local.day());
        if self.heading != Some((day, offset)) {
            self.heading = Some((day, offset));
            let zone = if offset == Offset::UTC { String::new() } else { offset.to_string() };
            let heading = format!("-- {:04}-{:02}-{:02} (UTC{zone}) --", day.0, day.1, day.2);
            paint.text(Style::Faint, heading.as_bytes(), out);
            out.push(b'\n');
        }
        let milliseconds = local.subsec_nanosecond() / 1_000_000;
        let (hour, minute, second) = (local.hour(), local.minute(), local.second());
        let clock = format!("{hour:02}:{minute:02}:{second:02}.{milliseconds:03}");
        paint.text(Style::Faint, clock.as_bytes(), out);
        out.push(b' ');
    }
}

/// A name in several parts, for sets of those that were seen.
fn hash(names: &[&str]) -> u64 {
    let mut hash = Xxh3::new();
    for name in names {
        hash.update(name.as_bytes());
        hash.update(b"\0");
    }
    hash.digest()
}

/// `namespace/pod container `, or the plain file's name.
fn whose(paint: Paint, subject: &PrettySubject<'_>, out: &mut Vec<u8>) {
    if subject.pod.is_empty() {
        let name = subject.path.rsplit('/').next().unwrap_or_default();
        if !name.is_empty() {
            paint.text(Style::pod("", subject.path).0, name.as_bytes(), out);
            out.push(b' ');
        }
        return;
    }
    let (pod, container) = Style::pod(subject.namespace, subject.pod);
    if !subject.namespace.is_empty() {
        paint.text(Style::Faint, subject.namespace.as_bytes(), out);
        paint.text(Style::Faint, b"/", out);
    }
    paint.text(pod, subject.pod.as_bytes(), out);
    out.push(b' ');
    if !subject.container.is_empty() {
        paint.text(container, subject.container.as_bytes(), out);
        out.push(b' ');
    }
}

/// What is missing from the message, behind it. That it has several lines is plain to see.
fn flags(paint: Paint, event: &Event<'_>, out: &mut Vec<u8>) {
    if event.flags.truncated {
        let text = match event.truncated {
            0 => " (cut)".to_owned(),
            bytes => format!(" (cut: {bytes} bytes are missing)"),
        };
        paint.text(Style::Faint, text.as_bytes(), out);
    }
    if event.flags.partial {
        paint.text(Style::Faint, b" (partial: the rest never came)", out);
    }
}

/// What ended the event, where it could have gone on.
fn ended(event: &Event<'_>) -> String {
    match (event.end, event.next) {
        (End::Bytes(Reason::Alone), _) => String::new(),
        // That nothing followed is said already.
        (End::Bytes(_), _) if event.lines < 2 => String::new(),
        (End::Bytes(Reason::Start), "") => ", ended by the next line, which begins another".to_owned(),
        (End::Bytes(Reason::Start), rule) => format!(", ended by the next line, maybe the first of {rule}"),
        (End::Bytes(Reason::Foreign), _) => ", ended by the next line, which cannot go on with it".to_owned(),
        (End::Bytes(Reason::Unsure), _) => ", ended by too many lines that could not be told".to_owned(),
        (End::Bytes(Reason::Silence), _) => ", ended by multiline.timeout: a later line's time".to_owned(),
        (End::Clock, _) => ", ended by the clock".to_owned(),
        (End::Limit(Limit::Lines), _) => ", ended by multiline.max_lines, goes on below".to_owned(),
        (End::Limit(Limit::Bytes), _) => ", ended by multiline.max_bytes, goes on below".to_owned(),
    }
}

/// One more line: how many lines were joined by which rule, where they lie, and what ended the event.
fn explain(paint: Paint, subject: &PrettySubject<'_>, event: &Event<'_>, out: &mut Vec<u8>) {
    let joined = match (event.lines, event.rule) {
        (0 | 1, "") => "one line".to_owned(),
        (0 | 1, rule) => format!("one line, maybe of {rule}, but nothing that belongs followed"),
        (lines, "") => format!("{lines} lines joined"),
        (lines, rule) => format!("{lines} lines joined by {rule}"),
    };
    let Span { start, end } = event.span;
    let next = if start.generation == end.generation { "" } else { " of the next generation" };
    let place = format!("bytes {} to {}{next}", start.offset, end.offset);
    let of = if subject.path.is_empty() { "" } else { " of " };
    let ended = ended(event);
    out.extend_from_slice(INDENT);
    paint.text(Style::Faint, format!("= {joined}, {place}{of}{}{ended}", subject.path).as_bytes(), out);
    out.push(b'\n');
}
