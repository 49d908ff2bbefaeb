//! What is seen of a line before any language is asked: dates, levels, JSON, mentions.

use memchr::{memchr, memchr_iter, memmem};
use serde_json::value::RawValue;

use super::table::Mention;

/// A date, or at least a time of day, at the line's begin, as loggers write it. Not anchored, no captures.
///
/// Sources: RFC 3339, the default layouts of logback (time of day), log4j2, java.util.logging, Tomcat, Python's
/// `asctime`, Go's `log`, klog, Ruby's Logger, Monolog, Serilog, NestJS, logfmt as logrus and slog write it,
/// Erlang's reports, syslog (RFC 3164), Common Log Format.
macro_rules! date {
    () => {
        concat!(
            r"(?:(?:time|ts|t|timestamp|date)=)?",
            "[\\[(<\"']?",
            r"(?:",
            // 2026-11-22, 2026/11/22, 2026.11.22, 20261122T100000
            r"\d{4}[-/.]\d\d[-/.]\d\d|\d{8}[T ]\d{4}",
            // 22/11/2026, 11-22-2026, 26/11/22
            r"|\d\d[-/.]\d\d[-/.](?:\d{4}|\d\d )",
            // 22-Nov-2026, 22/Nov/2026, 22 Nov 2026
            r"|\d{1,2}[-/ ](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}[-/ ,]",
            // Nov 22, 2026; Nov 22 10:00:00; with the day of the week before
            r"|(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? +(?:\d{1,2} +)?)?",
            r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2}[, ]",
            r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d",
            // 10:00:00
            r"|\d\d:\d\d:\d\d",
            // Seconds since 1970, as zap writes them: 1.7953488e+09, 1795348800.123; milliseconds
            r"|\d\.\d+[eE]\+09|\d{10}\.\d{3}|\d{13}[ \t]",
            r")"
        )
    };
}

/// A dated line.
pub(super) const DATED: &str = concat!(
    // klog, glog: I1122 10:00:00.000000, I20261122 10:00:00.000000
    r"(?:[IWEFD](?:\d{4}|\d{8}) \d\d:\d\d:\d\d",
    // Ruby's Logger: E, [2026-11-22T10:00:00 …; tornado: [E 261122 10:00:00 web:1871]; level first: INFO 2026-…
    r"|[DIWEFAU], \[\d{4}-|\[[DIWEFC] (?:\d{6} |\d{4}-\d\d-\d\d )",
    r"|\[?(?:[A-Z]{3,9}|level=[a-z]+)\]?:?[ \t|-]+",
    // … with the thread between: ERROR [main] 2026-…
    r"(?:\[[^\]]{1,60}\] )?",
    date!(),
    // NestJS: [Nest] 1  - 11/22/2026, 10:00:00 AM
    r"|\[Nest\] ",
    "|",
    date!(),
    ")"
);

/// A date alone, for the built-in pattern `dated`: the whole of a regular expression.
pub(super) const DATED_START: &str = concat!(
    r"^(?-u:(?:\x1b\[[0-9;]*m)*(?:[IWEFD](?:\d{4}|\d{8}) \d\d:\d\d:\d\d|[DIWEFAU], \[\d{4}-|",
    date!(),
    "))"
);

/// How far into a line its level is looked for, in bytes.
const LEVEL_WITHIN: usize = 200;

