//! Which events are shown: by whose they are, when they were, what they say.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::bytes::Regex;

use crate::cli::level::{self, Level};
use crate::cli::pretty::PrettySubject;
use crate::event::{Event, Stream, time};

/// What the command line asks for, as it was written. Empty lists and `None` ask for everything.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// `--namespace`, globs.
    pub namespaces: &'a [String],
    /// `--pod`, globs.
    pub pods: &'a [String],
    /// `--container`, globs.
    pub containers: &'a [String],
    /// `--stream`: `stdout` or `stderr`.
    pub stream: Option<&'a str>,
    /// `--level`: this one and worse.
    pub level: Option<&'a str>,
    /// `--grep`: a regular expression over the whole event.
    pub grep: Option<&'a str>,
    /// `--since`, read by [`when::parse`](super::when::parse): not before this, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// `--until`: before this.
    pub until: Option<i64>,
}

/// What is wrong with an argument.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    /// A glob that is none.
    #[error("--{option} `{text}` is no glob: {source}")]
    Glob {
        /// The option.
        option: &'static str,
        /// What was given.
        text: String,
        /// Why.
        source: globset::Error,
    },
    /// Neither of the two streams.
    #[error("--stream `{0}` is none: give stdout or stderr")]
    Stream(String),
    /// No level.
    #[error("--level `{0}` is none: give trace, debug, info, warn, error or fatal")]
    Level(String),
    /// No regular expression.
    #[error("--grep `{text}`: {reason}")]
    Grep {
        /// What was given.
        text: String,
        /// Why, in one line.
        reason: String,
    },
}

/// Says of each event whether it is shown.
#[derive(Debug)]
pub struct Filter {
    namespaces: Option<GlobSet>,
    pods: Option<GlobSet>,
    containers: Option<GlobSet>,
    stream: Option<Stream>,
    level: Option<Level>,
    grep: Option<Regex>,
    since: Option<i64>,
    until: Option<i64>,
}

impl Filter {
    /// Checks what is asked for.
    pub fn new(wanted: &Wanted<'_>) -> Result<Self, BadFilter> {
        Ok(Self {
            namespaces: globs("namespace", wanted.namespaces)?,
            pods: globs("pod", wanted.pods)?,
            containers: globs("container", wanted.containers)?,
            stream: wanted.stream.map(stream).transpose()?,
            level: wanted.level.map(level).transpose()?,
            grep: wanted.grep.map(grep).transpose()?,
            since: wanted.since,
            until: wanted.until,
        })
    }

    /// What `--grep` looks for, to be marked.
    pub fn marks(&self) -> Option<&Regex> {
        self.grep.as_ref()
    }

    /// Whether anything of this source may be shown: if not, it need not be read. A plain file, which has no names,
    /// is shown unless one is asked for.
    pub fn takes_source(&self, subject: &PrettySubject<'_>) -> bool {
        [
            (&self.namespaces, subject.namespace),
            (&self.pods, subject.pod),
            (&self.containers, subject.container),
        ]
        .iter()
        .all(|(globs, name)| globs.as_ref().is_none_or(|globs| globs.is_match(name)))
    }

    /// Whether an event of a source that is taken is shown. One that names no level counts as information; one
    /// without a readable time is of all times.
    pub fn takes_event(&self, event: &Event<'_>) -> bool {
        self.stream.is_none_or(|stream| stream == event.stream)
            && self.takes_time(event.time)
            && self.level.is_none_or(|least| level::of(event.message).unwrap_or(Level::Info) >= least)
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(event.message))
    }

    fn takes_time(&self, text: &[u8]) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let Some(nanos) = time::nanos(text) else { return true };
        self.since.is_none_or(|since| nanos >= since) && self.until.is_none_or(|until| nanos < until)
    }
}

