//! A document that must be changed after all: made smaller, or put into a shape that nothing can refuse.
//!
//! Rare, so the document is parsed again here: one level deep, what is kept stays the bytes that it was.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::verdict::Reason;
use crate::event::time;

/// The fields that are ours, and so of a known shape. All others came out of a program's JSON.
const OURS: [&str; 12] = [
    "@timestamp",
    "message",
    "log",
    "stream",
    "kubernetes",
    "container",
    "host",
    "data_stream",
    "ecs",
    "tag",
    "docker",
    "skidder",
];

/// A document that was made smaller.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// The document, newline included.
    pub document: Vec<u8>,
    /// How many bytes of the program's text are gone.
    pub lost: usize,
}

/// Cuts a document's text until the document is no longer than `most` bytes, its newline included, and flags it.
/// What came out of a program's JSON is given up before the message itself. `None` when even that is too long,
/// or it is no JSON object.
pub fn cut(document: &[u8], most: usize) -> Option<Cut> {
    let fields: Fields<'_> = serde_json::from_slice(document).ok()?;
    cut_message(&fields, most).or_else(|| {
        let (kept, rest) = fields.split(None);
        let lost = rest.written().len();
        let cut = cut_message(&kept, most)?;
        Some(Cut { lost: cut.lost + lost, ..cut })
    })
}

/// The shape that no mapping refuses: our own fields, everything else as one string under `event.original`, and
/// why under `error`. `now` (nanoseconds since 1970) stands in for an `@timestamp` that is none. `None` when
/// the document is no JSON object.
pub fn safe(document: &[u8], reason: &Reason, now: i64) -> Option<Vec<u8>> {
    let fields: Fields<'_> = serde_json::from_slice(document).ok()?;
    let (mut kept, mut rest) = fields.split(reason.field());
    let valid = |(name, value): &(Cow<'_, str>, Value<'_>)| name == "@timestamp" && value.is_time();
    if !kept.0.iter().any(valid) {
        let wrong = kept.0.extract_if(.., |(name, _)| name == "@timestamp");
        rest.0.extend(wrong);
        let time = format!("\"{}\"", String::from_utf8_lossy(&time::rfc3339(now)));
        kept.0.insert(0, ("@timestamp".into(), Value::Made(time)));
    }
    if !rest.0.is_empty() {
        let original = serde_json::to_string(&rest.written()).ok()?;
        kept.0.push(("event".into(), Value::Made(format!("{{\"original\":{original}}}"))));
    }
    let error = serde_json::json!({ "type": reason.kind, "message": reason.words });
    kept.0.push(("error".into(), Value::Made(error.to_string())));
    Some(kept.line())
}

/// The action line of a document in its safe shape: around pipelines, which may be what refuses it.
pub fn safe_action(action: &[u8]) -> Vec<u8> {
    const OPEN: &[u8] = b"{\"create\":{";
    let Some(rest) = action.strip_prefix(OPEN) else { return action.to_vec() };
    let comma: &[u8] = if rest.starts_with(b"}") { b"" } else { b"," };
    [OPEN, b"\"pipeline\":\"_none\"", comma, rest].concat()
}

/// Shortens `message` (or, in the schema `fluentd`, `log`).
fn cut_message(fields: &Fields<'_>, most: usize) -> Option<Cut> {
    let mut fields = fields.flagged();
    let length = fields.line().len();
    let text = |(name, value): &&mut (Cow<'_, str>, Value<'_>)| {
        (name == "message" || name == "log") && value.json().starts_with('"')
    };
    let (_, value) = fields.0.iter_mut().find(text)?;
    let room = value.json().len().checked_sub(length.saturating_sub(most))?;
    let (shorter, lost) = shortened(value.json(), room)?;
    *value = Value::Made(shorter);
    Some(Cut { document: fields.line(), lost })
}

/// The JSON string `text` with as much of its head as fits `room` bytes, quotes and escapes included, and how
/// many bytes of the text were cut. `None` when not even its quotes fit.
fn shortened(text: &str, room: usize) -> Option<(String, usize)> {
    let text: String = serde_json::from_str(text).ok()?;
    let mut room = room.checked_sub(2)?;
    let fits = |(at, c): (usize, char)| {
        match room.checked_sub(escaped_len(c)) {
            Some(left) => room = left,
            None => return Some(at),
        }
        None
    };
    let end = text.char_indices().find_map(fits).unwrap_or(text.len());
    Some((serde_json::to_string(&text[..end]).ok()?, text.len() - end))
}

