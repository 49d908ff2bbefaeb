//! Text that is checked where it is read: patterns, globs, names. A value of these types cannot be a wrong one.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Zoned;
use jiff::fmt::strtime::{self, BrokenDownTime};

/// serde's doors and the comparisons of a type that is read from text and written as that text.
macro_rules! checked_text {
    ($($type:ty),*) => { $(
        impl $type {
            /// The text as it was written.
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.text, f)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }

        impl Eq for $type {}

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

checked_text!(Pattern, Glob, PathGlob, TimePattern, DatasetName, NamespaceName, IndexPattern, HttpUrl);

/// A regular expression of the user's, over bytes, in the syntax of the `regex` crate.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: regex::bytes::Regex,
}

impl Pattern {
    /// The compiled expression.
    pub fn regex(&self) -> &regex::bytes::Regex {
        &self.regex
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the pattern is empty and would match everything; write one".into());
        }
        // The crate's message draws a picture over several lines; its last says what is wrong.
        let why = |error: regex::Error| match regex_syntax::ast::parse::Parser::new().parse(text) {
            Err(syntax) => format!("character {}: {}", syntax.span().start.column, syntax.kind()),
            Ok(_) => {
                let text = error.to_string();
                text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
            }
        };
        let wrong =
            |error| format!("`{text}` is not a regular expression ({}); see docs.rs/regex", why(error));
        Ok(Self { text: text.to_owned(), regex: regex::bytes::Regex::new(text).map_err(wrong)? })
    }
}

/// A glob over a name, such as `web-*`: of a namespace, pod, container, label or label's value.
#[derive(Clone)]
pub struct Glob {
    text: String,
    matcher: GlobMatcher,
}

impl Glob {
    /// Whether the glob matches all of the name.
    pub fn is_match(&self, name: &str) -> bool {
        self.matcher.is_match(name)
    }
}

impl FromStr for Glob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), matcher: compile_glob(text, false)? })
    }
}

/// A glob over paths, such as `/var/log/containers/*.log`: `*` stays within a folder, `**` does not.
#[derive(Clone)]
pub struct PathGlob {
    text: String,
    matcher: GlobMatcher,
}

impl PathGlob {
    /// Whether the glob matches all of the path.
    pub fn is_match(&self, path: &std::path::Path) -> bool {
        self.matcher.is_match(path)
    }
}

impl FromStr for PathGlob {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let matcher = compile_glob(text, true)?;
        // Files are looked for folder by folder, so each step of the path must be a glob by itself.
        for step in text.split('/').filter(|step| !step.is_empty()) {
            let spans = |_| format!("`{text}` has brackets with a / between them; write several globs");
            compile_glob(step, true).map_err(spans)?;
        }
        Ok(Self { text: text.to_owned(), matcher })
    }
}

fn compile_glob(text: &str, literal_separator: bool) -> Result<GlobMatcher, String> {
    if text.is_empty() {
        return Err("the glob is empty and would match nothing; write one, or * for all".into());
    }
    let wrong = |error: globset::Error| format!("`{text}` is not a glob ({})", error.kind());
    let glob = GlobBuilder::new(text).literal_separator(literal_separator).build().map_err(wrong)?;
    Ok(glob.compile_matcher())
}

/// A strftime pattern that finds the time at the start of a plain line, or nothing.
#[derive(Clone, Default)]
pub struct TimePattern {
    text: String,
}

impl TimePattern {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl FromStr for TimePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() {
            let wrong = |error: jiff::Error| format!("`{text}` is not a strftime pattern ({error})");
            let sample = strtime::format(text, &sample()).map_err(wrong)?;
            let (mut read, _) = BrokenDownTime::parse_prefix(text, sample.as_bytes()).map_err(wrong)?;
            if read.year().is_none() && read.month().is_some() {
                // As in syslog: the year is the one in which the line is read.
                read.set_year(Some(2026)).map_err(wrong)?;
            }
            if read.to_timestamp().is_err() && read.to_datetime().is_err() {
                return Err(format!("`{text}` gives no day; write such as %Y-%m-%d %H:%M:%S%.f"));
            }
        }
        Ok(Self { text: text.to_owned() })
    }
}

/// A moment whose parts are all different and need all their digits.
fn sample() -> Zoned {
    jiff::civil::datetime(2026, 11, 22, 23, 48, 59, 123_456_789)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap_or_default()
}

/// The middle part of a data stream's name, `logs-<dataset>-<namespace>`.
#[derive(Clone)]
pub struct DatasetName {
    text: String,
}

