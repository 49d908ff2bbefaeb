//! Logs as a busy node has them, made by a seeded generator: the same seed and length give the same bytes.
//!
//! By bytes 80 % are plain lines, 15 % traces (Java, Python, Go, now and then with a line of standard output
//! between theirs), 5 % long lines that the runtime cut into parts. What must come out is known: each plain
//! line, each trace and each long line is one event.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub mod node;

use std::fmt::Write as _;

use skidder::event::time;

/// A runtime cuts lines after this many bytes.
const PART: usize = 16 * 1024;
/// The first line's time, 2026-11-22T10:00:00Z, in nanoseconds since 1970.
const BEGIN: i64 = 1_795_341_600_000_000_000;

/// Who wrote the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A CRI runtime.
    Cri,
    /// Docker's json-file driver.
    Docker,
    /// The programs themselves; long lines are not cut.
    Plain,
}

/// A log and what is in it.
pub struct Corpus {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its newlines.
    pub lines: u64,
    /// Its events, traces and parts joined.
    pub events: u64,
}

/// A log of at least `length` bytes that ends with an event.
pub fn corpus(shape: Shape, length: usize, seed: u64) -> Corpus {
    let mut bytes = Vec::with_capacity(length + 128 * 1024);
    let mut generator = Generator::new(shape, seed);
    while bytes.len() < length {
        generator.write_event(&mut bytes);
    }
    Corpus { bytes, lines: generator.lines, events: generator.events }
}

#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Trace,
    Long,
}

/// Writes a log event by event, for logs that are too long for memory.
pub struct Generator {
    shape: Shape,
    random: fastrand::Rng,
    /// The last line's time, in nanoseconds since 1970.
    now: i64,
    /// The bytes written of each [`Kind`], which decide what comes next.
    written: [u64; 3],
    /// Newlines so far.
    pub lines: u64,
    /// Events so far.
    pub events: u64,
}

impl Generator {
    /// A generator at the beginning of a log.
    pub fn new(shape: Shape, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { shape, random, now: BEGIN, written: [0; 3], lines: 0, events: 0 }
    }

    /// Appends the next event (and, with a trace, plain lines that fell between its own).
    pub fn write_event(&mut self, out: &mut Vec<u8>) {
        let [plain, trace, long] = self.written;
        let total = plain + trace + long;
        match () {
            () if long * 100 < total * 5 => self.long_line(out),
            () if trace * 100 < total * 15 => self.trace(out),
            () => self.plain_line(out),
        }
    }

    fn plain_line(&mut self, out: &mut Vec<u8>) {
        let text = message(&mut self.random);
        self.count(Kind::Plain, out, |this, out| this.line(out, "stdout", &text, true));
    }

    fn long_line(&mut self, out: &mut Vec<u8>) {
        let length = self.random.usize(PART + 1..4 * PART);
        let mut text = String::with_capacity(length + 64);
        while text.len() < length {
            let _ = write!(
                text,
                "{{\"sku\":\"A-{:05}\",\"qty\":{}}},",
                self.random.u32(..100_000),
                self.random.u8(..)
            );
        }
        text.truncate(length);
        self.count(Kind::Long, out, |this, out| {
            let mut rest = text.as_str();
            while this.shape != Shape::Plain && rest.len() > PART {
                let (part, after) = rest.split_at(PART);
                this.line(out, "stdout", part, false);
                rest = after;
            }
            this.line(out, "stdout", rest, true);
        });
    }

    fn trace(&mut self, out: &mut Vec<u8>) {
        let text = match self.random.u8(..3) {
            0 => java(&mut self.random),
            1 => python(&mut self.random),
            _ => go(&mut self.random),
        };
        self.events += 1;
        for line in text.lines() {
            let before = out.len();
            self.line(out, "stderr", line, true);
            self.written[Kind::Trace as usize] += (out.len() - before) as u64;
            // A plain file has no streams: there a line between would end the trace.
            if self.shape != Shape::Plain && self.random.u8(..16) == 0 {
                self.plain_line(out);
            }
        }
    }

    fn count(&mut self, kind: Kind, out: &mut Vec<u8>, write: impl FnOnce(&mut Self, &mut Vec<u8>)) {
        let before = out.len();
        write(self, out);
        self.written[kind as usize] += (out.len() - before) as u64;
        self.events += 1;
    }

    /// Appends a line or a part of one as the runtime writes it.
    fn line(&mut self, out: &mut Vec<u8>, stream: &str, text: &str, whole: bool) {
        self.now += self.random.i64(1_000..100_000);
        self.lines += 1;
        let time = time::rfc3339(self.now);
        let digits = &time[..time.len() - 1];
        let trimmed = digits.iter().rev().take_while(|byte| **byte == b'0').count();
        let time = &digits[..digits.len() - trimmed];
        match self.shape {
            Shape::Cri => {
                out.extend_from_slice(time);
                out.extend_from_slice(b"Z ");
                out.extend_from_slice(stream.as_bytes());
                out.extend_from_slice(if whole { b" F " } else { b" P " });
                out.extend_from_slice(text.as_bytes());
            }
            Shape::Docker => {
                out.extend_from_slice(b"{\"log\":\"");
                let _ = text.chars().try_for_each(|character| escape(out, character));
                out.extend_from_slice(if whole { b"\\n\",\"stream\":\"" } else { b"\",\"stream\":\"" });
                out.extend_from_slice(stream.as_bytes());
                out.extend_from_slice(b"\",\"time\":\"");
                out.extend_from_slice(time);
                out.extend_from_slice(b"Z\"}");
            }
            Shape::Plain => out.extend_from_slice(text.as_bytes()),
        }
        out.push(b'\n');
    }
}

