//! What differs between the documents that came and those that were expected.

use serde_json::Value;

use crate::config::{Fields, Fixture};

/// How much of a document that nobody expected is shown, in characters.
const SHOWN: usize = 200;

/// A line for each difference; none: all is as expected.
pub fn of(fixture: &Fixture, documents: &[Value]) -> Vec<String> {
    let expected: Vec<Fields> = match (&fixture.messages, &fixture.documents) {
        (Some(messages), _) => messages.iter().map(|text| message(text)).collect(),
        (None, Some(documents)) => documents.clone(),
        (None, None) => Vec::new(),
    };
    let mut lines = Vec::new();
    for index in 0..expected.len().max(documents.len()) {
        let number = index + 1;
        match (expected.get(index), documents.get(index)) {
            (Some(expected), Some(document)) => {
                let mut differing = Vec::new();
                compare("", expected, document, &mut differing);
                for (path, wanted, got) in differing {
                    lines.push(format!("event {number}, {path}:"));
                    lines.push(format!("  expected {wanted}"));
                    lines.push(format!("  but got  {got}"));
                }
            }
            (Some(expected), None) => {
                lines.push(format!("event {number} is missing: {}", Value::Object(expected.clone())));
            }
            (None, Some(document)) => {
                lines.push(format!("event {number} is not expected: {}", short(document)))
            }
            (None, None) => {}
        }
    }
    lines
}

fn message(text: &str) -> Fields {
    Fields::from_iter([("message".to_owned(), Value::from(text))])
}

/// The message of a document, or as much of it all as tells which it is.
fn short(document: &Value) -> String {
    let text = document.get("message").unwrap_or(document).to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Only what is expected counts. A name with dots is a field of that name, or the way to one.
fn compare(path: &str, expected: &Fields, document: &Value, differing: &mut Vec<(String, String, String)>) {
    for (name, wanted) in expected {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let got = field(document, name);
        match (wanted, got) {
            (Value::Object(wanted), Some(got @ Value::Object(_))) => compare(&path, wanted, got, differing),
            (Value::Null, None) => {}
            (wanted, Some(got)) if wanted == got => {}
            (wanted, got) => {
                let got = got.map_or_else(|| "nothing".to_owned(), ToString::to_string);
                let wanted = if wanted.is_null() { "nothing".to_owned() } else { wanted.to_string() };
                differing.push((path, wanted, got));
            }
        }
    }
}

fn field<'d>(document: &'d Value, name: &str) -> Option<&'d Value> {
    if let Some(field) = document.get(name) {
        return Some(field);
    }
    let dots = name.match_indices('.');
    dots.filter_map(|(dot, _)| field(document.get(&name[..dot])?, &name[dot + 1..])).next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differing(expected: &Value, document: &Value) -> Vec<String> {
        let mut out = Vec::new();
        compare("", expected.as_object().unwrap(), document, &mut out);
        out.into_iter().map(|(path, wanted, got)| format!("{path}: {wanted} / {got}")).collect()
    }

    #[test]
    fn only_what_is_expected_counts() {
        let document = json!({ "a": { "b": 1, "c": [1, 2] }, "d.e": "x", "f": "y" });
        for same in [
            json!({}),
            json!({ "a": { "b": 1 } }),
            json!({ "a.b": 1, "d.e": "x", "gone": null }),
            json!({ "a": { "c": [1, 2] } }),
        ] {
            assert_eq!(differing(&same, &document), [""; 0], "{same}");
        }
        let other = json!({ "a": { "b": 2, "c": [1] }, "f": null, "g": { "h": 1 } });
        let expected = ["a.b: 2 / 1", "a.c: [1] / [1,2]", "f: nothing / \"y\"", "g: {\"h\":1} / nothing"];
        assert_eq!(differing(&other, &document), expected);
    }
}
