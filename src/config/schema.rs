//! The JSON schema of the configuration and the tables of its reference, made from the doc comments of the types.
//!
//! Only tests know it: they hold `config/skidder.schema.json` and `docs/configuration.md` to what the program reads.
//! `SKIDDER_BLESS=1 cargo test config::schema` writes both anew.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::{env, fs, path::Path};

use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::*;

const FILE: &str = "config/skidder.schema.json";
const REFERENCE: &str = "docs/configuration.md";

/// Gives types that are read from a word their schema.
macro_rules! words {
    ($($type:ty, $name:literal, $schema:expr;)*) => { $(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    )* };
}

/// A size as it is written.
pub struct Size;
/// A duration as it is written.
pub struct Duration;
/// A duration that may be nothing.
pub struct OptionalDuration;
/// Bytes per second as they are written, or nothing.
pub struct Rate;

fn text(example: &str) -> schemars::Schema {
    json_schema!({ "type": "string", "examples": [example] })
}

words! {
    Size, "Size", json_schema!({
        "type": ["string", "integer"], "minimum": 0, "pattern": "^([0-9]+ *([KMGT]i?B?|kB|B)?|.*\\$\\{.*)$", "examples": ["512KiB", "5MiB"]
    });
    Duration, "Duration", json_schema!({
        "type": "string", "pattern": "^(([0-9]+(ms|s|m|h|d))+|.*\\$\\{.*)$", "examples": ["250ms", "10s", "5m"]
    });
    OptionalDuration, "OptionalDuration", json_schema!({
        "type": "string", "pattern": "^(|([0-9]+(ms|s|m|h|d))+|.*\\$\\{.*)$", "examples": ["30d"]
    });
    Rate, "Rate", json_schema!({
        "type": "string", "pattern": "^(|[0-9]+ *([KMGT]i?B?|kB|B)?/s|.*\\$\\{.*)$", "examples": ["5MiB/s"]
    });
    Listen, "Listen", text("[::]:9605");
    Secret, "Secret", json_schema!({ "type": "string" });
    KubeletUrl, "KubeletUrl", text("https://${NODE_IP}:10250");
    Pattern, "Pattern", text("^\\[BEGIN");
    Glob, "Glob", text("web-*");
    PathGlob, "PathGlob", text("/var/log/containers/*.log");
    TimePattern, "TimePattern", text("%Y-%m-%d %H:%M:%S");
    DatasetName, "DatasetName", text("kubernetes.container_logs");
    NamespaceName, "NamespaceName", text("default");
    IndexPattern, "IndexPattern", text("logstash-%Y.%m.%d");
    HttpUrl, "HttpUrl", text("https://elasticsearch:9200");
    Switch, "Switch", json_schema!({ "enum": ["auto", true, false, "true", "false"] });
    Languages, "Languages", {
        let names: Vec<_> = ["all", "none"].into_iter().chain(Language::ALL.map(|(_, name)| name)).collect();
        json_schema!({ "type": "array", "minItems": 1, "items": { "enum": names } })
    };
    PodAnnotations, "PodAnnotations", {
        let names = PodAnnotation::ALL.map(|(_, name)| name);
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "array", "items": { "enum": names } }] })
    };
}

impl JsonSchema for Output {
    fn schema_name() -> Cow<'static, str> {
        "Output".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> schemars::Schema {
        let outputs = json!({
            "elasticsearch": generator.subschema_for::<Elasticsearch>(),
            "stdout": generator.subschema_for::<Stdout>(),
        });
        let one = json!({
            "type": "object", "properties": outputs, "additionalProperties": false, "minProperties": 1, "maxProperties": 1
        });
        json_schema!({ "anyOf": [one, { "enum": ["elasticsearch", "stdout"] }] })
    }
}

/// The schema of a configuration as it stands in a file, where each value may come from the environment and each key may
/// be there without one.
fn schema() -> Value {
    let mut schema =
        schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>();
    schema.insert("title".into(), "The configuration of skidder".into());
    let mut schema = schema.to_value();
    from_the_environment(&mut schema);
    without_a_value(&mut schema);
    schema
}

