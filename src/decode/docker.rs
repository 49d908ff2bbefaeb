//! The format of Docker's json-file driver: `{"log":"…\n","stream":"stdout","time":"…"}`.

use memchr::memchr2;

use crate::event::{Stream, time};

/// What was found in a line, as far as it could be read.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub log: Option<Log<'a>>,
    pub stream: Option<Stream>,
    /// RFC 3339, any count of fraction digits.
    pub time: Option<&'a [u8]>,
    /// There is a key that the driver does not write: the line may be JSON of a program.
    pub foreign: bool,
}

/// The value of `log`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Log<'a> {
    /// As it lies in the line, less the newline at its end.
    Verbatim { text: &'a [u8], end: LogEnd },
    /// Unescaped into the buffer given to [`read`], less the newline at its end.
    Unescaped { end: LogEnd },
}

/// How the value of `log` ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LogEnd {
    /// With the newline that the program wrote.
    Newline,
    /// Without: a part, the next line of this stream goes on with it.
    Part,
    /// With the end of the bytes, since the line was cut while reading.
    Cut,
}

/// Whether `line` was written by the driver: exactly its keys, with values of their kinds.
pub(super) fn is_own(line: &[u8]) -> bool {
    if !line.starts_with(b"{\"log\":") {
        return false;
    }
    let mut fields = Fields::default();
    let whole = read(line, &mut fields, &mut Vec::new()).is_some();
    whole && fields.stream.is_some() && fields.time.is_some() && !fields.foreign
}

/// Reads one line into `fields`; `None` when it broke off or is no JSON object, with `fields` as far as it went.
/// `unescaped` is overwritten when `log` holds escapes other than its newline.
pub(super) fn read<'a>(line: &'a [u8], fields: &mut Fields<'a>, unescaped: &mut Vec<u8>) -> Option<()> {
    let mut rest = expect(b'{', line)?;
    loop {
        let (key, after) = string(expect(b'"', rest)?)?;
        rest = trim_start(expect(b':', after)?);
        match key {
            b"log" => {
                let (log, after) = log(expect(b'"', rest)?, unescaped);
                fields.log = Some(log);
                rest = after?;
            }
            b"stream" => {
                let (value, after) = string(expect(b'"', rest)?)?;
                fields.stream = match value {
                    b"stdout" => Some(Stream::Stdout),
                    b"stderr" => Some(Stream::Stderr),
                    _ => return None,
                };
                rest = after;
            }
            b"time" => {
                let (value, after) = string(expect(b'"', rest)?)?;
                fields.time = Some(value).filter(|value| time::length(value) == Some(value.len()));
                rest = after;
            }
            _ => {
                fields.foreign |= key != b"attrs";
                rest = skip_value(rest)?;
            }
        }
        rest = match trim_start(rest).split_first()? {
            (b',', rest) => rest,
            (b'}', rest) => return trim_start(rest).is_empty().then_some(()),
            _ => return None,
        };
    }
}

/// Reads the value of `log` after its opening quote. What follows it is `None` when it was cut or holds an
/// escape that is none.
fn log<'a>(text: &'a [u8], unescaped: &mut Vec<u8>) -> (Log<'a>, Option<&'a [u8]>) {
    let Some(first) = memchr2(b'"', b'\\', text) else {
        return (Log::Verbatim { text, end: LogEnd::Cut }, None);
    };
    let (verbatim, rest) = text.split_at(first);
    if let Some(rest) = rest.strip_prefix(b"\\n\"") {
        return (Log::Verbatim { text: verbatim, end: LogEnd::Newline }, Some(rest));
    }
    if let Some(rest) = rest.strip_prefix(b"\"") {
        return (Log::Verbatim { text: verbatim, end: LogEnd::Part }, Some(rest));
    }
    unescaped.clear();
    unescaped.extend_from_slice(verbatim);
    let rest = unescape(rest, unescaped);
    let end = match (&rest, unescaped.last()) {
        (Some(_), Some(b'\n')) => LogEnd::Newline,
        (Some(_), _) => LogEnd::Part,
        (None, _) => LogEnd::Cut,
    };
    if end == LogEnd::Newline {
        unescaped.pop();
    }
    (Log::Unescaped { end }, rest)
}

/// Appends a JSON string's value up to its closing quote, and gives what follows the quote. `None` when the
/// quote is missing or an escape is none; what was read until then is kept.
fn unescape<'a>(mut text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let Some(special) = memchr2(b'"', b'\\', text) else {
            out.extend_from_slice(text);
            return None;
        };
        out.extend_from_slice(&text[..special]);
        let after = &text[special + 1..];
        if text[special] == b'"' {
            return Some(after);
        }
        let (escape, after) = after.split_first()?;
        text = after;
        match escape {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'"' | b'\\' | b'/' => out.push(*escape),
            b'u' => text = unescape_unicode(text, out)?,
            _ => return None,
        }
    }
}

/// Appends the character of `\uXXXX`, given what follows the `u`; of a pair of surrogates, both. A lone
/// surrogate becomes U+FFFD.
fn unescape_unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (first, rest) = hex4(text)?;
    let (code, rest) = match rest.strip_prefix(b"\\u").and_then(hex4) {
        Some((second, after)) if is_high(first) && is_low(second) => {
            (0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00), after)
        }
        _ => (first, rest),
    };
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    Some(rest)
}

fn is_high(code: u32) -> bool {
    (0xd800..0xdc00).contains(&code)
}

fn is_low(code: u32) -> bool {
    (0xdc00..0xe000).contains(&code)
}

fn hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let value =
        digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))?;
    Some((value, rest))
}

/// A JSON string as it lies there, without its opening quote, and what follows its closing one.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let special = from + memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[special] == b'"' {
            return Some((&text[..special], &text[special + 1..]));
        }
        from = special + 2;
    }
}

