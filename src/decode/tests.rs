//! The decoder as a whole: every format, recorded files, any bytes.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::event::{Position, Span};

const READ_AT: &[u8] = b"2026-11-22T20:00:00.000000000Z";
const GOOD: &str = "2026-11-22T17:59:23.3094652Z stderr F hello";

/// What a line came out as, owned, so that many can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    time: String,
    stream: Stream,
    partial: bool,
    malformed: bool,
    message: String,
}

fn raw(bytes: &[u8]) -> RawLine<'_> {
    let span =
        Span { start: Position::default(), end: Position { generation: 0, offset: bytes.len() as u64 + 1 } };
    RawLine { bytes, span, utf8: false, truncated: 0 }
}

fn decode(decoder: &mut Decoder, line: &[u8]) -> Seen {
    seen(&decoder.decode(raw(line), READ_AT))
}

fn seen(line: &Line<'_>) -> Seen {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Seen {
        time: text(line.time),
        stream: line.stream,
        partial: line.partial,
        malformed: line.malformed,
        message: text(line.message),
    }
}

fn with(format: FormatChoice) -> Decoder {
    Decoder::new(&Settings { format, time: None })
}

#[test]
fn the_first_line_chooses_the_format() {
    for (line, format) in [
        (GOOD, Format::Cri),
        ("2026-11-22T17:59:23Z stdout F", Format::Cri),
        ("\0\0\0\x002026-11-22T17:59:23Z stdout F after a power cut", Format::Cri),
        (r#"{"log":"a\n","stream":"stdout","time":"2026-11-22T17:59:23Z"}"#, Format::Docker),
        (
            r#"{"log":"a\n","stream":"stdout","attrs":{"a":"b"},"time":"2026-11-22T17:59:23Z"}"#,
            Format::Docker,
        ),
        (r#"{"log":"a\n","level":"info","time":"2026-11-22T17:59:23Z"}"#, Format::Plain),
        ("2026-11-22T17:59:23Z INFO hello", Format::Plain),
        ("", Format::Plain),
    ] {
        let mut decoder = with(FormatChoice::Auto);
        assert_eq!(decoder.format(), None);
        decoder.sniff(line.as_bytes());
        assert_eq!(decoder.format(), Some(format), "{line:?}");

        let mut unsniffed = with(FormatChoice::Auto);
        decode(&mut unsniffed, line.as_bytes());
        assert_eq!(unsniffed.format(), Some(format), "{line:?}");
    }
}

#[test]
fn a_new_generation_may_have_another_format_but_a_set_one_stays() {
    let mut decoder = with(FormatChoice::Auto);
    decoder.sniff(GOOD.as_bytes());
    decoder.sniff(b"plain");
    assert_eq!(decoder.format(), Some(Format::Plain));

    let mut decoder = with(FormatChoice::Cri);
    decoder.sniff(b"plain");
    assert_eq!(decoder.format(), Some(Format::Cri));
}

#[test]
fn a_malformed_line_is_kept_raw_and_stands_with_the_line_before() {
    let mut decoder = with(FormatChoice::Cri);
    let before = decode(&mut decoder, b"garbage ");
    assert_eq!((before.time.as_bytes(), before.stream, before.malformed), (READ_AT, Stream::Stdout, true));
    assert_eq!(before.message, "garbage ");

    decode(&mut decoder, GOOD.as_bytes());
    let after = decode(&mut decoder, b"\0\0\0\0\0");
    assert_eq!(after.time, "2026-11-22T17:59:23.3094652Z");
    assert_eq!((after.stream, after.malformed, after.partial), (Stream::Stderr, true, false));
    assert_eq!(after.message, "\0\0\0\0\0");

    let mut decoder = with(FormatChoice::Docker);
    let half = decode(&mut decoder, br#"{"log":"half of a li"#);
    assert!(half.malformed);
    assert_eq!(half.message, r#"{"log":"half of a li"#);
    assert!(decode(&mut decoder, br#"{"log":"no time\n","stream":"stdout"}"#).malformed);
}

#[test]
fn a_time_has_at_most_nine_digits() {
    for (time, expected) in [
        ("2026-11-22T17:59:23Z", "2026-11-22T17:59:23Z"),
        ("2026-11-22T17:59:23.3+01:00", "2026-11-22T17:59:23.3+01:00"),
        ("2026-11-22T17:59:23.123456789-05:30", "2026-11-22T17:59:23.123456789-05:30"),
        ("2026-11-22T17:59:23.1234567891Z", "2026-11-22T17:59:23.123456789Z"),
        ("2026-11-22T17:59:23.123456789123456789+01:00", "2026-11-22T17:59:23.123456789+01:00"),
    ] {
        let line = format!("{time} stdout F x");
        assert_eq!(decode(&mut with(FormatChoice::Cri), line.as_bytes()).time, expected);
    }
}

#[test]
fn docker_lines_are_unescaped_and_parts_known_by_the_missing_newline() {
    let mut decoder = with(FormatChoice::Auto);
    let lines = [
        r#"{"log":"plain\n","stream":"stdout","time":"2026-11-22T17:59:23.3Z"}"#,
        r#"{"log":"a \"part\" ","stream":"stderr","time":"2026-11-22T17:59:23.4Z"}"#,
        r#"{"log":"crlf\r\n","stream":"stderr","attrs":{"tag":"x"},"time":"2026-11-22T17:59:23.5Z"}"#,
    ];
    let seen: Vec<_> = lines.iter().map(|line| decode(&mut decoder, line.as_bytes())).collect();
    let expected = [
        ("2026-11-22T17:59:23.3Z", Stream::Stdout, false, "plain"),
        ("2026-11-22T17:59:23.4Z", Stream::Stderr, true, "a \"part\" "),
        ("2026-11-22T17:59:23.5Z", Stream::Stderr, false, "crlf\r"),
    ]
    .map(|(time, stream, partial, message)| Seen {
        time: time.into(),
        stream,
        partial,
        malformed: false,
        message: message.into(),
    });
    assert_eq!(seen, expected);
}

#[test]
fn a_line_cut_while_reading_keeps_its_head() {
    let mut decoder = with(FormatChoice::Docker);
    let line = RawLine { truncated: 900, ..raw(br#"{"log":"a \"very\" long li"#) };
    let cut = decoder.decode(line, READ_AT);
    assert_eq!(
        (cut.message, cut.truncated, cut.malformed, cut.partial),
        (&b"a \"very\" long li"[..], 900, false, false)
    );
    assert_eq!(cut.time, READ_AT);

    let mut decoder = with(FormatChoice::Cri);
    let line = RawLine { truncated: 900, ..raw(b"2026-11-22T17:59:23.3Z stdout P a very long li") };
    let cut = decoder.decode(line, READ_AT);
    assert_eq!(
        (cut.message, cut.truncated, cut.malformed, cut.partial),
        (&b"a very long li"[..], 900, false, true)
    );
}

#[test]
fn the_buffer_for_unescaping_does_not_stay_large() {
    let mut decoder = with(FormatChoice::Docker);
    let line =
        |text: &str| format!(r#"{{"log":"\"{text}\n","stream":"stdout","time":"2026-11-22T17:59:23.3Z"}}"#);
    decode(&mut decoder, line(&"x".repeat(2 * UNESCAPED_KEPT)).as_bytes());
    assert!(decoder.unescaped.capacity() > UNESCAPED_KEPT);
    decode(&mut decoder, line("x").as_bytes());
    assert!(decoder.unescaped.capacity() <= UNESCAPED_KEPT);
}

#[test]
fn plain_lines_take_their_time_by_the_pattern_or_that_of_the_line_before() {
    let settings = Settings {
        format: FormatChoice::Plain,
        time: Some(TimePattern::new("%Y-%m-%d %H:%M:%S%.f").unwrap()),
    };
    let mut decoder = Decoder::new(&settings);
    let times = ["no time yet", "2026-01-02 03:04:05.5 x", "\tat a.b", "2026-01-02 03:04:06 y\r"]
        .map(|line| decode(&mut decoder, line.as_bytes()));
    assert_eq!(times[0].time.as_bytes(), READ_AT);
    assert_eq!(times[1].time, "2026-01-02T03:04:05.500000000Z");
    assert_eq!(times[2].time, times[1].time);
    assert_eq!(
        (times[3].time.as_str(), times[3].message.as_str()),
        ("2026-01-02T03:04:06.000000000Z", "2026-01-02 03:04:06 y")
    );
    assert!(times.iter().all(|line| line.stream == Stream::None && !line.malformed));
}

/// The lines of a recorded file, decoded.
fn recorded(name: &str) -> Vec<Seen> {
    let bytes = std::fs::read(data().join(name)).unwrap();
    let bytes = if name.ends_with(".gz") {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap();
        text
    } else {
        bytes
    };
    let mut decoder = with(FormatChoice::Auto);
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let lines = text.split(|byte| *byte == b'\n').map(|line| decode(&mut decoder, line)).collect();
    assert_eq!(decoder.format(), Some(Format::Cri), "{name}");
    lines
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cri")
}

#[test]
fn recorded_files_decode_whole() {
    for (name, lines, parts, stderr) in [
        ("chatty_web_next_head.log", 564, 2, 24),
        ("chatty_web_rotated_tail.log", 569, 2, 36),
        ("checkout_exporter_0.log", 34, 0, 0),
        ("crashy_boom_23.log", 4, 1, 1),
        ("duo_agent_0.log", 39, 0, 39),
        ("duo_app_0.log", 58, 0, 0),
        ("duo_sidecar-proxy_0.log", 23, 0, 0),
        ("edges_shapes_0.log", 38, 9, 0),
        ("edges_tty_0.log", 5, 2, 0),
    ] {
        let seen = recorded(name);
        let count = |test: fn(&Seen) -> bool| seen.iter().filter(|line| test(line)).count();
        assert_eq!(
            (seen.len(), count(|line| line.partial), count(|line| line.stream == Stream::Stderr)),
            (lines, parts, stderr),
            "{name}"
        );
        assert_eq!(count(|line| line.malformed), 0, "{name}");
        assert!(seen.iter().all(|line| time::nanos(line.time.as_bytes()).is_some()), "{name}");
    }
    let rotated = recorded("0.log.20261122-180105.gz");
    assert_eq!(rotated.len(), 6_383);
    assert!(rotated.iter().all(|line| !line.malformed));
}

#[test]
fn recorded_surprises_of_a_real_node() {
    let shapes = recorded("edges_shapes_0.log");
    let lengths: Vec<_> = shapes
        .iter()
        .filter(|line| line.message.starts_with("aaa"))
        .map(|line| (line.message.len(), line.partial))
        .collect();
    let of_32769 = [(16_384, true), (16_384, true)];
    assert_eq!(&lengths[..4], &[(16_382, false), (16_383, false), (16_384, false), (16_384, true)]);
    assert!(lengths.windows(2).any(|pair| pair == of_32769));
    for expected in [
        "",
        "  ",
        "crlf",
        "nul\0byte",
        "latin1 \u{fffd}",
        "ansi \u{1b}[31mred\u{1b}[0m\ttab",
        "P F stdout",
        "2026-01-01T00:00:00Z stdout F forged line inside the message",
    ] {
        assert!(shapes.iter().any(|line| line.message == expected), "{expected:?} is missing");
    }
    let last = shapes.last().unwrap();
    assert_eq!((last.message.as_str(), last.partial), ("end without newline", true));
    assert_eq!(recorded("crashy_boom_23.log").last().unwrap().message, "no newline at the end");
}

/// Pieces from which lines are made that are nearly right.
const PIECES: [&[u8]; 22] = [
    b"2026-11-22T17:59:23.309465200Z",
    b"2026-11-22T17:59:23Z",
    b"2026-11-22T17:59:23.1+01:00",
    b" ",
    b" stdout ",
    b"stderr",
    b"P",
    b"F",
    b":",
    b"{\"log\":\"",
    b"\\n\"",
    b"\"",
    b"\\u00e9",
    b"\\ud83d",
    b"\\",
    b",\"stream\":\"stdout\"",
    b",\"time\":\"2026-11-22T17:59:23.3Z\"",
    b"}",
    b"\0",
    b"\r",
    b"\xff",
    b"{\"attrs\":[",
];

#[test]
fn other_settings_are_for_the_lines_to_come() {
    let cri = b"2026-11-22T17:59:23.3Z stderr F said";
    let mut decoder = with(FormatChoice::Plain);
    assert_eq!(decoder.decode(raw(cri), READ_AT).message, cri);
    decoder.change(&Settings::default());
    let line = decoder.decode(raw(cri), READ_AT);
    assert_eq!((line.message, line.stream), (&b"said"[..], Stream::Stderr));
    decoder.change(&Settings { format: FormatChoice::Auto, time: None });
    assert!(decoder.decode(raw(b"no time"), READ_AT).malformed, "what was found out stays");
    decoder.change(&Settings { format: FormatChoice::Plain, time: None });
    assert_eq!(decoder.decode(raw(cri), READ_AT).message, cri);
}

#[test]
fn any_bytes_decode_to_one_line_of_the_same_place() {
    let seed = std::env::var("SKIDDER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("SKIDDER_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let choices = [FormatChoice::Auto, FormatChoice::Cri, FormatChoice::Docker, FormatChoice::Plain];
    let mut decoders = choices.map(with);
    for _ in 0..20_000 {
        let mut line = Vec::new();
        for _ in 0..random.usize(..12) {
            let piece = random.choice(PIECES).unwrap_or_default();
            line.extend_from_slice(piece);
            if random.u8(..10) == 0 {
                line.push(random.u8(..));
            }
        }
        let raw = RawLine { truncated: if random.u8(..5) == 0 { 7 } else { 0 }, ..raw(&line) };
        for decoder in &mut decoders {
            let out = decoder.decode(raw, READ_AT);
            assert_eq!(out.bytes(), line.len() as u64 + 1);
            assert_eq!((out.span, out.truncated), (raw.span, raw.truncated));
            assert!(time::length(out.time) == Some(out.time.len()) && out.time.len() <= 35);
            assert!(out.message.len() <= line.len());
            assert!(!out.malformed || out.message == line);
        }
    }
}