/// Whether a dated line is of warning or above, by the first of its words that is a level.
///
/// A level in capitals may stand anywhere near the line's begin (`[main] ERROR`, `production.ERROR:`); in small
/// letters, where words of a message are too, only right after the time or in brackets and the like.
pub(super) fn is_alarming(line: &[u8]) -> bool {
    let head = &line[..line.len().min(LEVEL_WITHIN)];
    let (mut at, mut first) = (0, true);
    while let Some(start) = head[at..].iter().position(u8::is_ascii_alphabetic).map(|offset| at + offset) {
        let len = head[start..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let word = &head[start..start + len];
        let before = if start == 0 { b' ' } else { head[start - 1] };
        let after = head.get(start + len).copied().unwrap_or(b' ');
        at = start + len;
        if is_of_date(word) {
            continue;
        }
        match level(word, Place { before, after, first }) {
            Some(Level::Alarming) => return true,
            Some(Level::Calm) => return false,
            None => first = false,
        }
    }
    false
}

/// Whether more brackets are opened than closed: `failed [ERROR: duplicate key`, `got: {`.
pub(super) fn leaves_open(line: &[u8]) -> bool {
    [(b'(', b')'), (b'[', b']'), (b'{', b'}')]
        .into_iter()
        .any(|(opening, closing)| memchr_iter(opening, line).count() > memchr_iter(closing, line).count())
}

enum Level {
    Alarming,
    Calm,
}

/// Where a word stands.
#[derive(Clone, Copy)]
struct Place {
    before: u8,
    after: u8,
    /// It is the line's first word that is not of its date.
    first: bool,
}

impl Place {
    fn is_bare(self) -> bool {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !is_word(self.before) && !is_word(self.after)
    }

    /// As small letters must stand to be a level: `error:` right after the time, `[error]`, `level=error`.
    fn is_marked(self) -> bool {
        let closed =
            matches!(self.after, b']' | b')' | b'>' | b'|' | b':' | b'"' | b',' | b' ' | b'\t' | b'\x1b');
        closed
            && (self.first || matches!(self.before, b'[' | b'(' | b'<' | b'|' | b'=' | b'"' | b'\t' | b'm'))
    }
}

/// The level that a word at a place means: the names of syslog, java.util.logging, log4j, Python, zap, Serilog, and
/// the single letters of klog, Ruby, tornado.
fn level(word: &[u8], place: Place) -> Option<Level> {
    if let [letter] = word {
        // `E1122 10:00:00`, `E, [2026-…`, `[E 2026-…`, `2026-… E QUERY`
        let alone = place.first && matches!(place.after, b' ' | b',' | b'\t' | b'0'..=b'9' | b'/');
        return match letter {
            b'E' | b'W' | b'F' | b'C' if alone => Some(Level::Alarming),
            b'I' | b'D' if alone => Some(Level::Calm),
            _ => None,
        };
    }
    match word {
        b"WARN" | b"WARNING" | b"WRN" | b"ERROR" | b"ERR" | b"ERRO" | b"EROR" | b"FATAL" | b"FTL"
        | b"FATA" | b"CRITICAL" | b"CRIT" | b"CRT" | b"SEVERE" | b"PANIC" | b"DPANIC" | b"PANI"
        | b"ALERT" | b"EMERG" | b"EMERGENCY"
            if place.is_bare() =>
        {
            Some(Level::Alarming)
        }
        b"INFO" | b"INF" | b"INFORMATION" | b"DEBUG" | b"DBG" | b"DEBU" | b"TRACE" | b"TRC" | b"VERBOSE"
        | b"VRB" | b"NOTICE" | b"FINE" | b"FINER" | b"FINEST" | b"CONFIG" | b"LOG"
            if place.is_bare() =>
        {
            Some(Level::Calm)
        }
        b"warn" | b"warning" | b"error" | b"err" | b"fatal" | b"critical" | b"crit" | b"severe"
        | b"panic" | b"dpanic" | b"alert" | b"emerg" | b"emergency" | b"Warn" | b"Warning" | b"Error"
        | b"Fatal" | b"Critical" | b"fail"
            if place.is_marked() =>
        {
            Some(Level::Alarming)
        }
        b"info" | b"information" | b"debug" | b"trace" | b"notice" | b"verbose" | b"log" | b"Info"
        | b"Information" | b"Debug" | b"Trace" | b"Notice" | b"Verbose"
            if place.is_marked() =>
        {
            Some(Level::Calm)
        }
        _ => None,
    }
}

/// Words and letters that dates are written with.
fn is_of_date(word: &[u8]) -> bool {
    matches!(
        word,
        b"T" | b"Z"
            | b"AM"
            | b"PM"
            | b"UTC"
            | b"GMT"
            | b"CET"
            | b"CEST"
            | b"m"
            | b"Jan"
            | b"Feb"
            | b"Mar"
            | b"Apr"
            | b"May"
            | b"Jun"
            | b"Jul"
            | b"Aug"
            | b"Sep"
            | b"Oct"
            | b"Nov"
            | b"Dec"
            | b"Mon"
            | b"Tue"
            | b"Wed"
            | b"Thu"
            | b"Fri"
            | b"Sat"
            | b"Sun"
    )
}

/// Whether a line is a JSON object, which stands for itself. Only its first key and its end are looked at.
pub(super) fn is_object(line: &[u8]) -> bool {
    match line {
        [b'{', b'"', rest @ ..] => is_key(rest),
        [b'{', .., last] => *last == b'}',
        _ => false,
    }
}

/// Whether what comes after a quote can be a key: Erlang's `{"init terminating in do_boot",…}` has none.
fn is_key(rest: &[u8]) -> bool {
    let Some(quote) = memchr(b'"', rest) else { return true };
    rest[quote + 1..].trim_ascii_start().first().is_none_or(|next| *next == b':')
}

/// Whether a line is a JSON object, all of it looked at.
pub(super) fn is_json(line: &[u8]) -> bool {
    is_object(line) && serde_json::from_slice::<&RawValue>(line).is_ok()
}

/// What a line mentions, if anything.
pub(super) fn mention(line: &[u8]) -> Option<Mention> {
    match line.last() {
        Some(b':') if line.ends_with(b"Traceback (most recent call last):") => Some(Mention::Traceback),
        Some(b'.' | b'0'..=b'9') if ends_with_place(line) => Some(Mention::Place),
        _ => mentions_exception(line).then_some(Mention::Exception),
    }
}

/// `… line 3.`, as Perl ends what it dies of; also `…, <STDIN> line 3.`, and `… at a.pl line 3` as modules do.
fn ends_with_place(line: &[u8]) -> bool {
    let rest = line.strip_suffix(b".").unwrap_or(line);
    let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = &rest[..rest.len() - digits];
    let is_place = rest.ends_with(b" line ") || rest.ends_with(b"> chunk ");
    digits > 0 && is_place && (line.ends_with(b".") || memmem::find(rest, b" at ").is_some())
}

/// `…Error` or `…Exception`, before `:`, ` [` or at the end. A scan for one capital: few lines have it.
fn mentions_exception(line: &[u8]) -> bool {
    memchr_iter(b'E', line).any(|at| {
        let word = &line[at..];
        let rest = word.strip_prefix(b"Error").or_else(|| word.strip_prefix(b"Exception"));
        rest.is_some_and(|rest| matches!(rest, [] | [b':', ..] | [b' ', b'[', ..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_level_of_a_dated_line_counts() {
        for (line, expected) in [
            ("2026-11-22 10:00:00.123 ERROR 1 --- [nio-1] c.e.Api : failed", true),
            ("2026-11-22 10:00:00.123  INFO 1 --- [nio-1] c.e.Api : ERROR", false),
            ("2026-11-22T10:00:00Z WARN x", true),
            ("2026-11-22 10:00:00,123 - app - ERROR - x", true),
            ("[2026-11-22 10:00:00,123: ERROR/ForkPoolWorker-1] Task", true),
            ("[2026-11-22 10:00:00] production.ERROR: x", true),
            ("2026/11/22 10:00:00 [error] 7#7: x", true),
            ("2026/11/22 10:00:00 starting error handler", false),
            ("2026-11-22T10:00:00.000Z\terror\tapp/main.go:10\tfailed", true),
            ("2026-11-22T10:00:00.000Z\tinfo\tapp/main.go:10\terror", false),
            ("time=\"2026-11-22T10:00:00Z\" level=error msg=x", true),
            ("time=\"2026-11-22T10:00:00Z\" level=info msg=\"an error\"", false),
            ("E1122 10:00:00.000000       1 a.go:7] x", true),
            ("I1122 10:00:00.000000       1 a.go:7] x", false),
            ("E, [2026-11-22T10:00:00.1 #1] ERROR -- : x", true),
            ("D, [2026-11-22T10:00:00.1 #1] DEBUG -- : ERROR", false),
            ("[E 261122 10:00:00 web:1871] Uncaught", true),
            ("[10:00:00 ERR] x", true),
            ("10:00:00.000 [error] GenServer terminating", true),
            ("22-Nov-2026 10:00:00.123 SEVERE [main] x", true),
            ("Nov 22 10:00:00 host app[1]: ERROR x", true),
            ("[Nest] 1  - 11/22/2026, 10:00:00 AM   ERROR [X] y", true),
            ("2026-11-22 10:00:00 error: boom", true),
            ("2026-11-22 10:00:00", false),
        ] {
            assert_eq!(is_alarming(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn an_object_is_known_by_its_ends() {
        for (line, expected) in [
            (r#"{"a":1}"#, true),
            (r#"{"a":1"#, true),
            (r#"{"a" : 1}"#, true),
            (r#"{"a"#, true),
            (r#"{"init terminating in do_boot",{undef,[]}}"#, false),
            ("{ a: 1 }", true),
            ("{}", true),
            ("{", false),
            ("{ Error: x", false),
            ("[1]", false),
        ] {
            assert_eq!(is_object(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn mentions_are_words_before_a_colon_or_the_end() {
        for (line, expected) in [
            ("failed: TypeError: x", Some(Mention::Exception)),
            ("java.lang.NullPointerException", Some(Mention::Exception)),
            ("Error [ERR_X]: y", Some(Mention::Exception)),
            ("Error while reading", None),
            ("ERROR: no", None),
            ("Exceptions: 3", None),
            ("boom at app.pl line 3.", Some(Mention::Place)),
            ("boom at app.pl line 3, <STDIN> line 12.", Some(Mention::Place)),
            ("boom at app.pl line 3, <$file> chunk 12.", Some(Mention::Place)),
            ("x is required at constructor Cart::new (defined at a.pl line 3) line 9", Some(Mention::Place)),
            ("see page 4 line 12", None),
            ("see line .", None),
            ("ERROR:root:Traceback (most recent call last):", Some(Mention::Traceback)),
            ("", None),
        ] {
            assert_eq!(mention(line.as_bytes()), expected, "{line}");
        }
    }
}