impl FromStr for DatasetName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_stream_part(text)?;
        Ok(Self { text: text.to_owned() })
    }
}

impl Default for DatasetName {
    fn default() -> Self {
        Self { text: "kubernetes.container_logs".to_owned() }
    }
}

/// The last part of a data stream's name, `logs-<dataset>-<namespace>`.
#[derive(Clone)]
pub struct NamespaceName {
    text: String,
}

impl FromStr for NamespaceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        check_stream_part(text)?;
        Ok(Self { text: text.to_owned() })
    }
}

impl Default for NamespaceName {
    fn default() -> Self {
        Self { text: "default".to_owned() }
    }
}

/// What Elasticsearch allows in `data_stream.dataset` and `data_stream.namespace`: its data stream naming
/// scheme, at most 100 bytes each, without a hyphen, since hyphens part the three.
fn check_stream_part(text: &str) -> Result<(), String> {
    if text.contains('-') {
        return Err(format!("`{text}` may not hold `-`; write `{}`", text.replace('-', "_")));
    }
    if text.len() > 100 {
        return Err(format!("`{text}` is {} bytes long; write at most 100", text.len()));
    }
    check_index_name(text)
}

/// What Elasticsearch allows in the name of an index.
fn check_index_name(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("the name is empty; write one".into());
    }
    if text.chars().any(char::is_uppercase) {
        return Err(format!("`{text}` may not hold capitals; write `{}`", text.to_lowercase()));
    }
    if let Some(bad) = text.chars().find(|c| r#"\/*?"<>| ,#:"#.contains(*c) || c.is_control()) {
        return Err(format!("`{text}` may not hold `{}`; leave it out", bad.escape_debug()));
    }
    if text.starts_with(['-', '_', '+', '.']) {
        return Err(format!("`{text}` may not begin with `{}`; begin with a letter", &text[..1]));
    }
    if text.len() > 255 {
        return Err(format!("`{text}` is {} bytes long; write at most 255", text.len()));
    }
    Ok(())
}

/// The name of an index, made for each event: strftime of its time, `{namespace}`, `{labels.<name>}`.
#[derive(Clone)]
pub struct IndexPattern {
    text: String,
    parts: Vec<IndexPart>,
}

/// A part of an [`IndexPattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexPart {
    /// A strftime pattern, for the event's time in UTC.
    Time(String),
    /// `{namespace}`: the pod's namespace.
    Namespace,
    /// `{labels.<name>}`: the value of the pod's label, as the pod carries it (with its dots).
    Label(String),
}

impl IndexPattern {
    /// The parts in their order.
    pub fn parts(&self) -> &[IndexPart] {
        &self.parts
    }

    fn split(text: &str) -> Result<Vec<IndexPart>, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let open = || format!("`{text}` has a `{{` without its `}}`; close it");
            let (name, after) = after.split_once('}').ok_or_else(open)?;
            if !before.is_empty() {
                parts.push(IndexPart::Time(before.to_owned()));
            }
            parts.push(match name.strip_prefix("labels.") {
                Some(label) if !label.is_empty() => IndexPart::Label(label.to_owned()),
                _ if name == "namespace" => IndexPart::Namespace,
                _ => {
                    return Err(format!(
                        "`{{{name}}}` is not known; write {{namespace}} or {{labels.<name>}}"
                    ));
                }
            });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(IndexPart::Time(rest.to_owned()));
        }
        Ok(parts)
    }
}

impl FromStr for IndexPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = Self::split(text)?;
        let mut name = String::new();
        for part in &parts {
            match part {
                IndexPart::Time(pattern) => {
                    let wrong = |error| format!("`{pattern}` is not a strftime pattern ({error})");
                    name += &strtime::format(pattern, &sample()).map_err(wrong)?;
                }
                IndexPart::Namespace | IndexPart::Label(_) => name.push('x'),
            }
        }
        check_index_name(&name).map_err(|why| format!("`{text}` makes no index name: {why}"))?;
        Ok(Self { text: text.to_owned(), parts })
    }
}

/// Where an HTTP server is: `http` or `https`, a host, perhaps a port and a path; no password, no query.
#[derive(Clone)]
pub struct HttpUrl {
    text: String,
    url: reqwest::Url,
}

impl HttpUrl {
    /// The URL; its path ends with `/`, so that paths can be joined to it.
    pub fn url(&self) -> &reqwest::Url {
        &self.url
    }
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is not a URL ({why}); write such as https://host:9200");
        let mut url = reqwest::Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            // Not shown: it holds the password.
            return Err("a user or password may not stand in the URL; write them as keys of their own".into());
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it is neither http nor https"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("it has a ? or #"));
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { text: text.to_owned(), url })
    }
}

