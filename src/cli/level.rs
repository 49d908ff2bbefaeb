//! How bad an event says it is: the word that loggers put near the start of a line.
//!
//! For reading and filtering at a terminal only; documents carry what a JSON message itself says, never a guess.

use std::ops::Range;

use super::fields::Fields;

/// A level, in the order of badness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// `TRACE`, `FINEST`, …
    Trace,
    /// `DEBUG`, `FINE`, …
    Debug,
    /// `INFO`, `NOTICE`, …; also what an event is taken for that names none.
    Info,
    /// `WARN`, `WARNING`.
    Warn,
    /// `ERROR`, `SEVERE`, and the head of a trace.
    Error,
    /// `FATAL`, `CRITICAL`, `PANIC`, …
    Fatal,
}

impl Level {
    /// Reads a level's name, in any case and in the spellings of the usual loggers.
    pub fn parse(word: &[u8]) -> Option<Self> {
        // The longest name is `CRITICAL` or `EMERGENCY`: longer words are spared the copy.
        let mut upper = [0; 9];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word);
        upper.make_ascii_uppercase();
        Some(match &*upper {
            b"TRACE" | b"TRC" | b"FINER" | b"FINEST" | b"VERBOSE" => Self::Trace,
            b"DEBUG" | b"DBG" | b"DEBU" | b"FINE" => Self::Debug,
            b"INFO" | b"INF" | b"NOTICE" | b"CONFIG" => Self::Info,
            b"WARN" | b"WARNING" | b"WRN" => Self::Warn,
            b"ERROR" | b"ERR" | b"ERRO" | b"SEVERE" => Self::Error,
            b"FATAL" | b"FTL" | b"CRITICAL" | b"CRIT" | b"PANIC" | b"ALERT" | b"EMERG" | b"EMERGENCY"
            | b"DPANIC" => Self::Fatal,
            _ => return None,
        })
    }

    /// Reads the numbers of bunyan and pino: 10 is trace, 60 is fatal.
    pub fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            10 => Self::Trace,
            20 => Self::Debug,
            30 => Self::Info,
            40 => Self::Warn,
            50 => Self::Error,
            60 => Self::Fatal,
            _ => return None,
        })
    }

    /// The name as it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// The level that a message names, as JSON or in words.
pub fn of(message: &[u8]) -> Option<Level> {
    match Fields::parse(message) {
        Some(fields) => fields.level(),
        None => find(message).map(|found| found.level),
    }
}

/// A level in a line of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub level: Level,
    /// The bytes of the message that name it.
    pub at: Range<usize>,
}

/// How far from its start a line is searched, in bytes and in words: behind date, thread and process id.
const REACH: (usize, usize) = (128, 8);

/// Where a word stands: small letters name a level only where they cannot be prose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The first word.
    Start,
    /// After nothing but words with digits: dates, times, numbers.
    AfterDate,
    /// Anywhere else.
    Inside,
}

/// Finds the level in a line of text: a word in capitals (`ERROR`), in brackets (`[error]`), after `level=`, right
/// after the date, klog's letter (`E1122 `), or the head of a trace.
pub fn find(message: &[u8]) -> Option<Found> {
    let line = &message[..memchr::memchr(b'\n', message).unwrap_or(message.len()).min(REACH.0)];
    if let Some(found) = klog(line).or_else(|| trace_head(line)) {
        return Some(found);
    }
    let mut place = Place::Start;
    for at in words(line).take(REACH.1) {
        let word = &line[at.clone()];
        if let Some(found) = in_word(word, place) {
            return Some(Found {
                level: found.level,
                at: at.start + found.at.start..at.start + found.at.end,
            });
        }
        place = match place {
            Place::Start | Place::AfterDate if word.iter().any(u8::is_ascii_digit) => Place::AfterDate,
            _ => Place::Inside,
        };
    }
    None
}

/// `E1122 10:00:00.000000       1 main.go:1] …`, as Kubernetes' own programs write.
fn klog(line: &[u8]) -> Option<Found> {
    let [letter, d1, d2, d3, d4, b' ', ..] = line else { return None };
    let level = match letter {
        b'I' => Level::Info,
        b'W' => Level::Warn,
        b'E' => Level::Error,
        b'F' => Level::Fatal,
        _ => return None,
    };
    [d1, d2, d3, d4].iter().all(|digit| digit.is_ascii_digit()).then_some(Found { level, at: 0..1 })
}

