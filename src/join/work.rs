//! Bytes looked at or copied, counted in tests only: that the work stays linear is shown without a clock.

#[cfg(test)]
thread_local! {
    static BYTES: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// So many bytes more.
#[inline(always)]
pub(super) fn add(bytes: usize) {
    #[cfg(test)]
    BYTES.set(BYTES.get() + bytes as u64);
    let _ = bytes;
}

/// How many bytes a piece of work takes on this thread.
#[cfg(test)]
pub(super) fn of(work: impl FnOnce()) -> u64 {
    let before = BYTES.get();
    work();
    BYTES.get() - before
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use crate::event::{Event, Line, Position, Span, Stream};

    use super::super::{Joiner, Rules, Settings};

    /// The work per byte of lines of one stream, and that all of them are given out.
    fn work(lines: impl Iterator<Item = String>) -> f64 {
        let mut joiner = Joiner::new(Arc::new(Rules::compile(&Settings::default()).unwrap()));
        let (now, mut at, mut given) = (Instant::now(), 0, 0);
        let mut sink = |event: &Event<'_>| given += event.bytes;
        let work = super::of(|| {
            for line in lines {
                let start = Position { generation: 0, offset: at };
                at += line.len() as u64 + 1;
                let line = Line {
                    time: b"",
                    stream: Stream::None,
                    partial: false,
                    message: line.as_bytes(),
                    utf8: true,
                    malformed: false,
                    truncated: 0,
                    span: Span { start, end: Position { generation: 0, offset: at } },
                };
                joiner.push(&line, now, &mut sink);
            }
            joiner.finish(&mut sink);
        });
        assert_eq!(given, at);
        work as f64 / at as f64
    }

    /// Twice the input is twice the work: quadratic work would double what each byte takes.
    fn assert_linear(what: &str, per_byte: [f64; 3]) {
        println!("{what}: {per_byte:.1?} bytes of work per byte");
        assert!(per_byte[2] < 40.0, "{what}: {per_byte:.1?}");
        assert!(per_byte[2] < per_byte[1] * 1.2 + 0.5, "{what} takes more than linear time: {per_byte:.1?}");
    }

    /// What begins no event is known as such by its first words: a rule that goes on to the line's end would make each
    /// ordinary line many times dearer.
    #[test]
    fn an_ordinary_line_is_decided_by_its_first_words() {
        let ordinary: [fn(usize) -> String; 6] = [
            |at| format!("handled order={at}"),
            |at| format!("request {at} was served by worker 7"),
            |at| format!("INFO order={at} is on its way"),
            |at| format!("GET /cart/items/{at} HTTP/1.1"),
            |at| format!("[worker-{at}] started"),
            |at| format!("10.0.0.7 - - {at} \"GET / HTTP/1.1\""),
        ];
        let rest = " path=/cart/items took=217ms status=200".repeat(6);
        for line in ordinary {
            let per_byte = work((0..600).map(|at| line(at) + &rest));
            assert!(per_byte < 0.25, "{}: {per_byte:.2} bytes of work per byte", line(0));
        }
    }

    /// What it is, and what the line at a place says.
    type Endless = (&'static str, fn(usize) -> String);

    const HEAD: &str = "java.lang.IllegalStateException: boom";

    #[test]
    fn endless_lines_take_linear_time() {
        let endless: [Endless; 13] = [
            ("ordinary lines", |at| format!("request {at} was served")),
            ("heads", |at| format!("org.acme.Service{at}Exception: boom")),
            ("a message without end", |at| if at == 0 { HEAD.to_owned() } else { format!("row {at}") }),
            ("messages too long", |at| if at % 99 == 0 { HEAD.to_owned() } else { format!("row {at}") }),
            ("mentions", |at| format!("{at} failed: TypeError: x")),
            ("blank lines", |_| String::new()),
            ("blank lines below a head", |at| if at == 0 { HEAD.to_owned() } else { String::new() }),
            ("blank lines below heads", |at| if at % 2 == 0 { HEAD.to_owned() } else { "  ".to_owned() }),
            ("dated heads", |at| format!("2026-11-22 10:00:00 ERROR {at} failed")),
            (
                "frames of Java",
                |at| if at == 0 { HEAD.to_owned() } else { format!("\tat a.B.c(B.java:{at})") },
            ),
            ("frames of Python", |at| match at % 2 {
                _ if at == 0 => "Traceback (most recent call last):".to_owned(),
                1 => format!("  File \"/app/{at}.py\", line {at}, in handle"),
                _ => "    return handle(request)".to_owned(),
            }),
            ("heads of Ruby", |at| format!("app.rb:{at}:in 'Cart#total': boom (RuntimeError)")),
            ("places of Ruby", |at| match at {
                0 => "app.rb:1:in 'Cart#total': boom (RuntimeError)".to_owned(),
                _ => format!("\tfrom app.rb:{at}:in 'Cart#total'"),
            }),
        ];
        // More lines than may be held (1,000), in the second size already.
        for (what, line) in endless {
            assert_linear(what, [1, 2, 4].map(|times| work((0..times * 600).map(line))));
        }
    }

    #[test]
    fn a_long_line_takes_linear_time() {
        let units =
            ["a", "E", "Error: ", ".", " ", "\t", "a.B", "[", "\x1b[0m", "{", "1:", "Caused by: ", "::"];
        for unit in units {
            let of = |bytes: usize| {
                let long = unit.repeat(bytes / unit.len());
                work([&long, HEAD, &long, "\tat a.B.c(B.java:3)", &long].map(str::to_owned).into_iter())
            };
            assert_linear(unit, [1 << 14, 1 << 15, 1 << 16].map(of));
        }
        let of_a_mebibyte = work(std::iter::once("E:".repeat(1 << 19)));
        assert!(of_a_mebibyte < 40.0, "{of_a_mebibyte}");
    }
}