/// serde's door to a text that may be absent, written as nothing: `#[serde(with = "optional")]`.
pub(super) mod optional {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names_and_paths() {
        let glob: Glob = "web-*".parse().unwrap();
        assert!(glob.is_match("web-1") && glob.is_match("web-a/b.c") && !glob.is_match("a-web-1"));
        let path: PathGlob = "/var/log/{a,b}/*.log".parse().unwrap();
        assert!(path.is_match("/var/log/b/x.log".as_ref()) && !path.is_match("/var/log/b/c/x.log".as_ref()));
        let deep: PathGlob = "/var/log/**/*.log".parse().unwrap();
        assert!(deep.is_match("/var/log/b/c/x.log".as_ref()) && deep.is_match("/var/log/x.log".as_ref()));
        for wrong in ["", "/a/{b", "/a/[b", "/{a,b/c}/d"] {
            assert!(wrong.parse::<PathGlob>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_match_bytes_and_say_in_one_line_what_is_wrong() {
        let pattern: Pattern = r"^\d+ .".parse().unwrap();
        assert!(pattern.regex().is_match(b"12 \xc3\xa9"));
        for wrong in ["", "(", "[b", "(?<n>a)(?<n>b)", r"\p{Nothing}", "a{5000}{5000}"] {
            let error = wrong.parse::<Pattern>().unwrap_err();
            assert!(!error.contains('\n') && error.len() > 20, "{wrong}: {error}");
        }
    }

    #[test]
    fn times_need_a_day() {
        for right in
            ["", "%Y-%m-%d %H:%M:%S%.f", "[%d/%b/%Y:%H:%M:%S %z]", "%b %e %H:%M:%S", "%s", "%FT%T%:z"]
        {
            assert!(right.parse::<TimePattern>().is_ok(), "{right}");
        }
        for wrong in ["%H:%M:%S", "%Y", "%Y-%m-%d %Q%", "INFO", "%!"] {
            assert!(wrong.parse::<TimePattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_those_that_elasticsearch_takes() {
        for right in ["kubernetes.container_logs", "default", "a", "é", "0"] {
            assert!(
                right.parse::<DatasetName>().is_ok() && right.parse::<NamespaceName>().is_ok(),
                "{right}"
            );
        }
        let long = "a".repeat(101);
        for wrong in
            ["", "a-b", "A", "a b", "a/b", "a*", "a,b", "_a", "+a", ".", "..", ".a", "a:b", "a#", &long]
        {
            assert!(
                wrong.parse::<DatasetName>().is_err() && wrong.parse::<NamespaceName>().is_err(),
                "{wrong}"
            );
        }
        assert!("a\tb".parse::<DatasetName>().is_err());
        assert!("a".repeat(100).parse::<DatasetName>().is_ok());
    }

    #[test]
    fn index_patterns_are_split_into_their_parts() {
        let time = |text: &str| IndexPart::Time(text.into());
        let label = |text: &str| IndexPart::Label(text.into());
        for (pattern, parts) in [
            ("logs", vec![time("logs")]),
            ("logstash-%Y.%m.%d", vec![time("logstash-%Y.%m.%d")]),
            ("{namespace}-%Y", vec![IndexPart::Namespace, time("-%Y")]),
            ("x-{labels.app.kubernetes.io/name}", vec![time("x-"), label("app.kubernetes.io/name")]),
        ] {
            assert_eq!(pattern.parse::<IndexPattern>().unwrap().parts(), parts);
        }
        for wrong in ["", "{namespace", "{labels.}", "{pod}", "Logs", "-x", "a b", "%Q%", "logs-%b", "a}*"] {
            assert!(wrong.parse::<IndexPattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn urls_are_ready_to_be_joined() {
        let join = |text: &str| text.parse::<HttpUrl>().unwrap().url().join("_bulk").unwrap().to_string();
        assert_eq!(join("https://es:9200"), "https://es:9200/_bulk");
        assert_eq!(join("https://gateway/es"), "https://gateway/es/_bulk");
        assert_eq!(join("http://[::1]:9200/"), "http://[::1]:9200/_bulk");
        for wrong in
            ["", "es", "es:9200", "ftp://es", "https://", "https://es/?a=b", "https://u@es", "https://es/#a"]
        {
            assert!(wrong.parse::<HttpUrl>().is_err(), "{wrong}");
        }
    }
}
