//! `skidder logs` at a desk: what is read, and how it looks.
#![allow(clippy::unwrap_used, reason = "in what the tests call, too: a story that cannot go on says where")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skidder::cli::logs::files::Plan;
use skidder::cli::pretty::{Pretty, PrettySubject, Totals};
use skidder::decode::{Decoder, Settings as DecodeSettings};
use skidder::event::{End, Event, Flags, GenerationFile, Position, RawLine, Reason, Span, Stream};
use skidder::join::{Joiner, Rules, Settings as JoinSettings};

/// A file of `tests/data`.
pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// Compares with `tests/data/golden/<name>`, or writes it when `SKIDDER_BLESS` is set.
pub fn golden(name: &str, actual: &[u8]) {
    let path = data("golden").join(name);
    if std::env::var("SKIDDER_BLESS").is_ok_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read(&path).unwrap_or_default();
    let (actual, expected) = (String::from_utf8_lossy(actual), String::from_utf8_lossy(&expected));
    assert!(
        actual == expected,
        "{name} differs (SKIDDER_BLESS=1 accepts it):\n{actual}\n--- expected:\n{expected}"
    );
}

const CART: PrettySubject<'_> = PrettySubject {
    namespace: "shop",
    pod: "cart-6c8f5d7b9d-x2k4m",
    container: "web",
    path: "/var/log/pods/…/0.log",
};
const API: PrettySubject<'_> = PrettySubject {
    namespace: "shop",
    pod: "api-5d8f7c9b6d-7qzlp",
    container: "api",
    path: "/var/log/pods/…/1.log",
};
const FILE: PrettySubject<'_> =
    PrettySubject { namespace: "", pod: "", container: "", path: "/srv/legacy/app.log" };
const STDIN: PrettySubject<'_> = PrettySubject { namespace: "", pod: "", container: "", path: "" };

fn event<'a>(time: &'a str, stream: Stream, message: &'a (impl AsRef<[u8]> + ?Sized)) -> Event<'a> {
    let message = message.as_ref();
    let lines = message.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
    Event {
        time: time.as_bytes(),
        stream,
        message,
        utf8: false,
        flags: Flags { multiline: lines > 1, ..Flags::default() },
        span: Span {
            start: Position::default(),
            end: Position { generation: 0, offset: message.len() as u64 + 40 },
        },
        lines,
        bytes: message.len() as u64 + 40,
        truncated: 0,
        end: End::Bytes(if lines > 1 { Reason::Start } else { Reason::Alone }),
        next: if lines > 1 { "python" } else { "" },
        rule: if lines > 1 { "java" } else { "" },
    }
}