/// Lets `${NAME}` stand where anything but text is wanted.
fn from_the_environment(schema: &mut Value) {
    let Value::Object(map) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(from_the_environment);
        }
        return;
    };
    for (key, inner) in map.iter_mut() {
        if !["default", "enum", "examples", "const"].contains(&key.as_str()) {
            from_the_environment(inner);
        }
    }
    let kinds = ["boolean", "integer", "number"];
    let word = map.get("type").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind));
    if word || map.contains_key("enum") || map.contains_key("const") {
        let told: Map<_, _> = ["description", "default"]
            .into_iter()
            .filter_map(|key| map.remove(key).map(|value| (key.to_owned(), value)))
            .collect();
        let plain = Value::Object(std::mem::replace(map, told));
        map.insert("anyOf".into(), json!([plain, { "type": "string", "pattern": "\\$\\{.*\\}" }]));
    }
}

/// Lets each key stand without a value, which is as if it were not there.
fn without_a_value(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(without_a_value);
            if let Some(Value::Object(keys)) = map.get_mut("properties") {
                for value in keys.values_mut() {
                    let told: Map<_, _> = ["description", "default"]
                        .into_iter()
                        .filter_map(|key| {
                            value.as_object_mut()?.remove(key).map(|told| (key.to_owned(), told))
                        })
                        .collect();
                    let given = std::mem::replace(value, Value::Object(told));
                    value["anyOf"] = json!([given, { "type": "null" }]);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_a_value),
        _ => {}
    }
}