/// How long serde_json writes a character.
fn escaped_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}

/// A JSON object's fields in their order, their values as they stand in the text.
#[derive(Clone, Debug, Default)]
struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

#[derive(Clone, Debug)]
enum Value<'a> {
    AsItWas(&'a RawValue),
    Made(String),
}

impl Value<'_> {
    fn json(&self) -> &str {
        match self {
            Self::AsItWas(raw) => raw.get(),
            Self::Made(text) => text,
        }
    }

    /// A time that `date_nanos` takes: RFC 3339, from 1970 on.
    fn is_time(&self) -> bool {
        let text: Option<Cow<'_, str>> = serde_json::from_str(self.json()).ok();
        text.and_then(|text| time::nanos(text.as_bytes())).is_some_and(|nanos| nanos >= 0)
    }
}

impl<'a> Fields<'a> {
    /// Ours, and the rest: what is not ours, and what was `refused` (`kubernetes.labels.app` moves
    /// `kubernetes.labels`).
    fn split(self, refused: Option<&str>) -> (Self, Self) {
        let (mut kept, mut rest) = (Self::default(), Self::default());
        let mut path = refused.unwrap_or_default().split('.');
        let (refused, below) = (path.next().unwrap_or_default(), path.next());
        for (name, value) in self.0 {
            if !OURS.contains(&&*name) {
                rest.0.push((name, value));
            } else if name != refused || name == "@timestamp" || name == "message" {
                kept.0.push((name, value));
            } else if let (Some(below), Some(object)) = (below, parsed(value.json())) {
                let (wrong, fine): (Vec<_>, Vec<_>) =
                    object.0.into_iter().partition(|(inner, _)| inner == below);
                let moved =
                    wrong.into_iter().map(|(inner, value)| (format!("{name}.{inner}").into(), value.owned()));
                rest.0.extend(moved);
                let fine = Fields(fine).written();
                kept.0.push((name, Value::Made(fine)));
            } else {
                rest.0.push((name, value));
            }
        }
        (kept, rest)
    }

    /// With `truncated` in `log.flags`, where there is a `log` of ours.
    fn flagged(&self) -> Self {
        let mut fields = self.clone();
        let log = fields.0.iter_mut().find(|(name, _)| name == "log");
        if let Some((_, value)) = log {
            let flagged = parsed(value.json()).map(|log| log.with_flag("truncated"));
            if let Some(flagged) = flagged {
                *value = Value::Made(flagged);
            }
        }
        fields
    }

    fn with_flag(mut self, flag: &str) -> String {
        let at = self.0.iter().position(|(name, _)| name == "flags");
        let mut flags: Vec<String> =
            at.and_then(|at| serde_json::from_str(self.0[at].1.json()).ok()).unwrap_or_default();
        if !flags.iter().any(|other| other == flag) {
            flags.push(flag.to_owned());
        }
        let flags = Value::Made(serde_json::json!(flags).to_string());
        match at {
            Some(at) => self.0[at].1 = flags,
            None => self.0.push(("flags".into(), flags)),
        }
        self.written()
    }

    /// As a JSON object.
    fn written(&self) -> String {
        let mut out = String::from("{");
        for (name, value) in &self.0 {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&serde_json::json!(name).to_string());
            out.push(':');
            out.push_str(value.json());
        }
        out.push('}');
        out
    }

    /// As a line of a bulk body.
    fn line(&self) -> Vec<u8> {
        let mut line = self.written().into_bytes();
        line.push(b'\n');
        line
    }
}

impl Value<'_> {
    fn owned<'b>(self) -> Value<'b> {
        Value::Made(match self {
            Self::AsItWas(raw) => raw.get().to_owned(),
            Self::Made(text) => text,
        })
    }
}

