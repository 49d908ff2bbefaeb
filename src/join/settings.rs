//! What may be set: languages, patterns of one's own, limits.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// How lines are joined; the configuration's `multiline`, and `max_line_bytes` of the file's block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The languages whose traces are known; none of them twice matters not.
    pub languages: Vec<Language>,
    /// Patterns of one's own, tried in this order and before the languages.
    pub patterns: Vec<Pattern>,
    /// An unfinished event is given out after this silence.
    pub timeout: Duration,
    /// An event of more lines goes on in a following event.
    pub max_lines: usize,
    /// An event of more bytes (of messages, newlines between them counted) goes on in a following event.
    pub max_bytes: usize,
    /// A line of more bytes, its parts put together, is cut.
    pub max_line_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            languages: Language::ALL.to_vec(),
            patterns: Vec::new(),
            timeout: Duration::from_secs(1),
            max_lines: 1000,
            max_bytes: 1 << 20,
            max_line_bytes: 1 << 20,
        }
    }
}

/// A language whose traces are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Java, Kotlin, Scala, Clojure, Groovy: the JVM.
    Java,
    /// Python.
    Python,
    /// Go.
    Go,
    /// Node, Deno, Bun, browsers.
    Javascript,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// C#, F#: the CLR.
    Dotnet,
    /// Rust.
    Rust,
    /// Dart and Flutter.
    Dart,
    /// Elixir and Erlang.
    Elixir,
    /// C and C++: the runtime, the sanitizers, glibc.
    Cpp,
    /// Perl.
    Perl,
}

impl Language {
    /// All of them, in the order of the configuration's documentation.
    pub const ALL: [Self; 12] = [
        Self::Java,
        Self::Python,
        Self::Go,
        Self::Javascript,
        Self::Ruby,
        Self::Php,
        Self::Dotnet,
        Self::Rust,
        Self::Dart,
        Self::Elixir,
        Self::Cpp,
        Self::Perl,
    ];

    /// The name in configuration and annotations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Java => "java",
            Self::Python => "python",
            Self::Go => "go",
            Self::Javascript => "javascript",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::Dotnet => "dotnet",
            Self::Rust => "rust",
            Self::Dart => "dart",
            Self::Elixir => "elixir",
            Self::Cpp => "cpp",
            Self::Perl => "perl",
        }
    }
}

/// A word that names no language.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "unknown language '{0}': one of java, python, go, javascript, ruby, php, dotnet, rust, dart, elixir, cpp, perl"
)]
pub struct UnknownLanguage(pub String);

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, UnknownLanguage> {
        let found = Self::ALL.into_iter().find(|language| language.name() == name);
        found.ok_or_else(|| UnknownLanguage(name.to_owned()))
    }
}

/// A pattern of one's own: which lines begin an event, and which continue one.
///
/// With `start` alone an event goes on until the next line that starts one. With both, it goes on as long as
/// `continuation` matches. With `continuation` alone, a line that matches belongs to the line before it. With
/// neither, the name must be [`Pattern::DATED`]: the built-in by which a date begins a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    /// What annotations and `--explain` call it.
    pub name: String,
    /// Whose lines it is for.
    pub matches: Match,
    /// A line that begins an event (`start`), in the syntax of the `regex` crate.
    pub start: Option<String>,
    /// A line that continues the one before it (`continue`).
    pub continuation: Option<String>,
}

impl Pattern {
    /// The built-in pattern by which a line that begins with a date begins a record.
    pub const DATED: &'static str = "dated";

    /// The built-in [`Pattern::DATED`], for every container.
    pub fn dated() -> Self {
        Self { name: Self::DATED.to_owned(), ..Self::default() }
    }
}

/// Globs that must all match; what is absent matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The pod's namespace.
    pub namespace: Option<String>,
    /// The pod's name.
    pub pod: Option<String>,
    /// The container's name.
    pub container: Option<String>,
    /// The pod's labels: each must be there, with a value that its glob matches.
    pub labels: BTreeMap<String, String>,
}

/// Whose lines are to be joined, for [`super::RuleBook::select`].
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The pod's namespace; empty for a file of no pod.
    pub namespace: &'a str,
    /// The pod's name.
    pub pod: &'a str,
    /// The container's name.
    pub container: &'a str,
    /// The pod's labels.
    pub labels: &'a BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_configuration() {
        for language in Language::ALL {
            assert_eq!(language.name().parse(), Ok(language));
        }
        assert_eq!("c++".parse::<Language>(), Err(UnknownLanguage("c++".to_owned())));
    }
}
