//! What `skidder test` reads: lines, and what is expected to come of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::error::Fault;
use super::input::{Fields, Format};
use super::tree::Node;
use super::{ConfigError, read};

/// A file of fixtures.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixtures {
    /// The configuration that is tried, beside this file; `None`: all defaults.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// The trials, at least one.
    pub tests: Vec<Fixture>,
}

/// Lines, and what is expected to come of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// What it shows.
    pub name: String,
    /// The line of the file that it begins on.
    #[serde(skip)]
    pub line: usize,
    /// Where the log lies: it chooses the block of `files`. Default: none in particular, the first block.
    #[serde(default)]
    pub path: PathBuf,
    /// Whose log it is; `None`: a plain file.
    #[serde(default)]
    pub pod: Option<FixturePod>,
    /// How the lines are written. Default: as the block says.
    #[serde(default)]
    pub format: Option<Format>,
    /// The lines, as they lie in the file.
    pub input: String,
    /// The messages that are expected, in their order: this or `documents`.
    #[serde(default)]
    pub messages: Option<Vec<String>>,
    /// Of each document that is expected, in their order, the fields that matter. Null: the field is not there.
    #[serde(default, deserialize_with = "documents")]
    pub documents: Option<Vec<Fields>>,
}

/// Documents with their nulls, which elsewhere in a configuration are as if they were not written.
fn documents<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Fields>>, D::Error> {
    let documents = Vec::<Value>::deserialize(deserializer)?;
    let fields = |document| match document {
        Value::Object(fields) => Ok(fields),
        other => Err(D::Error::custom(format!("must be the fields of a document, and one is {other}"))),
    };
    documents.into_iter().map(fields).collect::<Result<_, _>>().map(Some)
}

/// Whose log it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FixturePod {
    /// Default: `default`.
    pub namespace: String,
    /// Default: `pod`.
    pub name: String,
    /// Default: `container`.
    pub container: String,
    /// The pod's labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Default for FixturePod {
    fn default() -> Self {
        Self {
            namespace: "default".into(),
            name: "pod".into(),
            container: "container".into(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        }
    }
}

impl Fixtures {
    /// Reads a file of fixtures.
    ///
    /// # Errors
    /// What is wrong with it, with its line and key.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read(path, "the fixtures", "name a file of fixtures")?;
        Self::parse(&text).map_err(|fault| fault.in_file(&path.display().to_string()))
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let root = Node::parse(text)?;
        let mut fixtures = Self::deserialize(&root)?;
        if fixtures.tests.is_empty() {
            return Err(Fault::new("is an empty list; write a test")
                .on(root.line_of("tests"))
                .under("tests"));
        }
        for (index, test) in fixtures.tests.iter_mut().enumerate() {
            let place = format!("tests[{index}]");
            test.line = root.line_of(&place);
            if test.messages.is_some() == test.documents.is_some() {
                let fault = Fault::new("must have either `messages` or `documents`: what is expected");
                return Err(fault.on(test.line).under(&place));
            }
        }
        Ok(fixtures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_has_its_line_and_key() {
        let wrong = |text: &str| Fixtures::parse(text).unwrap_err().in_file("f.yaml").to_string();
        assert_eq!(wrong("tests: []"), "f.yaml:1: tests: is an empty list; write a test");
        let test = "tests:\n- name: a\n  input: b\n";
        assert_eq!(
            wrong(test),
            "f.yaml:2: tests[0]: must have either `messages` or `documents`: what is expected"
        );
        assert!(
            wrong(&format!("{test}  mesages: [b]")).starts_with("f.yaml:4: tests[0].mesages: no such key")
        );
        assert!(wrong("tests:\n- { name: a, messages: [] }").contains("`input` is missing"));
        let fixtures = Fixtures::parse(&format!("{test}  documents: [{{ a: {{ b: 1 }}, c: }}]")).unwrap();
        let document = &fixtures.tests[0].documents.as_ref().unwrap()[0];
        assert_eq!(serde_json::to_string(document).unwrap(), r#"{"a":{"b":1},"c":null}"#);
        assert_eq!(fixtures.tests[0].line, 2);
    }
}
