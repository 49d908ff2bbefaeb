//! What Elasticsearch would say of a document, as far as it can be said without one.

use serde_json::value::RawValue;

use super::JsonMode;

/// Refuses a document for what Elasticsearch refuses: no JSON, a key twice, names it does not take, depth over
/// 20, terms over 32,766 bytes, numbers beyond 64 bits; under dynamic mapping also a field that is a value and
/// an object.
pub(super) fn judge(document: &str, mode: JsonMode) -> Result<(), String> {
    let raw: &RawValue = serde_json::from_str(document).map_err(|error| error.to_string())?;
    value(raw, 1, "", mode)
}

/// An object's members in order, twins included.
fn members(raw: &RawValue) -> Result<Vec<(String, &RawValue)>, String> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, &'de RawValue)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(member) = map.next_entry()? {
                all.push(member);
            }
            Ok(all)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(raw.get());
    serde::Deserializer::deserialize_map(&mut reader, Members).map_err(|error| error.to_string())
}

fn value(raw: &RawValue, depth: usize, path: &str, mode: JsonMode) -> Result<(), String> {
    let text = raw.get();
    match text.as_bytes()[0] {
        b'{' => object(raw, depth, path, mode),
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            items.iter().try_for_each(|item| value(item, depth, path, mode))
        }
        b'"' => {
            let plain: String = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let is_term = path != "message";
            if is_term && path.len() + 1 + plain.len() > 32_766 {
                Err(format!("{path}: immense term"))
            } else {
                Ok(())
            }
        }
        b't' | b'f' | b'n' => Ok(()),
        // An offset is ours, and the longest that a file can have.
        _ if path == "log.offset" => Ok(()),
        _ => number(text).then_some(()).ok_or_else(|| format!("{path}: {text} is out of range")),
    }
}

fn number(text: &str) -> bool {
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.len() <= 1_000
        && if is_integer {
            text.parse::<i64>().is_ok()
        } else {
            text.parse::<f64>().is_ok_and(f64::is_finite)
        }
}

fn object(raw: &RawValue, depth: usize, path: &str, mode: JsonMode) -> Result<(), String> {
    if depth > 21 {
        return Err(format!("{path}: deeper than 20"));
    }
    let members = members(raw)?;
    for (index, (name, inner)) in members.iter().enumerate() {
        if members[..index].iter().any(|(other, _)| other == name) {
            return Err(format!("{path}: {name:?} twice"));
        }
        if name.contains('\0') || name.split('.').any(|part| part.trim().is_empty()) {
            return Err(format!("{path}: the name {name:?}"));
        }
        if path.is_empty() && name.starts_with('_') {
            return Err(format!("{name:?} is Elasticsearch's"));
        }
        let is_dynamic = mode == JsonMode::Merge && !path.starts_with("json");
        if is_dynamic
            && members.iter().any(|(other, other_value)| {
                name.starts_with(&format!("{other}.")) && !other_value.get().starts_with('{')
            })
        {
            return Err(format!("{path}: {name:?} is within a value"));
        }
        let inner_path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        value(inner, depth + 1, &inner_path, mode)?;
    }
    Ok(())
}