fn globs(option: &'static str, texts: &[String]) -> Result<Option<GlobSet>, BadFilter> {
    if texts.is_empty() {
        return Ok(None);
    }
    let bad = |text: &str, source| BadFilter::Glob { option, text: text.to_owned(), source };
    let mut builder = GlobSetBuilder::new();
    for text in texts {
        builder.add(GlobBuilder::new(text).build().map_err(|source| bad(text, source))?);
    }
    builder.build().map(Some).map_err(|source| bad(&texts.join(","), source))
}

fn stream(text: &str) -> Result<Stream, BadFilter> {
    match text {
        "stdout" => Ok(Stream::Stdout),
        "stderr" => Ok(Stream::Stderr),
        _ => Err(BadFilter::Stream(text.to_owned())),
    }
}

fn level(text: &str) -> Result<Level, BadFilter> {
    Level::parse(text.as_bytes()).ok_or_else(|| BadFilter::Level(text.to_owned()))
}

fn grep(text: &str) -> Result<Regex, BadFilter> {
    Regex::new(text).map_err(|error| {
        // The last line of regex' message says what is wrong; those before draw where.
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        BadFilter::Grep { text: text.to_owned(), reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{End, Flags, Span};

    fn event<'a>(time: &'a str, stream: Stream, message: &'a str) -> Event<'a> {
        Event {
            time: time.as_bytes(),
            stream,
            message: message.as_bytes(),
            utf8: true,
            flags: Flags::default(),
            span: Span::default(),
            lines: 1,
            bytes: message.len() as u64,
            truncated: 0,
            end: End::Bytes,
            rule: "",
        }
    }

    #[test]
    fn names_are_globs_and_any_of_them_does() {
        let pods = ["cart-*".to_owned(), "api-?".to_owned()];
        let filter = Filter::new(&Wanted { pods: &pods, ..Wanted::default() }).unwrap();
        let takes =
            |pod| filter.takes_source(&PrettySubject { namespace: "shop", pod, ..Default::default() });
        assert_eq!([takes("cart-1"), takes("api-1"), takes("api-12"), takes("")], [true, true, false, false]);
    }

    #[test]
    fn events_by_stream_level_words_and_time() {
        let early = event("2026-11-22T09:00:00Z", Stream::Stdout, "WARN slow\nCaused by: disk");
        let late = event("2026-11-22T09:30:00Z", Stream::Stderr, "no level named");
        let shown = |wanted: Wanted<'_>| {
            let filter = Filter::new(&wanted).unwrap();
            (filter.takes_event(&early), filter.takes_event(&late))
        };
        let noon = time::nanos(b"2026-11-22T09:30:00Z");
        let all = Wanted::default();
        assert_eq!(shown(all.clone()), (true, true));
        assert_eq!(shown(Wanted { stream: Some("stderr"), ..all.clone() }), (false, true));
        assert_eq!(shown(Wanted { level: Some("warn"), ..all.clone() }), (true, false));
        assert_eq!(shown(Wanted { level: Some("info"), ..all.clone() }), (true, true));
        assert_eq!(shown(Wanted { grep: Some("(?s)slow.*disk"), ..all.clone() }), (true, false));
        assert_eq!(shown(Wanted { since: noon, ..all.clone() }), (false, true));
        assert_eq!(shown(Wanted { until: noon, ..all }), (true, false));
    }

    #[test]
    fn a_wrong_argument_is_named_in_one_line() {
        let globs = ["a[".to_owned()];
        for (wanted, expected) in [
            (
                Wanted { stream: Some("out"), ..Wanted::default() },
                "--stream `out` is none: give stdout or stderr",
            ),
            (
                Wanted { level: Some("loud"), ..Wanted::default() },
                "--level `loud` is none: give trace, debug, info, warn, error or fatal",
            ),
            (Wanted { grep: Some("a("), ..Wanted::default() }, "--grep `a(`: unclosed group"),
            (Wanted { pods: &globs, ..Wanted::default() }, "--pod `a[` is no glob: "),
        ] {
            let message = Filter::new(&wanted).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