/// What follows a JSON value of any kind. Lenient: brackets are counted, not matched.
fn skip_value(text: &[u8]) -> Option<&[u8]> {
    match text.first()? {
        b'"' => string(&text[1..]).map(|(_, rest)| rest),
        b'{' | b'[' => skip_brackets(text),
        _ => text.iter().position(|byte| matches!(byte, b',' | b'}' | b']')).map(|end| &text[end..]),
    }
}

fn skip_brackets(mut text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0_u32;
    loop {
        let (first, rest) = text.split_first()?;
        text = rest;
        match first {
            b'"' => text = string(rest)?.1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(rest),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
    }
}

fn expect(byte: u8, text: &[u8]) -> Option<&[u8]> {
    match trim_start(text).split_first() {
        Some((first, rest)) if *first == byte => Some(rest),
        _ => None,
    }
}

fn trim_start(text: &[u8]) -> &[u8] {
    text.trim_ascii_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = r#","stream":"stdout","time":"2026-11-22T17:59:23.3Z"}"#;

    /// The message of a line with this escaped text, and how it ended.
    fn log_of(escaped: &str) -> (String, LogEnd) {
        message(format!("{{\"log\":\"{escaped}\"{TAIL}").as_bytes())
    }

    fn message(line: &[u8]) -> (String, LogEnd) {
        let (mut fields, mut unescaped) = (Fields::default(), Vec::new());
        let _ = read(line, &mut fields, &mut unescaped);
        let (text, end) = match fields.log.unwrap() {
            Log::Verbatim { text, end } => (text, end),
            Log::Unescaped { end } => (unescaped.as_slice(), end),
        };
        (String::from_utf8(text.to_vec()).unwrap(), end)
    }

    #[test]
    fn undoes_every_escape() {
        for (escaped, expected, end) in [
            (r"hello\n", "hello", LogEnd::Newline),
            (r"hello", "hello", LogEnd::Part),
            (r"", "", LogEnd::Part),
            (r"\n", "", LogEnd::Newline),
            (r"\r\n", "\r", LogEnd::Newline),
            (r"a\nb\n", "a\nb", LogEnd::Newline),
            (r#"{\"a\":\"b\\c\/d\"}\n"#, r#"{"a":"b\c/d"}"#, LogEnd::Newline),
            (r"\t\b\f\u0000\u001b[31m", "\t\u{8}\u{c}\0\u{1b}[31m", LogEnd::Part),
            (r"\u003ca\u003e \u00e9 \u20AC é\n", "<a> é € é", LogEnd::Newline),
            (r"\ud83d\ude00\n", "😀", LogEnd::Newline),
            (r"\ud83d \ude00\n", "\u{fffd} \u{fffd}", LogEnd::Newline),
            (r"\ud83d\ud83d\ude00\n", "\u{fffd}😀", LogEnd::Newline),
        ] {
            assert_eq!(log_of(escaped), (expected.to_owned(), end), "{escaped}");
        }
    }

    #[test]
    fn finds_its_keys_in_any_order_among_others() {
        let line = br#" { "time" : "2026-11-22T17:59:23.3Z", "attrs":{"log":"x","tag":["}",{"\"":1}]}, "n":-1.5e3, "stream":"stderr" , "log":"a\n" } "#;
        let (mut fields, mut unescaped) = (Fields::default(), Vec::new());
        assert!(read(line, &mut fields, &mut unescaped).is_some());
        assert_eq!(fields.log, Some(Log::Verbatim { text: b"a", end: LogEnd::Newline }));
        assert_eq!(fields.stream, Some(Stream::Stderr));
        assert_eq!(fields.time, Some(&b"2026-11-22T17:59:23.3Z"[..]));
        assert!(fields.foreign);
    }

    #[test]
    fn keeps_the_head_of_a_line_cut_anywhere() {
        let line = format!(r#"{{"log":"a \u003cb\ud83d\ude00c\n"{TAIL}"#);
        let whole = "a <b😀c";
        for end in 8..line.len() {
            let Some(head) = line.get(..end) else { continue };
            let (mut fields, mut unescaped) = (Fields::default(), Vec::new());
            assert!(read(head.as_bytes(), &mut fields, &mut unescaped).is_none(), "{head}");
            if fields.log.is_some() {
                let text = message(head.as_bytes()).0;
                let kept = text.trim_end_matches(char::REPLACEMENT_CHARACTER).trim_end_matches('\n');
                assert!(whole.starts_with(kept), "{head}: {text}");
            }
        }
    }

    #[test]
    fn knows_its_own_lines_from_a_programs_json() {
        let own = format!(r#"{{"log":"a\n"{TAIL}"#);
        assert!(is_own(own.as_bytes()));
        let attrs = own.replace(r#","time""#, r#","attrs":{"tag":"x"},"time""#);
        assert!(is_own(attrs.as_bytes()));
        for line in [
            "",
            r#"{"log":"a\n"}"#,
            r#"{"log":"a\n","stream":"stdout"}"#,
            r#"{"log":"a\n","stream":"file","time":"2026-11-22T17:59:23.3Z"}"#,
            r#"{"log":"a\n","stream":"stdout","time":"today"}"#,
            r#"{"log":"a\n","level":1,"stream":"stdout","time":"2026-11-22T17:59:23.3Z"}"#,
            r#"{"log":{"a":1},"stream":"stdout","time":"2026-11-22T17:59:23.3Z"}"#,
            r#"{"log":"a\n","stream":"stdout","time":"2026-11-22T17:59:23.3Z"} and more"#,
            r#"{"message":"a"}"#,
        ] {
            assert!(!is_own(line.as_bytes()), "{line}");
        }
    }
}
