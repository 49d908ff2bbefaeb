//! The shipped files and the documentation say the same as the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use skidder::config::{Config, ConfigError};

use super::{any_name, nothing, project};

#[test]
fn the_shipped_files_are_valid() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(project().join("config")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "yaml"));
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        Config::parse(&text, &file.display().to_string(), &any_name).unwrap();
    }
    let minimal = fs::read_to_string(project().join("config/minimal.yaml")).unwrap();
    assert!(minimal.lines().count() <= 10);
}

#[test]
fn skidder_yaml_is_all_defaults() {
    let text = fs::read_to_string(project().join("config/skidder.yaml")).unwrap();
    for env in [&nothing as &dyn Fn(&str) -> Option<String>, &any_name] {
        let written: Value =
            serde_json::from_str(&Config::parse(&text, "skidder.yaml", env).unwrap().to_json()).unwrap();
        let least = Config::parse("output: elasticsearch", "least.yaml", env).unwrap();
        let default: Value = serde_json::from_str(&least.to_json()).unwrap();
        for (key, value) in leaves(&default) {
            assert_eq!(leaves(&written).get(&key), Some(&value), "{key}");
        }
        assert_eq!(written, default);
    }
    // Each key stands there, also those whose default is to be absent; of lists without items, in a comment.
    for key in schema() {
        let name = key.rsplit('.').next().unwrap();
        let stands = |line: &str| line.trim_start_matches([' ', '#', '-']).starts_with(&format!("{name}:"));
        let told = |line: &str| line.split_once('#').is_some_and(|(_, comment)| comment.contains(name));
        assert!(text.lines().any(|line| stands(line) || told(line)), "{key} is not in config/skidder.yaml");
    }
}

/// The values of a JSON document that hold no others, by their path.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (format!(".{key}"), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, value)| (format!("[{at}]"), value)).collect()
        }
        _ => Vec::new(),
    };
    if children.is_empty() {
        found.insert(String::new(), value.clone());
    }
    for (step, child) in children {
        found.extend(leaves(child).into_iter().map(|(path, value)| (format!("{step}{path}"), value)));
    }
    found
}

/// Where keys may stand, each with a configuration that puts an unknown key there.
const PLACES: [(&str, &str); 21] = [
    ("", "§: 1"),
    ("shutdown.", "shutdown: { §: 1 }"),
    ("files[].", "files: [{ §: 1 }]"),
    ("held_files.", "held_files: { §: 1 }"),
    ("multiline.", "multiline: { §: 1 }"),
    ("multiline.patterns[].", "multiline: { patterns: [{ §: 1 }] }"),
    ("multiline.patterns[].match.", "multiline: { patterns: [{ match: { §: 1 } }] }"),
    ("kubernetes.", "kubernetes: { §: 1 }"),
    ("kubernetes.kubelet.", "kubernetes: { kubelet: { §: 1 } }"),
    ("kubernetes.pod.", "kubernetes: { pod: { §: 1 } }"),
    ("events.", "events: { §: 1 }"),
    ("events.drop[].", "events: { drop: [{ §: 1 }] }"),
    ("events.redact[].", "events: { redact: [{ §: 1 }] }"),
    ("output.", "output: { §: 1 }"),
    ("output.elasticsearch.", "output: { elasticsearch: { §: 1 } }"),
    ("output.elasticsearch.tls.", "output: { elasticsearch: { tls: { §: 1 } } }"),
    ("output.elasticsearch.data_stream.", "output: { elasticsearch: { data_stream: { §: 1 } } }"),
    ("output.elasticsearch.batch.", "output: { elasticsearch: { batch: { §: 1 } } }"),
    ("output.stdout.", "output: { stdout: { §: 1 } }"),
    ("http.", "http: { §: 1 }"),
    ("log.", "log: { §: 1 }"),
];