/// One of each kind that looks different.
fn events() -> Vec<(PrettySubject<'static>, Event<'static>)> {
    let out = Stream::Stdout;
    let err = Stream::Stderr;
    let trace = "2026-11-22T09:06:12.410Z ERROR 1 --- [exec-1] c.e.CartController : answering 500\n\n\
        java.lang.IllegalStateException: checkout of cart 8f31c2 failed\n\
        \tat com.example.cart.CartService.checkout(CartService.java:13)\n\
        Caused by: java.net.ConnectException: Connection refused\n\t... 11 more";
    let long = "DEBUG a line that is longer than eighty columns is neither cut nor folded by us: that is left to the terminal, \
        so that what is copied from it is whole; and it is longer than two hundred columns, too";
    let json = r#"{"time":"2026-11-22T09:14:40.4Z","level":"WARN","msg":"slow query","table":"orders","plan":{"node": "Seq Scan"},"took":1.50,"by":"a \"b\"","empty":""}"#;
    let traced = r#"{"time":"2026-11-22T08:00:00Z","level":"error","stack":"goroutine 71 [running]:\nmain.render()\n\t/src/main.go:88","msg":"template failed","n":1}"#;
    let cut = Event {
        flags: Flags { truncated: true, ..Flags::default() },
        truncated: 4096,
        ..event("2026-11-22T23:59:59Z", out, "a very long line")
    };
    let partial = Event {
        flags: Flags { partial: true, ..Flags::default() },
        end: End::Clock,
        span: Span {
            start: Position { generation: 0, offset: 9_000 },
            end: Position { generation: 1, offset: 60 },
        },
        ..event("2026-11-23T00:00:00.000000001Z", out, "connecting ...")
    };
    vec![
        (
            CART,
            event(
                "2026-11-22T09:00:07.1008Z",
                out,
                "2026-11-22T09:00:07.100Z  INFO 1 --- [main] c.e.CartApplication : Starting",
            ),
        ),
        (CART, event("2026-11-22T09:06:12.410123456Z", out, trace)),
        (CART, event("2026-11-22T09:06:12.4111Z", out, "")),
        (API, event("2026-11-22T09:14:40.429765541Z", out, json)),
        (API, event("2026-11-22T09:25:00Z", out, traced)),
        (
            API,
            event(
                "2026-11-22T09:33:17.3Z",
                err,
                "panic: nil pointer dereference\n\ngoroutine 18 [running]:\nmain.main()\n\t/src/main.go:34 +0x2c",
            ),
        ),
        (API, event("2026-11-22T09:34:00Z", err, long)),
        (API, event("2026-11-22T09:35:00Z", out, "{}")),
        (
            FILE,
            event(
                "2026-11-22T09:36:00Z",
                Stream::None,
                "fatal: Grüße \x1b[32mgreen\x1b[0m, \x1b[2Jcleared, 25%\r50%\u{9b}",
            ),
        ),
        (STDIN, event("2026-11-22T09:37:00Z", Stream::None, b"Caf\xe9 E1122 is no level")),
        (CART, cut),
        (CART, partial),
        (CART, event("yesterday", out, "without a time that can be read")),
    ]
}

fn rendered(pretty: &mut Pretty) -> Vec<u8> {
    let mut out = Vec::new();
    for (subject, event) in events() {
        if subject.pod == API.pod {
            pretty.introduce(&subject, "Deployment", "api", &mut out);
        }
        pretty.render(&subject, &event, &mut out);
    }
    out
}

#[test]
fn looks_as_agreed() {
    for (color, name) in [(false, "plain"), (true, "colour")] {
        for width in [80, 200] {
            let mut totals = Totals::default();
            for (subject, event) in events() {
                totals.count(&subject, &event);
            }
            let mut out = rendered(&mut Pretty::new(color));
            totals.render(Duration::from_millis(250), width, color, &mut out);
            golden(&format!("pretty/{name}-{width}.txt"), &out);
        }
    }
}

#[test]
fn explains_and_marks() {
    let mut pretty = Pretty::new(true);
    pretty.explain = true;
    pretty.marks = Some(regex::bytes::Regex::new(r"(?s)8f31c2.*Caused|slow|\bmain\b").unwrap());
    golden("pretty/explained.txt", &rendered(&mut pretty));
}

#[test]
fn shows_times_in_the_readers_zone() {
    let mut pretty = Pretty::new(false);
    pretty.zone = jiff::tz::TimeZone::get("Europe/Zurich").unwrap();
    golden("pretty/zone.txt", &rendered(&mut pretty));
}

#[test]
fn without_colour_all_but_the_messages_is_ascii() {
    let ascii: Vec<_> = events().into_iter().filter(|(_, event)| event.message.is_ascii()).collect();
    let mut out = Vec::new();
    let mut pretty = Pretty::new(false);
    ascii.iter().for_each(|(subject, event)| pretty.render(subject, event, &mut out));
    assert!(
        out.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b' '..=b'~')),
        "{}",
        String::from_utf8_lossy(&out)
    );
}

/// The sample node's `expected.json`.
pub fn expected() -> Value {
    serde_json::from_slice(&fs::read(data("node/expected.json")).unwrap()).unwrap()
}

/// A log file's bytes, unpacked.
fn content(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        return plain;
    }
    bytes
}

