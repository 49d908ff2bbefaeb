//! What is read, and which lines are one event: `files`, `held_files`, `multiline`.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::instead;
#[cfg(test)]
use super::schema;
use super::text::{DatasetName, Glob, PathGlob, Pattern, TimePattern, optional};
use super::units::{count, duration, size};

/// Fields that are added to documents: names and any JSON.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// A block of `files`. The first block that includes a path and does not exclude it has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct FileBlock {
    /// Globs of paths. Default: `["/var/log/containers/*.log"]`.
    pub include: Vec<PathGlob>,
    /// Globs of paths not to read although included. Default: `[]`.
    pub exclude: Vec<PathGlob>,
    /// What wrote the lines: `cri` (containerd, CRI-O), `docker` (the json-file driver), `plain`; `auto` finds
    /// out per file. Default: `auto`.
    pub format: Format,
    /// Where to begin at the very first start: `beginning`, with rotated and gzipped generations, or `end`.
    /// Default: `beginning`.
    pub start_at: StartAt,
    /// A longer line, after joining the runtime's parts, is cut and flagged `truncated`. Default: `1MiB`.
    #[serde(serialize_with = "size::serialize", deserialize_with = "size::positive")]
    #[cfg_attr(test, schemars(with = "schema::Size"))]
    pub max_line_bytes: u64,
    /// `plain` only: a strftime pattern that reads the time at a line's start; a time without zone is UTC.
    /// Empty: the time of reading. Default: `""`.
    pub time: TimePattern,
    /// In place of `output.elasticsearch.data_stream.dataset`. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<DatasetName>"))]
    pub dataset: Option<DatasetName>,
    /// Fields for these files' documents, over those of `events.add_fields`. Default: `{}`.
    pub add_fields: Fields,
}

impl Default for FileBlock {
    fn default() -> Self {
        Self {
            // Of fixed text that parses; a test holds it.
            include: "/var/log/containers/*.log".parse().into_iter().collect(),
            exclude: Vec::new(),
            format: Format::Auto,
            start_at: StartAt::Beginning,
            max_line_bytes: 1 << 20,
            time: TimePattern::default(),
            dataset: None,
            add_fields: Fields::new(),
        }
    }
}

/// What wrote the lines of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Found out for each file from its path and first line.
    #[default]
    Auto,
    /// containerd or CRI-O: `<time> <stream> <tags> <message>`.
    Cri,
    /// Docker's json-file driver.
    Docker,
    /// Nobody: lines as a program wrote them.
    Plain,
}

/// Where to begin in a file that was there at the very first start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StartAt {
    /// With the oldest rotated generation.
    #[default]
    Beginning,
    /// With what is written from now on.
    End,
}

/// `held_files`: unlinked files that are not delivered yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HeldFiles {
    /// How much of unlinked files that are not delivered yet is held, open or copied to `data_dir/spool`, less where
    /// the disk is short; 0 holds none. Default: `1GiB`.
    #[serde(with = "size")]
    #[cfg_attr(test, schemars(with = "schema::Size"))]
    pub max_bytes: u64,
}

impl Default for HeldFiles {
    fn default() -> Self {
        Self { max_bytes: 1 << 30 }
    }
}

/// `multiline`: which lines are one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Multiline {
    /// Whose stack traces are joined: `java`, `python`, `go`, `javascript`, `ruby`, `php`, `dotnet`, `rust`,
    /// `dart`, `elixir`, `cpp`, `perl`; or `[all]`, `[none]`. Default: `[all]`.
    pub languages: Languages,
    /// Patterns of one's own, tried before the languages. Default: `[]`.
    pub patterns: Vec<PatternRule>,
    /// An unfinished event is given out after this silence of its stream. Default: `1s`.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::positive")]
    #[cfg_attr(test, schemars(with = "schema::Duration"))]
    pub timeout: Duration,
    /// An event of more lines is given out in pieces. Default: `1000`.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(test, schemars(with = "NonZeroU32"))]
    pub max_lines: NonZeroU32,
    /// Likewise of more bytes. Default: `1MiB`.
    #[serde(serialize_with = "size::serialize", deserialize_with = "size::positive")]
    #[cfg_attr(test, schemars(with = "schema::Size"))]
    pub max_bytes: u64,
}

impl Default for Multiline {
    fn default() -> Self {
        Self {
            languages: Languages::All,
            patterns: Vec::new(),
            timeout: Duration::from_secs(1),
            max_lines: const { NonZeroU32::new(1000).unwrap() },
            max_bytes: 1 << 20,
        }
    }
}

/// A language whose stack traces are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Language {
    Java,
    Python,
    Go,
    Javascript,
    Ruby,
    Php,
    Dotnet,
    Rust,
    Dart,
    Elixir,
    Cpp,
    Perl,
}

impl Language {
    /// All of them with their names, in the order in which the documentation lists them.
    pub const ALL: [(Self, &str); 12] = [
        (Self::Java, "java"),
        (Self::Python, "python"),
        (Self::Go, "go"),
        (Self::Javascript, "javascript"),
        (Self::Ruby, "ruby"),
        (Self::Php, "php"),
        (Self::Dotnet, "dotnet"),
        (Self::Rust, "rust"),
        (Self::Dart, "dart"),
        (Self::Elixir, "elixir"),
        (Self::Cpp, "cpp"),
        (Self::Perl, "perl"),
    ];

    /// The name that stands in the configuration.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(language, _)| *language == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, name)| *name == text).map(|(language, _)| *language);
        found.ok_or_else(|| {
            let known: Vec<_> = ["all", "none"].into_iter().chain(Self::ALL.map(|(_, name)| name)).collect();
            format!("`{text}` is not a language; {}", instead(text, &known))
        })
    }
}

