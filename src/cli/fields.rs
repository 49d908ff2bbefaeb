//! A JSON message taken apart for reading: its keys in the order in which they were written, its values untouched.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::level::Level;

/// The keys that hold the message; the first that is there counts.
const MESSAGE: [&str; 2] = ["message", "msg"];
/// The keys that hold the level.
const LEVEL: [&str; 4] = ["level", "severity", "log.level", "lvl"];
/// The keys that hold the time.
const TIME: [&str; 4] = ["time", "ts", "@timestamp", "timestamp"];

/// The top level of a JSON object.
#[derive(Debug)]
pub struct Fields<'a> {
    entries: Vec<Field<'a>>,
}

/// One key of a JSON object.
#[derive(Debug)]
pub struct Field<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The value as it was written.
    pub raw: &'a str,
}

impl Field<'_> {
    /// The value unescaped, when it is a string.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        if !inner.contains('\\') {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.raw).ok().map(Cow::Owned)
    }
}

impl<'a> Fields<'a> {
    /// Takes a message apart; `None` when it is no JSON object.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        let brace = message.iter().find(|byte| !byte.is_ascii_whitespace());
        if brace != Some(&b'{') {
            return None;
        }
        serde_json::from_str(std::str::from_utf8(message).ok()?).ok()
    }

    /// Whether it is `{}`.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field<'a>> {
        self.entries.iter()
    }

    /// The field with the message, when that is a string.
    pub fn message(&self) -> Option<&Field<'a>> {
        self.first(&MESSAGE, |field| field.text().is_some())
    }

    /// The field with the level, when that is one.
    pub fn level_field(&self) -> Option<(&Field<'a>, Level)> {
        let field = self.first(&LEVEL, |field| level_of(field).is_some())?;
        Some((field, level_of(field)?))
    }

    /// The level.
    pub fn level(&self) -> Option<Level> {
        self.level_field().map(|(_, level)| level)
    }

    /// The field with the time, and what it says in nanoseconds since 1970 (RFC 3339 only).
    pub fn time(&self) -> Option<(&Field<'a>, i64)> {
        let nanos = |field: &Field<'_>| crate::event::time::nanos(field.text()?.as_bytes());
        let field = self.first(&TIME, |field| nanos(field).is_some())?;
        Some((field, nanos(field)?))
    }

    fn first(&self, keys: &[&str], is_good: impl Fn(&Field<'a>) -> bool) -> Option<&Field<'a>> {
        keys.iter().find_map(|key| self.entries.iter().find(|field| field.key == *key && is_good(field)))
    }
}

fn level_of(field: &Field<'_>) -> Option<Level> {
    match field.text() {
        Some(text) => Level::parse(text.as_bytes()),
        None => Level::from_number(field.raw.parse().ok()?),
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

/// Collects the entries of an object in the order in which they come.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, raw)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            entries.push(Field { key: key.0, raw: raw.get() });
        }
        Ok(Fields { entries })
    }
}

/// A key, borrowed where nothing in it is escaped.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_spelling() {
        let fields = Fields::parse(br#" {"z":1.50,"a":{"b" : [1]},"m\u0073g":"a\"b","z":"c"}"#).unwrap();
        let all: Vec<_> = fields.iter().map(|field| (field.key.as_ref(), field.raw)).collect();
        assert_eq!(all, [("z", "1.50"), ("a", r#"{"b" : [1]}"#), ("msg", r#""a\"b""#), ("z", r#""c""#)]);
        assert_eq!(fields.message().and_then(Field::text).as_deref(), Some("a\"b"));
    }

    #[test]
    fn leaves_alone_what_is_no_object() {
        for message in ["", "{", "[1]", "{not json}", "text {\"a\":1}", "{\"a\":1} tail"] {
            assert!(Fields::parse(message.as_bytes()).is_none(), "{message}");
        }
    }
}