fn trace_head(line: &[u8]) -> Option<Found> {
    for (head, level) in [
        (&b"Traceback (most recent call last):"[..], Level::Error),
        (b"Exception in thread", Level::Error),
        (b"panic:", Level::Fatal),
        (b"fatal error:", Level::Fatal),
    ] {
        if line.starts_with(head) {
            return Some(Found { level, at: 0..head.len() });
        }
    }
    // `java.lang.IllegalStateException: …`, `TypeError: …`
    let end = line.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"._$".contains(byte)))?;
    let named = line[..end].ends_with(b"Exception") || line[..end].ends_with(b"Error");
    (named && line[end] == b':' && end > b"Error".len()).then_some(Found { level: Level::Error, at: 0..end })
}

/// The ranges of the words between blanks.
fn words(line: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..].iter().position(|byte| !byte.is_ascii_whitespace())?;
        let start = at;
        at = line[at..].iter().position(u8::is_ascii_whitespace).map_or(line.len(), |length| start + length);
        Some(start..at)
    })
}

/// The level in one word; see [`find`].
fn in_word(word: &[u8], place: Place) -> Option<Found> {
    for key in [&b"level="[..], b"lvl=", b"severity="] {
        if let Some(value) = word.strip_prefix(key) {
            let start = key.len() + usize::from(value.first() == Some(&b'"'));
            return named(word, start).map(|(level, at)| Found { level, at });
        }
    }
    let start = word.iter().position(u8::is_ascii_alphabetic)?;
    let (level, at) = named(word, start)?;
    let before = start.checked_sub(1).map(|before| word[before]);
    let after = word.get(at.end).copied();
    let fits = before.is_none_or(|byte| b"[<(|\"".contains(&byte))
        && after.is_none_or(|byte| b"]>)|:,;\"".contains(&byte));
    let bracketed = before.is_some() && after.is_some_and(|byte| b"]>)|".contains(&byte));
    let is_meant = bracketed
        || word[at.clone()].iter().all(u8::is_ascii_uppercase)
        || place == Place::AfterDate
        || place == Place::Start && after == Some(b':');
    (fits && is_meant).then_some(Found { level, at })
}

/// The level that the letters from `start` on name.
fn named(word: &[u8], start: usize) -> Option<(Level, Range<usize>)> {
    let end = start + word[start..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    Level::parse(&word[start..end]).map(|level| (level, start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_levels_where_loggers_put_them() {
        for (line, expected) in [
            (
                "2026-11-22T09:12:33.123Z  WARN 1 --- [nio-8080-exec-3] c.e.Api : slow",
                Some((Level::Warn, "WARN")),
            ),
            ("2026/11/22 09:00:02 [notice] 1#1: nginx/1.29.3", Some((Level::Info, "notice"))),
            ("time=2026-11-22T09:00:02Z level=ERROR source=x.go:1 msg=\"a\"", Some((Level::Error, "ERROR"))),
            ("ts=1 level=\"warn\" msg=a", Some((Level::Warn, "warn"))),
            ("2026-11-22 09:00:02,123 CRITICAL root down", Some((Level::Fatal, "CRITICAL"))),
            ("[2026-11-22 09:00:02,123] ERROR in app: failed", Some((Level::Error, "ERROR"))),
            ("INFO:root:started", Some((Level::Info, "INFO"))),
            ("error: no such file", Some((Level::Error, "error"))),
            ("2026-11-22T09:00:00Z error something", Some((Level::Error, "error"))),
            ("E1122 10:00:00.000000       1 main.go:1] oops", Some((Level::Error, "E"))),
            ("panic: nil map", Some((Level::Fatal, "panic:"))),
            (
                "java.lang.IllegalStateException: no\n\tat a.B",
                Some((Level::Error, "java.lang.IllegalStateException")),
            ),
            (
                "Traceback (most recent call last):\n",
                Some((Level::Error, "Traceback (most recent call last):")),
            ),
            ("GET /error 200", None),
            ("we handle error cases", None),
            ("an INFORMATION desk", None),
            ("Error", None),
            ("", None),
        ] {
            let found = find(line.as_bytes());
            let found = found.map(|found| (found.level, &line[found.at]));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn asks_a_json_message_itself() {
        assert_eq!(of(br#"{"level":"warning","msg":"ERROR"}"#), Some(Level::Warn));
        assert_eq!(of(br#"{"level":50,"msg":"a"}"#), Some(Level::Error));
        assert_eq!(of(br#"{"log.level":"debug"}"#), Some(Level::Debug));
        assert_eq!(of(br#"{"msg":"ERROR"}"#), None);
    }
}