/// `multiline.languages`: `[all]`, `[none]`, or a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Languages {
    /// All that are known, and those that a later version learns.
    #[default]
    All,
    /// None: only the user's own patterns join.
    None,
    /// These.
    Only(Vec<Language>),
}

impl Languages {
    fn from_words(words: &[LanguageWord]) -> Result<Self, String> {
        match words {
            [LanguageWord::All] => Ok(Self::All),
            [LanguageWord::None] => Ok(Self::None),
            [] => Err("is an empty list; write [all] or [none]".into()),
            words => {
                let one = |word: &LanguageWord| match word {
                    LanguageWord::One(language) => Ok(*language),
                    _ => Err("`all` or `none` stands alone; write it without the others".to_owned()),
                };
                words.iter().map(one).collect::<Result<_, _>>().map(Self::Only)
            }
        }
    }

    /// The names, as they stand in the configuration.
    pub fn names(&self) -> Vec<&'static str> {
        match self {
            Self::All => vec!["all"],
            Self::None => vec!["none"],
            Self::Only(languages) => languages.iter().map(|language| language.name()).collect(),
        }
    }
}

/// With commas, as `--languages java,python` and a pod's annotation have it.
impl FromStr for Languages {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Result<Vec<_>, _> = text.split(',').map(|word| word.trim().parse()).collect();
        Self::from_words(&words?)
    }
}

impl fmt::Display for Languages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(","))
    }
}

impl Serialize for Languages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Languages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_words(&Vec::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A word of `multiline.languages`.
enum LanguageWord {
    All,
    None,
    One(Language),
}

impl FromStr for LanguageWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            name => name.parse().map(Self::One),
        }
    }
}

impl<'de> Deserialize<'de> for LanguageWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A pattern of the user's: which containers it is for, and which of their lines are one event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "WrittenPattern", into = "WrittenPattern")]
pub struct PatternRule {
    /// Its name, for `--explain` and the pods' annotations.
    pub name: String,
    /// The containers that it is for.
    pub selector: Selector,
    /// What it joins.
    pub rule: Rule,
}

/// What a pattern joins.
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The built-in `dated`: a date begins a record, what follows without one belongs to it.
    Dated,
    /// A line that matches begins an event; all others go on with it.
    Start(Pattern),
    /// A line that matches goes on with the event before it.
    Continue(Pattern),
    /// A line that matches the first begins an event; those after it that match the second go on with it.
    StartContinue(Pattern, Pattern),
}

/// A pattern as it is written.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct WrittenPattern {
    /// Its name, for `skidder logs --explain` and the annotation `skidder.io/multiline`. `dated` without
    /// `start` and `continue` is built in: a date begins a record.
    name: String,
    /// The containers it is for; all that is given must match. Default: all.
    #[serde(rename = "match", default, skip_serializing_if = "Selector::is_empty")]
    selector: Selector,
    /// A line that matches begins an event; without `continue`, all others go on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start: Option<Pattern>,
    /// A line that matches goes on with the event before it.
    #[serde(rename = "continue", default, skip_serializing_if = "Option::is_none")]
    go_on: Option<Pattern>,
}

impl TryFrom<WrittenPattern> for PatternRule {
    type Error = String;

    fn try_from(written: WrittenPattern) -> Result<Self, String> {
        let WrittenPattern { name, selector, start, go_on } = written;
        if name.is_empty() || ["all", "none"].contains(&name.as_str()) || name.parse::<Language>().is_ok() {
            return Err(format!("the name `{name}` is taken; write one of your own"));
        }
        let rule = match (start, go_on) {
            (Some(_), _) | (_, Some(_)) if name == "dated" => {
                return Err(
                    "`dated` is built in and has its own patterns; remove start and continue, or rename it"
                        .into(),
                );
            }
            (Some(start), Some(go_on)) => Rule::StartContinue(start, go_on),
            (Some(start), None) => Rule::Start(start),
            (None, Some(go_on)) => Rule::Continue(go_on),
            (None, None) if name == "dated" => Rule::Dated,
            (None, None) => {
                return Err(format!(
                    "the pattern `{name}` joins nothing; add start or continue (only `dated` is built in)"
                ));
            }
        };
        Ok(Self { name, selector, rule })
    }
}

impl From<PatternRule> for WrittenPattern {
    fn from(pattern: PatternRule) -> Self {
        let (start, go_on) = match pattern.rule {
            Rule::Dated => (None, None),
            Rule::Start(start) => (Some(start), None),
            Rule::Continue(go_on) => (None, Some(go_on)),
            Rule::StartContinue(start, go_on) => (Some(start), Some(go_on)),
        };
        Self { name: pattern.name, selector: pattern.selector, start, go_on }
    }
}

/// Which containers are meant: all that match every glob that is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Glob of the pod's namespace. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Glob>,
    /// Glob of the pod's name. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Glob>,
    /// Glob of the container's name. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Glob>,
    /// Labels of the pod that must be there, with globs of their values. Default: any.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Glob>,
}

impl Selector {
    /// Whether it means all containers, and files that belong to none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it means this container.
    pub fn matches(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        let fits = |glob: &Option<Glob>, name| glob.as_ref().is_none_or(|glob| glob.is_match(name));
        fits(&self.namespace, namespace)
            && fits(&self.pod, pod)
            && fits(&self.container, container)
            && self
                .labels
                .iter()
                .all(|(name, glob)| labels.get(name).is_some_and(|value| glob.is_match(value)))
    }
}
