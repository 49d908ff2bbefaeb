//! The index template: what Elasticsearch is told of our fields, composed for what the cluster knows.
//!
//! One component template holds the mappings; one index template for each data stream, by its exact name,
//! composes it. Never a pattern that would also match other people's streams.

use std::fmt::Write as _;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

/// Grows with each change of what is installed: an agent never replaces a newer one's template.
pub const VERSION: u64 = 1;
/// The component template's name. `skidder-logs@custom`, when somebody makes it, is composed after it.
pub const COMPONENT: &str = "skidder-logs";
/// Who manages a template, in its `_meta`.
pub const MANAGED_BY: &str = "skidder";
/// Over the built-in `logs-*-*` (100) and the usual 200 of integrations.
const PRIORITY: u64 = 250;

/// Something that not every cluster knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The type of `message` that takes half of `text`'s room. A module, in every packaged Elasticsearch.
    MatchOnlyText,
    /// One field for all labels, whatever their names: no conflict, no explosion.
    Flattened,
    /// OpenSearch's name of it.
    FlatObject,
    /// Retention by the data stream itself (Elasticsearch 8.11).
    Lifecycle,
    /// A component template that need not exist (Elasticsearch 8.7).
    Custom,
    /// Fields beyond the limit are left out of the index in place of refusing the document (Elasticsearch 8.14).
    BeyondLimit,
}

impl Feature {
    /// In the order in which a refusal is searched for them, and the word that names each there.
    const ALL: [(Self, &str); 6] = [
        (Self::MatchOnlyText, "match_only_text"),
        (Self::Flattened, "flattened"),
        (Self::FlatObject, "flat_object"),
        (Self::Lifecycle, "lifecycle"),
        (Self::Custom, "ignore_missing_component_templates"),
        (Self::BeyondLimit, "ignore_dynamic_beyond_limit"),
    ];
}

/// What a cluster is known not to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    missing: Vec<Feature>,
}

impl Dialect {
    /// Learns from a refusal; false when its words name nothing that could be done without.
    pub fn learn(&mut self, words: &str) -> bool {
        let named = |(feature, word): &&(Feature, &str)| words.contains(word) && self.has(*feature);
        match Feature::ALL.iter().find(named) {
            Some((feature, _)) => {
                self.missing.push(*feature);
                true
            }
            None => false,
        }
    }

    /// Whether the cluster is not known not to know it.
    pub fn has(&self, feature: Feature) -> bool {
        !self.missing.contains(&feature)
    }

    fn text(&self) -> Value {
        json!({ "type": if self.has(Feature::MatchOnlyText) { "match_only_text" } else { "text" } })
    }

    /// An object of unknown keys. Longer values are found by other fields, not by this one: a term may have at
    /// most 32,766 bytes.
    fn flattened(&self) -> Value {
        if self.has(Feature::Flattened) {
            json!({ "type": "flattened", "ignore_above": 1024 })
        } else if self.has(Feature::FlatObject) {
            json!({ "type": "flat_object" })
        } else {
            json!({ "type": "object", "enabled": false })
        }
    }
}