/// What each key's doc comment says, by the key's path as the reference writes it.
fn told() -> BTreeMap<String, String> {
    fn walk(root: &Value, schema: &Value, path: &str, told: &mut BTreeMap<String, String>) {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.trim_start_matches("#/$defs/");
            walk(root, &root["$defs"][name], path, told);
        }
        for kind in ["anyOf", "oneOf"] {
            schema
                .get(kind)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .for_each(|inner| walk(root, inner, path, told));
        }
        if let Some(items) = schema.get("items") {
            walk(root, items, &format!("{path}[]"), told);
        }
        for (key, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            if let Some(text) = inner.get("description").and_then(Value::as_str) {
                told.insert(path.clone(), text.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            walk(root, inner, &path, told);
        }
    }
    let (root, mut told) = (schema(), BTreeMap::new());
    walk(&root, &root, "", &mut told);
    told
}

/// A doc comment as the reference's third cell: without its default, which has a cell of its own.
fn cell(comment: &str) -> String {
    let text = match comment.find("Default: ") {
        Some(at) => &comment[..at],
        None => comment,
    };
    let text = text.trim().trim_end_matches('.');
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// The reference with its tables' third cells as the doc comments have them.
fn reference(now: &str) -> String {
    let told = told();
    let lines = now.split_inclusive('\n').map(|line| {
        let mut cells = line.strip_prefix("| `").into_iter().flat_map(|row| row.splitn(3, '|'));
        let (Some(key), Some(default)) = (cells.next(), cells.next()) else { return line.to_owned() };
        let Some(comment) = told.get(key.trim_end_matches([' ', '`'])) else { return line.to_owned() };
        let cells = [format!("`{}", key.trim_end()), default.trim().to_owned(), cell(comment)];
        cells
            .iter()
            .fold(String::new(), |row, cell| row + "| " + cell + if cell.is_empty() { "" } else { " " })
            + "|\n"
    });
    lines.collect()
}

/// Compares a file with what it should hold, or writes it when `SKIDDER_BLESS` is set.
fn hold(file: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("SKIDDER_BLESS").is_some() {
        fs::write(&path, wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    for (number, (found, wanted)) in found.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(
            found,
            wanted,
            "{file}:{}: SKIDDER_BLESS=1 cargo test config::schema writes it anew",
            number + 1
        );
    }
    assert_eq!(found.lines().count(), wanted.lines().count(), "{file}");
}

#[test]
fn the_schema_file_is_that_of_the_program() {
    hold(FILE, &format!("{:#}\n", schema()));
}

#[test]
fn the_reference_says_what_the_doc_comments_say() {
    let now = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(REFERENCE)).unwrap();
    hold(REFERENCE, &reference(&now));
    let rows = now.lines().filter(|line| line.starts_with("| `")).count();
    assert!(rows > 75, "{rows}");
}

#[test]
fn the_schema_takes_what_the_program_takes() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let json = |text: &str| Node::parse(text).map(|node| json_of(&node)).unwrap();
    for good in [
        "output: stdout",
        "output: { stdout: }",
        "output: { elasticsearch: { urls: ['https://a:9200'], in_flight: '${N}', batch: { max_wait: 100ms } } }",
        "files: [{ include: ['/a/*.log'], format: plain, add_fields: { a: [1, { b: true }] } }]\noutput: stdout",
        "kubernetes: { enabled: false, pod_annotations: [skidder.io/json], wait: 0s }\nlog:\noutput: stdout",
        "multiline: { patterns: [{ name: dated, match: { labels: { app: x } } }] }\noutput: stdout",
        "events: { json: off, rate_limit: 5MiB/s, drop: [{ message: x }] }\nmax_buffered_bytes: 64Mi\noutput: stdout",
    ] {
        assert!(
            Config::parse(good, "good.yaml", &|name| (name == "N").then(|| "7".into())).is_ok(),
            "{good}"
        );
        let errors: Vec<_> = schema.iter_errors(&json(good)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{good}: {errors:?}");
    }
    for bad in [
        "files: []",
        "output: { elasticsearch: {}, stdout: {} }",
        "output: kafka",
        "outptu: stdout",
        "output: { elasticsearch: { in_flight: 0 } }",
        "output: { elasticsearch: { in_flight: many } }",
        "output: { elasticsearch: { batch: { max_wait: soon } } }",
        "output: stdout\nfiles: [{ inclde: ['/a'] }]",
        "output: stdout\nfiles: [{ format: syslog }]",
        "output: stdout\nmultiline: { languages: [cobol] }",
        "output: stdout\nmultiline: { patterns: [{ start: x }] }",
        "output: stdout\nkubernetes: { pod_annotations: [skidder.io/jsno] }",
        "output: stdout\nmax_buffered_bytes: 5 parsecs",
        "output: stdout\nevents: { rate_limit: 5MiB }",
    ] {
        assert!(Config::parse(bad, "bad.yaml", &|_| None).is_err(), "{bad}");
        assert!(!schema.is_valid(&json(bad)), "{bad}");
    }
}

#[test]
fn the_schema_takes_the_shipped_files_and_the_examples() {
    let schema = jsonschema::validator_for(&schema()).unwrap();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts: Vec<String> = fs::read_dir(project.join("config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let docs = fs::read_to_string(project.join(REFERENCE)).unwrap();
    texts.extend(docs.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()));
    assert!(texts.len() > 12, "{}", texts.len());
    for text in texts {
        let errors: Vec<_> = schema
            .iter_errors(&json_of(&Node::parse(&text).unwrap()))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
}

/// YAML as an editor hands it to a schema: plain words are what YAML says that they are.
fn json_of(node: &Node) -> Value {
    match &node.value {
        tree::Value::Scalar { plain: true, .. } if node.is_null() => Value::Null,
        tree::Value::Scalar { text, plain: true } => match text.as_str() {
            "true" => true.into(),
            "false" => false.into(),
            word => word.parse::<i64>().map_or_else(|_| word.into(), Value::from),
        },
        tree::Value::Scalar { text, .. } => text.as_str().into(),
        tree::Value::List(items) => items.iter().map(json_of).collect(),
        tree::Value::Map(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.value))).collect())
        }
    }
}