/// Every key of the schema that holds no others, as the error about an unknown key lists them.
fn schema() -> Vec<String> {
    let mut keys = Vec::new();
    for (place, text) in PLACES {
        let text =
            if place.starts_with("output") { (*text).to_owned() } else { format!("output: stdout\n{text}") };
        let error = Config::parse(&text, "unknown.yaml", &nothing).unwrap_err();
        let ConfigError { message, .. } = &error;
        let (_, known) = message.split_once("write one of ").unwrap_or_else(|| panic!("{place}: {error}"));
        keys.extend(known.split(", ").map(|key| format!("{place}{key}")));
    }
    let holds_others = |key: &String| {
        PLACES.iter().any(|(place, _)| {
            place.strip_prefix(key.as_str()).is_some_and(|rest| matches!(rest, "." | "[]."))
        })
    };
    let lists = ["multiline.patterns", "events.drop", "events.redact"];
    keys.retain(|key| !holds_others(key) || lists.contains(&key.as_str()));
    keys
}

#[test]
fn the_places_of_the_schema_are_all_known_here() {
    // What holds others in an effective configuration must be a place, but for what users name themselves.
    let text = "output: { elasticsearch: { tls: {} } }\nmultiline: { patterns: [{ name: dated, match: { pod: x } }] }\n\
                events: { drop: [{ pod: x }], redact: [{ pattern: x }] }";
    let config = Config::parse(text, "test.yaml", &nothing).unwrap();
    let shown: Value = serde_json::from_str(&config.to_json()).unwrap();
    fn walk(path: &str, value: &Value) {
        match value {
            Value::Object(map) if !path.ends_with("add_fields") && !path.ends_with("labels") => {
                let place = if path.is_empty() { String::new() } else { format!("{path}.") };
                assert!(PLACES.iter().any(|(known, _)| *known == place), "{place} is a new place: add it");
                for (key, value) in map {
                    walk(&format!("{place}{key}"), value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| walk(&format!("{path}[]"), item)),
            _ => {}
        }
    }
    walk("", &shown);
}

#[test]
fn every_key_is_in_the_docs() {
    let docs = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let schema = schema();
    assert!(schema.len() > 70, "{schema:?}");
    for key in &schema {
        assert!(docs.contains(&format!("| `{key}` |")), "{key} is not in docs/configuration.md");
    }
    for line in docs.lines().filter_map(|line| line.strip_prefix("| `")) {
        let key = line.split('`').next().unwrap();
        let place = PLACES
            .iter()
            .any(|(place, _)| place.strip_prefix(key).is_some_and(|rest| matches!(rest, "." | "[].")));
        let known = place || schema.iter().any(|known| known == key);
        assert!(known, "docs/configuration.md has `{key}`, which is no key");
    }
}

#[test]
fn the_defaults_in_the_docs_are_those_of_the_program() {
    let docs = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let config = Config::parse("output: elasticsearch", "least.yaml", &nothing).unwrap();
    let stdout = Config::parse("output: stdout", "least.yaml", &nothing).unwrap();
    let mut defaults = leaves(&serde_json::from_str(&config.to_json()).unwrap());
    defaults.extend(leaves(&serde_json::from_str(&stdout.to_json()).unwrap()));
    let mut compared = 0;
    for line in docs.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (key, told) = (cells[1].trim_matches('`'), cells[2]);
        let path = format!(".{}", key.replace("[]", "[0]"));
        // A list of one value stands in its first item.
        let (value, list) = match (defaults.get(&path), defaults.get(&format!("{path}[0]"))) {
            (Some(value), _) => (value, false),
            (None, Some(item)) => (item, true),
            (None, None) => continue,
        };
        let shown = match value {
            Value::String(text) if list => format!("[\"{text}\"]"),
            Value::String(text) if text.is_empty() => "\"\"".into(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let same = |told: &str| {
            told == shown || told.replace("[all]", "[\"all\"]") == shown || (told == "60s" && shown == "1m")
        };
        let in_words =
            ["node_name", "kubernetes.kubelet.url", "output.elasticsearch.tls.ca_file"].contains(&key);
        let absent = shown == "\"\"" && told.is_empty();
        assert!(
            in_words || absent || same(told.trim_matches('`')),
            "{key}: the docs say {told}, the program {shown}"
        );
        compared += 1;
    }
    assert!(compared > 45, "{compared}");
}

#[test]
fn the_examples_in_the_docs_are_valid() {
    let docs = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let examples: Vec<&str> =
        docs.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 8);
    for example in examples {
        Config::parse(example, "docs/configuration.md", &any_name)
            .unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
}