/// The component template without its `_meta`.
pub fn component(dialect: &Dialect) -> Value {
    let keyword = json!({ "type": "keyword", "ignore_above": 1024 });
    let named = json!({ "properties": { "name": keyword } });
    let mut index = json!({ "codec": "best_compression", "mapping": { "ignore_malformed": "true" } });
    if dialect.has(Feature::BeyondLimit) {
        index["mapping"]["total_fields"] = json!({ "ignore_dynamic_beyond_limit": "true" });
    }
    json!({
        "template": {
            "settings": { "index": index },
            "mappings": {
                "date_detection": false,
                "dynamic_templates": [
                    // The schema `fluentd` has its text in `log`, where ECS has an object.
                    { "text": { "path_match": "log", "match_mapping_type": "string", "mapping": dialect.text() } },
                    { "strings": { "match_mapping_type": "string", "mapping": keyword } },
                ],
                "properties": {
                    "@timestamp": { "type": "date_nanos", "ignore_malformed": false },
                    "message": dialect.text(),
                    "stream": keyword,
                    "kubernetes": { "properties": {
                        "namespace": keyword,
                        "pod": { "properties": { "name": keyword, "uid": keyword, "ip": { "type": "ip" } } },
                        "container": named, "node": named, "deployment": named, "replicaset": named,
                        "statefulset": named, "daemonset": named, "job": named, "cronjob": named,
                        "labels": dialect.flattened(),
                        "annotations": dialect.flattened(),
                    } },
                    // Docker's own labels, which keep their dots.
                    "container": { "properties": { "labels": dialect.flattened() } },
                    "json": dialect.flattened(),
                    "error": { "properties": { "type": keyword, "message": dialect.text() } },
                    "event": { "properties": {
                        "original": { "type": "keyword", "index": false, "doc_values": false },
                    } },
                },
            },
        },
        "version": VERSION,
    })
}

/// The index template of one data stream without its `_meta`.
pub fn index(dialect: &Dialect, stream: &str, retention: Option<&str>) -> Value {
    let custom = format!("{COMPONENT}@custom");
    let mut template = json!({
        "index_patterns": [stream],
        "data_stream": {},
        "priority": PRIORITY,
        "composed_of": [COMPONENT],
        "version": VERSION,
    });
    if dialect.has(Feature::Custom) {
        template["composed_of"] = json!([COMPONENT, custom]);
        template["ignore_missing_component_templates"] = json!([custom]);
    }
    if let Some(retention) = retention
        && dialect.has(Feature::Lifecycle)
    {
        template["template"] = json!({ "lifecycle": { "data_retention": retention } });
    }
    template
}

/// The name of a data stream's index template.
pub fn index_name(stream: &str) -> String {
    format!("{MANAGED_BY}-{stream}")
}

/// A template with its `_meta`: `wanted` is what would have been installed on a cluster that knows all, `intact`
/// what was; together they tell later whether a person changed it, and whether there is anything to do.
pub fn with_meta(mut template: Value, wanted: &Value) -> Value {
    let meta = json!({
        "managed_by": MANAGED_BY,
        "description": "Logs shipped by Skidder. Once changed by a person it is kept as it is, and no longer updated.",
        "version": VERSION,
        "wanted": fingerprint(wanted),
        "intact": fingerprint(&template),
    });
    template["_meta"] = meta;
    template
}

/// What is to be done about a template that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Present {
    /// It is what we would install.
    Same,
    /// It is ours and older, or for another retention.
    Outdated,
    /// It is a newer agent's.
    Newer,
    /// A person made or changed it.
    Theirs,
}

/// Compares a template as the cluster shows it with what we want.
pub fn compare(there: &Value, wanted: &Value) -> Present {
    let meta = &there["_meta"];
    if meta["managed_by"] != MANAGED_BY || meta["intact"] != json!(fingerprint(there)) {
        return Present::Theirs;
    }
    match meta["version"].as_u64() {
        Some(version) if version > VERSION => Present::Newer,
        Some(VERSION) if meta["wanted"] == json!(fingerprint(wanted)) => Present::Same,
        _ => Present::Outdated,
    }
}

/// A hash of what a template says, however it is written: clusters show numbers and booleans of settings as
/// strings and add their defaults.
fn fingerprint(template: &Value) -> String {
    let mut lines = Vec::new();
    flatten(template, &mut String::new(), &mut lines);
    lines.sort_unstable();
    format!("{:016x}", xxh3_64(lines.join("\n").as_bytes()))
}

/// What clusters add by themselves.
const ADDED: [&str; 6] = [
    "data_stream.timestamp_field.name=@timestamp",
    "data_stream.hidden=false",
    "data_stream.allow_custom_routing=false",
    "template.lifecycle.enabled=true",
    "created_date",
    "modified_date",
];