#[test]
fn the_sample_node_holds_what_it_says() {
    let expected = expected();
    for file in
        expected["instances"].as_array().unwrap().iter().flat_map(|one| one["files"].as_array().unwrap())
    {
        let path = file["path"].as_str().unwrap();
        let bytes = content(&data("node").join(path));
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(
            (Some(bytes.len() as u64), Some(lines as u64)),
            (file["bytes"].as_u64(), file["lines"].as_u64()),
            "{path}"
        );
    }
    let kubelet: Value = serde_json::from_slice(&fs::read(data("node/pods.json")).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let listed: BTreeSet<_> = kubelet["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| {
            let meta = &pod["metadata"];
            format!("{}_{}_{}", text(&meta["namespace"]), text(&meta["name"]), text(&meta["uid"]))
        })
        .collect();
    let folders: BTreeSet<_> = fs::read_dir(data("node/pods"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(listed, folders);
}

/// Counts what comes out of a log's generations, decoded and joined.
fn counted(files: &[PathBuf]) -> Value {
    let rules = Rules::compile(&JoinSettings::default()).unwrap();
    let (mut joiner, now) = (Joiner::new(Arc::new(rules)), Instant::now());
    let mut decoder = Decoder::new(&DecodeSettings::default());
    let [mut events, mut stderr, mut joined, mut unfinished, mut longest, mut bytes] = [0_u64; 6];
    let mut count = |event: &Event<'_>| {
        events += 1;
        stderr += u64::from(event.stream == Stream::Stderr);
        joined += u64::from(event.lines > 1);
        unfinished += u64::from(event.flags.partial);
        longest = longest.max(event.lines.into());
        bytes += event.bytes;
    };
    for (generation, file) in (0..).zip(files) {
        let mut at = Position { generation, offset: 0 };
        for line in content(file).split_inclusive(|byte| *byte == b'\n') {
            let end = Position { offset: at.offset + line.len() as u64, ..at };
            let line = line.strip_suffix(b"\n").unwrap();
            if at.offset == 0 {
                decoder.sniff(line);
            }
            let raw = RawLine { bytes: line, span: Span { start: at, end }, utf8: false, truncated: 0 };
            joiner.push(&decoder.decode(raw, b"2026-11-22T10:00:00Z"), now, &mut count);
            at = end;
        }
    }
    joiner.finish(&mut count);
    json!({ "events": events, "stderr_events": stderr, "joined": joined, "unfinished": unfinished, "longest": longest, "bytes": bytes })
}

#[test]
fn the_sample_node_comes_out_as_it_says() {
    for instance in expected()["instances"].as_array().unwrap() {
        let files = instance["files"].as_array().unwrap().iter();
        let files: Vec<_> = files.map(|file| data("node").join(file["path"].as_str().unwrap())).collect();
        for (key, value) in counted(&files).as_object().unwrap() {
            assert_eq!(value, &instance[key], "{key} of {}/{}", instance["pod"], instance["container"]);
        }
    }
}

#[test]
fn a_nodes_folder_and_its_links_mean_the_same_files() {
    let expected = expected();
    let node = data("node").canonicalize().unwrap();
    let wanted: BTreeSet<Vec<String>> = expected["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            one["files"]
                .as_array()
                .unwrap()
                .iter()
                .map(|file| file["path"].as_str().unwrap().to_owned())
                .collect()
        })
        .collect();
    for argument in ["node", "node/pods", "node/containers", "node/containers/*.log", "node/pods/*/*/?.log"] {
        let plan = Plan::new(&[data(argument)], true);
        assert!(plan.missing.is_empty(), "{argument}: {:?}", plan.missing);
        let below =
            |file: &GenerationFile| file.path.strip_prefix(&node).unwrap().to_string_lossy().into_owned();
        let found: BTreeSet<Vec<String>> =
            plan.logs.iter().map(|log| log.files.iter().map(below).collect()).collect();
        assert_eq!(found, wanted, "{argument}");
    }
}