/// The fields of a JSON object; `None` when it is something else.
fn parsed(json: &str) -> Option<Fields<'_>> {
    serde_json::from_str(json).ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    fields.push((Cow::Owned(name), Value::AsItWas(value)));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn read(line: &[u8]) -> Json {
        assert_eq!(line.last(), Some(&b'\n'));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        serde_json::from_slice(line).unwrap()
    }

    fn reason(words: &str) -> Reason {
        Reason { status: 400, kind: "document_parsing_exception".into(), words: words.into() }
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let message = "ü\n\"\u{1}".repeat(500);
        let document =
            json!({"@timestamp": "2026-11-22T10:00:00Z", "message": message, "log": {"offset": 7}});
        let document = format!("{document}\n").into_bytes();
        for most in [110, 111, 112, 113, 114, 115, 500, 2_000] {
            let cut = cut(&document, most).unwrap();
            assert!(cut.document.len() <= most && cut.document.len() + 6 > most, "{most}");
            let cut_document = read(&cut.document);
            let shorter = cut_document["message"].as_str().unwrap();
            assert!(message.starts_with(shorter));
            assert_eq!(message.len() - shorter.len(), cut.lost);
            assert_eq!(cut_document["log"], json!({"offset": 7, "flags": ["truncated"]}));
        }
        assert_eq!(cut(&document, 40), None);
        assert_eq!(cut(b"no json\n", 4), None);
    }

    #[test]
    fn a_programs_json_goes_before_the_message() {
        let document =
            json!({"message": "short", "log": {"flags": ["multiline"]}, "json": {"a": "b".repeat(900)}});
        let cut = cut(format!("{document}\n").as_bytes(), 200).unwrap();
        let expected = json!({"message": "short", "log": {"flags": ["multiline", "truncated"]}});
        assert_eq!(read(&cut.document), expected);
        assert!(cut.lost > 900);
    }

    #[test]
    fn the_schema_fluentd_has_its_text_in_log() {
        let document = json!({"log": "x".repeat(500), "tag": "kubernetes.x"});
        let cut = cut(format!("{document}\n").as_bytes(), 100).unwrap();
        assert_eq!(read(&cut.document)["tag"], "kubernetes.x");
        assert!(cut.document.len() <= 100 && cut.lost > 400);
    }

    #[test]
    fn the_safe_shape_keeps_the_log() {
        let document = br#"{"@timestamp":"2026-11-22T10:00:00Z","message":"m","json":{"code":"abc","n":123456789012345678901234567890},
            "kubernetes":{"pod":{"name":"web"},"labels":{"app":"x"}}}"#;
        let safe =
            read(&safe(document, &reason("failed to parse field [json.code] of type [long]"), 0).unwrap());
        assert_eq!(safe["message"], "m");
        assert_eq!(safe["kubernetes"]["labels"]["app"], "x");
        assert_eq!(safe["error"]["type"], "document_parsing_exception");
        assert_eq!(
            safe["event"]["original"],
            r#"{"json":{"code":"abc","n":123456789012345678901234567890}}"#
        );
        assert!(safe.get("json").is_none());
    }

    #[test]
    fn what_was_refused_moves_even_if_it_is_ours() {
        let document = br#"{"@timestamp":"2026-11-22T10:00:00Z","message":"m","kubernetes":{"pod":{"name":"web"},"labels":{"app":"x"}}}"#;
        let words = "can't merge a non object mapping [kubernetes.labels.app] with an object mapping";
        let safe = read(&safe(document, &reason(words), 0).unwrap());
        assert_eq!(safe["kubernetes"], json!({"pod": {"name": "web"}}));
        assert_eq!(safe["event"]["original"], r#"{"kubernetes.labels":{"app":"x"}}"#);
    }

    #[test]
    fn a_wrong_time_becomes_text() {
        for wrong in ["\"yesterday\"", "12", "null", "\"1969-12-31T23:59:59Z\""] {
            let document = format!(r#"{{"@timestamp":{wrong},"message":"m"}}"#);
            let safe = read(&safe(document.as_bytes(), &reason(""), 1_000_000_000).unwrap());
            assert_eq!(safe["@timestamp"], "1970-01-01T00:00:01.000000000Z");
            assert_eq!(safe["event"]["original"], format!(r#"{{"@timestamp":{wrong}}}"#));
        }
    }

    #[test]
    fn the_safe_action_goes_around_pipelines() {
        assert_eq!(
            safe_action(b"{\"create\":{\"_id\":\"a\"}}\n"),
            b"{\"create\":{\"pipeline\":\"_none\",\"_id\":\"a\"}}\n"
        );
        assert_eq!(safe_action(b"{\"create\":{}}\n"), b"{\"create\":{\"pipeline\":\"_none\"}}\n");
    }
}