fn flatten(value: &Value, path: &mut String, lines: &mut Vec<String>) {
    let mut below = |name: &str, value: &Value| {
        let length = path.len();
        if length > 0 {
            path.push('.');
        }
        path.push_str(name);
        flatten(value, path, lines);
        path.truncate(length);
    };
    match value {
        Value::Object(fields) => {
            // `_meta` holds the fingerprints themselves.
            for (name, value) in fields.iter().filter(|(name, _)| *name != "_meta") {
                below(name, value);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                below(&index.to_string(), value);
            }
        }
        Value::String(text) => push(format!("{path}={text}"), lines),
        other => push(format!("{path}={other}"), lines),
    }
}

fn push(line: String, lines: &mut Vec<String>) {
    let name = line.split('=').next().unwrap_or_default();
    if !ADDED.iter().any(|added| *added == line || name.starts_with(added)) {
        lines.push(line);
    }
}

/// All that would be installed for `streams`, as requests to paste into Kibana's console.
pub fn console(streams: &[String], retention: Option<&str>) -> String {
    let dialect = Dialect::default();
    let mut out = String::new();
    let mut put = |kind: &str, name: &str, template: Value| {
        let template = with_meta(template.clone(), &template);
        let _ = writeln!(out, "PUT {kind}/{name}\n{template:#}\n");
    };
    put("_component_template", COMPONENT, component(&dialect));
    for stream in streams {
        put("_index_template", &index_name(stream), index(&dialect, stream, retention));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_learns_from_refusals() {
        let mut dialect = Dialect::default();
        assert_eq!(
            component(&dialect)["template"]["mappings"]["properties"]["message"]["type"],
            "match_only_text"
        );
        assert!(dialect.learn("No handler for type [match_only_text] declared on field [message]"));
        assert!(!dialect.learn("No handler for type [match_only_text] declared on field [message]"));
        assert!(dialect.learn("No handler for type [flattened] declared on field [json]"));
        let properties = component(&dialect)["template"]["mappings"]["properties"].clone();
        assert_eq!(properties["message"]["type"], "text");
        assert_eq!(properties["json"]["type"], "flat_object");
        assert!(dialect.learn("No handler for type [flat_object]"));
        assert_eq!(component(&dialect)["template"]["mappings"]["properties"]["json"]["enabled"], false);
        assert!(!dialect.learn("something else"));
    }

    #[test]
    fn a_persons_change_is_seen_and_a_clusters_rewriting_is_not() {
        let wanted = index(&Dialect::default(), "logs-a-b", Some("30d"));
        let mut there = with_meta(wanted.clone(), &wanted);
        assert_eq!(compare(&there, &wanted), Present::Same);
        there["data_stream"] = json!({ "hidden": false, "allow_custom_routing": false });
        there["priority"] = json!("250");
        there["template"]["lifecycle"]["enabled"] = json!(true);
        there["created_date_millis"] = json!(17);
        assert_eq!(compare(&there, &wanted), Present::Same);
        let other = index(&Dialect::default(), "logs-a-b", Some("7d"));
        assert_eq!(compare(&there, &other), Present::Outdated);
        there["_meta"]["version"] = json!(VERSION + 1);
        assert_eq!(compare(&there, &wanted), Present::Newer);
        there["priority"] = json!(300);
        assert_eq!(compare(&there, &wanted), Present::Theirs);
        assert_eq!(compare(&json!({ "index_patterns": ["x"] }), &wanted), Present::Theirs);
    }

    #[test]
    fn what_a_lesser_cluster_got_is_still_the_same() {
        let wanted = component(&Dialect::default());
        let mut dialect = Dialect::default();
        assert!(dialect.learn("match_only_text"));
        let there = with_meta(component(&dialect), &wanted);
        assert_eq!(compare(&there, &wanted), Present::Same);
    }

    #[test]
    fn no_pattern_but_the_exact_name() {
        let text = console(&["logs-shop-default".into()], Some("30d"));
        assert!(text.starts_with("PUT _component_template/skidder-logs\n{"));
        assert!(text.contains("PUT _index_template/skidder-logs-shop-default\n{"));
        assert!(!text.contains("logs-*"));
    }
}