fn escape(out: &mut Vec<u8>, character: char) -> std::io::Result<()> {
    use std::io::Write as _;
    match character {
        '"' | '\\' => write!(out, "\\{character}"),
        '\t' => write!(out, "\\t"),
        '<' | '>' | '&' => write!(out, "\\u{:04x}", u32::from(character)),
        _ => write!(out, "{character}"),
    }
}

/// One line of a program: what web servers, Go and Java services and JSON loggers say.
fn message(random: &mut fastrand::Rng) -> String {
    let id = random.u64(..);
    let number = random.u32(..10_000);
    match random.u8(..5) {
        0 => format!(
            "10.0.{}.{} - - \"GET /api/v1/orders/{number}?expand=items&trace={id:016x} HTTP/1.1\" 200 {} \"-\" \
             \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\" rt=0.{:03} upstream=checkout:8080",
            random.u8(..),
            random.u8(..),
            number * 7,
            number % 1_000
        ),
        1 => format!(
            "level=info component=scheduler msg=\"job finished\" job=sync-{number} shard={} duration={}ms \
             items={} trace_id={id:016x} next=\"in {}s\" caller=scheduler/loop.go:218 region=eu-central-1 tenant=acme queue=orders-high-priority",
            number % 16,
            number % 997,
            number * 3,
            number % 60
        ),
        2 => format!(
            "{{\"level\":\"info\",\"logger\":\"checkout\",\"msg\":\"order placed\",\"order\":{number},\"user\":\"u-{id:016x}\",\
             \"amount\":{}.{:02},\"currency\":\"EUR\",\"payment\":\"card\",\"shipping\":\"express\",\"channel\":\"web\",\"items\":[{{\"sku\":\"A-{:05}\",\"qty\":{}}}]}}",
            number % 500,
            number % 100,
            number * 9,
            number % 5
        ),
        3 => format!(
            "INFO [http-nio-8080-exec-{}] c.a.s.OrderController - order {number} accepted for tenant größe-{} after {} ms \
             (request {id:016x}, retries {}, cache miss, warehouse north-2, next step payment)",
            number % 32,
            number % 40,
            number % 300,
            number % 3
        ),
        _ => format!(
            "processed batch {number} of partition {} up to offset {id}, consumer group orders-indexer, lag 0, committed",
            number % 64
        ),
    }
}

fn java(random: &mut fastrand::Rng) -> String {
    let mut text = format!(
        "Exception in thread \"worker-{}\" java.lang.IllegalStateException: order {} cannot be booked\n",
        random.u8(..64),
        random.u32(..100_000)
    );
    frames(random, &mut text, 20);
    text.push_str(
        "Caused by: java.sql.SQLTransientConnectionException: pool-1 - Connection is not available\n",
    );
    frames(random, &mut text, 8);
    text.push_str("\t... 21 more\n");
    text
}

fn frames(random: &mut fastrand::Rng, text: &mut String, most: u32) {
    for _ in 0..random.u32(3..most) {
        let (place, line) = (random.u8(..40), random.u32(1..900));
        let _ = writeln!(
            text,
            "\tat com.acme.shop.orders.service{place}.OrderService{place}.placeOrder(OrderService{place}.java:{line})"
        );
    }
}

fn python(random: &mut fastrand::Rng) -> String {
    let mut text = String::from("Traceback (most recent call last):\n");
    for _ in 0..random.u32(2..12) {
        let (place, line) = (random.u8(..40), random.u32(1..900));
        let _ =
            writeln!(text, "  File \"/srv/app/shop/orders/module{place}.py\", line {line}, in place_order");
        let _ = writeln!(text, "    return self.backend.submit(order, retries={place})");
    }
    let _ = writeln!(text, "ValueError: invalid quantity: {}", random.i32(-9..0));
    text
}

fn go(random: &mut fastrand::Rng) -> String {
    let mut text = String::from("panic: runtime error: index out of range [7] with length 3\n\n");
    let _ = writeln!(text, "goroutine {} [running]:", random.u32(1..5_000));
    for _ in 0..random.u32(2..10) {
        let (place, line) = (random.u8(..40), random.u32(1..900));
        let _ = writeln!(
            text,
            "acme.example/shop/orders.(*Server{place}).Place(0xc000{line:06x}, {{0x7f12, 0x{place:x}}})"
        );
        let _ = writeln!(text, "\t/build/orders/server{place}.go:{line} +0x1b4");
    }
    text
}
