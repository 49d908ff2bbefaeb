//! What ends an event, what is held, what comes again: on lines written here, by a clock of the test's own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::event::{End, Event, Limit, Line, Position, Reason, Span, Stream};

use super::{Joiner, Language, Pattern, Rules, Settings};

/// An event as text: its flags, its end by the clock, its message.
type Told = String;

fn tell(event: &Event<'_>) -> Told {
    let flags = [
        (event.flags.multiline, "multiline "),
        (event.flags.truncated, "truncated "),
        (event.flags.partial, "partial "),
        (event.end == End::Clock, "clock "),
    ];
    let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    format!("{flags}{}", String::from_utf8_lossy(event.message).replace('\n', "⏎"))
}

/// A joiner with what it was given and gave.
struct Desk {
    joiner: Joiner,
    now: Instant,
    at: u64,
    told: Vec<Told>,
    spans: Vec<(Stream, u64, u64, u64)>,
    ends: Vec<(End, String)>,
}

impl Desk {
    fn new(settings: &Settings) -> Self {
        let rules = Arc::new(Rules::compile(settings).unwrap());
        Self {
            joiner: Joiner::new(rules),
            now: Instant::now(),
            at: 0,
            told: Vec::new(),
            spans: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn languages(languages: &[Language]) -> Self {
        Self::new(&Settings { languages: languages.to_vec(), ..Settings::default() })
    }

    fn pattern(start: Option<&str>, continuation: Option<&str>) -> Self {
        let pattern = Pattern {
            name: "own".to_owned(),
            start: start.map(str::to_owned),
            continuation: continuation.map(str::to_owned),
            ..Pattern::default()
        };
        Self::new(&Settings { patterns: vec![pattern], ..Settings::default() })
    }

    /// One line of ten bytes more than it says, at so many milliseconds of one second.
    fn line(&mut self, stream: Stream, millis: u64, partial: bool, message: &str) -> &mut Self {
        let start = Position { generation: 0, offset: self.at };
        self.at += message.len() as u64 + 10;
        let time = format!("2026-11-22T10:00:{:02}.{:03}Z", millis / 1000, millis % 1000);
        let line = Line {
            time: time.as_bytes(),
            stream,
            partial,
            message: message.as_bytes(),
            utf8: true,
            malformed: false,
            truncated: 0,
            span: Span { start, end: Position { generation: 0, offset: self.at } },
        };
        let (told, spans, ends) = (&mut self.told, &mut self.spans, &mut self.ends);
        self.joiner.push(&line, self.now, &mut |event: &Event<'_>| {
            told.push(tell(event));
            ends.push((event.end, event.next.to_owned()));
            spans.push((event.stream, event.span.start.offset, event.span.end.offset, event.bytes));
        });
        self
    }

    fn err(&mut self, message: &str) -> &mut Self {
        self.line(Stream::Stderr, 0, false, message)
    }

    fn expire_after(&mut self, silence: Duration) -> &mut Self {
        self.now += silence;
        let told = &mut self.told;
        self.joiner.expire(self.now, &mut |event: &Event<'_>| told.push(tell(event)));
        self
    }

    fn finish(&mut self) -> &mut Self {
        let told = &mut self.told;
        self.joiner.finish(&mut |event: &Event<'_>| told.push(tell(event)));
        self
    }

    fn told(&mut self) -> Vec<Told> {
        std::mem::take(&mut self.told)
    }
}

const HEAD: &str = "java.lang.IllegalStateException: boom";
const FRAME: &str = "\tat com.acme.Cart.total(Cart.java:3)";

#[test]
fn an_ordinary_line_is_given_out_before_push_returns() {
    let mut desk = Desk::languages(&Language::ALL);
    assert_eq!(desk.err("listening").told(), ["listening"]);
    assert_eq!(desk.err("").told(), [""]);
    assert_eq!((desk.joiner.held(), desk.joiner.held_bytes(), desk.joiner.deadline()), (None, 0, None));
}

#[test]
fn what_is_held_back_comes_as_it_was() {
    let mut desk = Desk::languages(&Language::ALL);
    desk.err(HEAD).err("  of the message").err("").err("2026-11-22 10:00:00 INFO next");
    assert_eq!(desk.told(), [HEAD, "  of the message", "", "2026-11-22 10:00:00 INFO next"]);
}

#[test]
fn a_later_line_of_either_stream_ends_what_was_silent_too_long() {
    for stream in [Stream::Stdout, Stream::Stderr] {
        let mut desk = Desk::languages(&[Language::Java]);
        desk.err(HEAD).err(FRAME).line(stream, 1000, false, "ordinary");
        let (event, after) = (format!("multiline {HEAD}⏎{FRAME}"), "ordinary".to_owned());
        let ended =
            if stream == Stream::Stderr { vec![event.clone(), after.clone()] } else { vec![after.clone()] };
        assert_eq!(desk.told(), ended, "one second of silence is not more than the timeout");

        let mut desk = Desk::languages(&[Language::Java]);
        desk.err(HEAD).err(FRAME).line(stream, 1001, false, FRAME);
        assert_eq!(desk.told(), [event, FRAME.to_owned()]);
    }
}

#[test]
fn plain_files_know_only_the_clock_at_their_end() {
    let mut desk = Desk::languages(&[Language::Java]);
    desk.line(Stream::None, 0, false, HEAD).line(Stream::None, 9000, false, FRAME);
    assert_eq!(desk.told(), [""; 0]);
    desk.expire_after(Duration::from_millis(999));
    assert_eq!(desk.told(), [""; 0]);
    assert_eq!(desk.joiner.deadline(), Some(desk.now + Duration::from_millis(1)));
    desk.expire_after(Duration::from_millis(1));
    assert_eq!(desk.told(), [format!("multiline clock {HEAD}⏎{FRAME}")]);
}

#[test]
fn the_clock_gives_held_back_lines_out_apart() {
    let mut desk = Desk::languages(&[Language::Java]);
    desk.err(HEAD).err("a").err("b").expire_after(Duration::from_secs(1));
    assert_eq!(desk.told(), [format!("clock {HEAD}"), "a".to_owned(), "b".to_owned()]);
}

#[test]
fn parts_are_joined_first_and_per_stream() {
    let mut desk = Desk::languages(&[Language::Java]);
    desk.line(Stream::Stdout, 0, true, "one ")
        .line(Stream::Stderr, 0, true, "three ")
        .line(Stream::Stdout, 0, false, "two")
        .line(Stream::Stderr, 0, false, "four");
    assert_eq!(desk.told(), ["one two", "three four"]);
    assert_eq!(desk.spans, [(Stream::Stdout, 0, 43, 27), (Stream::Stderr, 14, 57, 30)]);
}

#[test]
fn a_part_whose_last_never_came_is_flagged() {
    let mut desk = Desk::languages(&[Language::Java]);
    desk.line(Stream::Stdout, 0, true, "half").line(Stream::Stderr, 2000, false, "later");
    assert_eq!(desk.told(), ["partial half", "later"]);
    desk.line(Stream::Stdout, 0, true, "half").finish();
    assert_eq!(desk.told(), ["partial clock half"]);
    desk.err(HEAD).line(Stream::Stderr, 0, true, FRAME).finish();
    assert_eq!(desk.told(), [format!("multiline partial clock {HEAD}⏎{FRAME}")]);
}

#[test]
fn a_line_too_long_is_cut_and_counted() {
    let mut desk = Desk::new(&Settings { max_line_bytes: 6, ..Settings::default() });
    desk.line(Stream::Stdout, 0, true, "12345").line(Stream::Stdout, 0, true, "678").line(
        Stream::Stdout,
        0,
        false,
        "9",
    );
    desk.line(Stream::Stdout, 0, false, "abcdefghi");
    assert_eq!(desk.told(), ["truncated 123456", "truncated abcdef"]);
    assert_eq!(desk.spans, [(Stream::Stdout, 0, 39, 39), (Stream::Stdout, 39, 58, 19)]);
}

#[test]
fn a_trace_too_long_goes_on_in_a_following_event() {
    let limits = [
        Settings { max_lines: 3, ..Settings::default() },
        Settings { max_bytes: 130, ..Settings::default() },
    ];
    for settings in limits {
        let mut desk = Desk::new(&settings);
        desk.err(HEAD).err(FRAME).err(FRAME).err(FRAME).err(FRAME);
        let start = desk.joiner.held();
        assert_eq!(start, Some(Position::default()), "the rest can only be joined again from the head on");
        desk.err("ordinary");
        let first = format!("multiline truncated {HEAD}⏎{FRAME}⏎{FRAME}");
        assert_eq!(desk.told(), [first, format!("multiline {FRAME}⏎{FRAME}"), "ordinary".to_owned()]);
    }
}

#[test]
fn the_lowest_byte_to_read_again_lies_before_what_overlaps() {
    let mut desk = Desk::languages(&[Language::Java]);
    let out = |desk: &mut Desk, message: &str| {
        desk.line(Stream::Stdout, 0, false, message);
    };
    out(&mut desk, HEAD);
    let second = desk.at;
    desk.err(HEAD);
    out(&mut desk, FRAME);
    out(&mut desk, "ordinary");
    assert_eq!(desk.told().len(), 2, "the event of standard output is given out");
    assert_eq!(desk.joiner.held(), Some(Position::default()), "but lies across {second}");
    desk.err("2026-11-22 10:00:00 INFO next");
    assert_eq!(desk.joiner.held(), None);
}

#[test]
fn cuts_end_events_again_where_the_clock_ended_them() {
    let mut desk = Desk::languages(&[Language::Java]);
    let end = (HEAD.len() + FRAME.len() + 20) as u64;
    desk.joiner.replay([(Stream::Stderr, Position { generation: 0, offset: end })]);
    desk.err(HEAD).err(FRAME).err(FRAME).err("ordinary");
    assert_eq!(desk.told(), [&format!("multiline clock {HEAD}⏎{FRAME}"), FRAME, "ordinary"]);
}

#[test]
fn other_rules_are_for_events_that_begin() {
    let mut desk = Desk::languages(&[Language::Java]);
    let rules = |languages: &[Language]| {
        Arc::new(Rules::compile(&Settings { languages: languages.to_vec(), ..Settings::default() }).unwrap())
    };
    desk.err(HEAD);
    desk.joiner.set_rules(rules(&[Language::Python]));
    desk.joiner.set_rules(rules(&[]));
    desk.err(FRAME).err(FRAME).err("ordinary").err(HEAD).err(FRAME);
    let trace = format!("multiline {HEAD}⏎{FRAME}⏎{FRAME}");
    assert_eq!(desk.told(), [&trace, "ordinary", HEAD, FRAME]);
    desk.joiner.set_rules(rules(&[Language::Java]));
    desk.err(HEAD).err(FRAME).finish();
    assert_eq!(desk.told(), [format!("multiline clock {HEAD}⏎{FRAME}")]);
}

#[test]
fn one_s_own_patterns_come_first() {
    let mut desk = Desk::pattern(Some("^BEGIN"), None);
    desk.err("before").err("BEGIN 1").err(HEAD).err("").err("BEGIN 2").finish();
    assert_eq!(desk.told(), ["before", &format!("multiline BEGIN 1⏎{HEAD}⏎"), "clock BEGIN 2"]);

    let mut desk = Desk::pattern(Some("^BEGIN"), Some(r"^\s"));
    desk.err("BEGIN 1").err(" a").err("b").err(HEAD).err(FRAME).finish();
    assert_eq!(desk.told(), ["multiline BEGIN 1⏎ a", "b", &format!("multiline clock {HEAD}⏎{FRAME}")]);

    let mut desk = Desk::pattern(None, Some(r"^\s"));
    desk.err("a")
        .err(" b")
        .err(" c")
        .err("d")
        .err(HEAD)
        .err(FRAME)
        .err("Caused by: java.io.IOException: x")
        .finish();
    let trace = format!("multiline clock {HEAD}⏎{FRAME}⏎Caused by: java.io.IOException: x");
    assert_eq!(desk.told(), ["multiline a⏎ b⏎ c", "d", &trace]);
}

#[test]
fn dated_begins_a_record_with_each_date() {
    let mut desk = Desk::new(&Settings { patterns: vec![Pattern::dated()], ..Settings::default() });
    desk.err("before")
        .err("2026-11-22 10:00:00 INFO a")
        .err("b")
        .err("[22/Nov/2026:10:00:00 +0000] c")
        .finish();
    let expected =
        ["before", "multiline 2026-11-22 10:00:00 INFO a⏎b", "clock [22/Nov/2026:10:00:00 +0000] c"];
    assert_eq!(desk.told(), expected);
}

#[test]
fn without_languages_each_line_is_an_event() {
    let mut desk = Desk::languages(&[]);
    assert_eq!(desk.err(HEAD).err(FRAME).told(), [HEAD, FRAME]);
}

#[test]
fn a_wrong_pattern_names_its_place() {
    let own =
        |start: &str| Pattern { name: "own".to_owned(), start: Some(start.to_owned()), ..Pattern::default() };
    let compile = |pattern| Rules::compile(&Settings { patterns: vec![pattern], ..Settings::default() });
    let error = compile(own("^a(b")).unwrap_err();
    assert_eq!((error.key, error.position), ("start", Some(3)));
    assert_eq!(error.to_string(), "multiline pattern 'own': start: unclosed group (at character 3)");
    let empty = Pattern { name: "own".to_owned(), ..Pattern::default() };
    assert_eq!(compile(empty).unwrap_err().message, "needs 'start' or 'continue'");
    assert!(compile(own(r"\w{1000}{1000}")).is_err(), "too large a pattern is an error, not a stall");
}

#[test]
fn an_event_tells_what_ended_it() {
    let trace = ["java.lang.IllegalStateException: boom", "\tat com.acme.Cart.total(Cart.java:3)"];
    let mut desk = Desk::new(&Settings { max_lines: 3, ..Settings::default() });
    for message in trace.iter().chain(&["ready"]).chain(&trace) {
        desk.line(Stream::Stdout, 0, false, message);
    }
    desk.line(Stream::Stdout, 0, false, "Traceback (most recent call last):");
    desk.line(Stream::Stdout, 0, false, "  File \"a.py\", line 1, in <module>");
    desk.line(Stream::Stdout, 2000, false, trace[0]);
    for _ in 0..3 {
        desk.line(Stream::Stdout, 2000, false, trace[1]);
    }
    let by = |reason: Reason, next: &str| (End::Bytes(reason), next.to_owned());
    assert_eq!(
        desk.ends,
        [
            by(Reason::Foreign, ""),
            by(Reason::Alone, ""),
            by(Reason::Start, "python"),
            by(Reason::Silence, ""),
            (End::Limit(Limit::Lines), String::new()),
        ]
    );
}
