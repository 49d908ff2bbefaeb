//! Which events are shown: by whose they are, when they were, what they say.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::bytes::Regex;

use super::when::{self, NoTime};
use crate::cli::LogsArgs;
use crate::cli::level::{self, Level};
use crate::cli::pretty::PrettySubject;
use crate::event::{Event, Stream, time};

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
    /// Neither a time nor a duration.
    #[error("--{option} {source}")]
    Time {
        /// The option.
        option: &'static str,
        /// What was given.
        source: NoTime,
    },
    /// No regular expression.
    #[error("--grep `{text}` is no regular expression: {reason}")]
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
    /// Checks what is asked for. Times are meant before `now`, or in `zone`.
    pub fn new(args: &LogsArgs, now: Timestamp, zone: &TimeZone) -> Result<Self, BadFilter> {
        let time = |option, text: &Option<String>| {
            let nanos = text.as_deref().map(|text| when::parse(text, now, zone)).transpose();
            nanos.map_err(|source| BadFilter::Time { option, source })
        };
        Ok(Self {
            namespaces: globs("namespace", &args.namespace)?,
            pods: globs("pod", &args.pod)?,
            containers: globs("container", &args.container)?,
            // The arguments let through only what these two can read.
            stream: args.stream.as_deref().and_then(Stream::parse),
            level: args.level.as_deref().and_then(|name| Level::parse(name.as_bytes())),
            grep: args.grep.as_deref().map(grep).transpose()?,
            since: time("since", &args.since)?,
            until: time("until", &args.until)?,
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
    use super::super::samples::{arguments, event};
    use super::*;

    /// The filter of a command line.
    fn filter(words: &[&str]) -> Result<Filter, BadFilter> {
        Filter::new(&arguments(words), "2026-11-22T09:45:00Z".parse().unwrap(), &TimeZone::UTC)
    }

    #[test]
    fn names_are_globs_and_any_of_them_does() {
        let filter = filter(&["--pod", "cart-*", "--pod=api-?", "-n", "shop"]).unwrap();
        let takes =
            |namespace, pod| filter.takes_source(&PrettySubject { namespace, pod, ..Default::default() });
        assert!(takes("shop", "cart-1") && takes("shop", "api-1"));
        assert!(!takes("shop", "api-12") && !takes("bank", "cart-1") && !takes("", ""));
    }

    #[test]
    fn events_by_stream_level_words_and_time() {
        let early = event(b"2026-11-22T09:00:00Z", Stream::Stdout, "WARN slow\nCaused by: disk");
        let late = event(b"2026-11-22T09:30:00Z", Stream::Stderr, "no level named");
        for (words, expected) in [
            (&[][..], (true, true)),
            (&["--stream=stderr"], (false, true)),
            (&["--level=warn"], (true, false)),
            (&["--level=info"], (true, true)),
            (&["--grep=(?s)slow.*disk"], (true, false)),
            (&["--since=09:30"], (false, true)),
            (&["--since=15m"], (false, true)),
            (&["--until=2026-11-22T09:30:00Z"], (true, false)),
            (&["--since=09:00", "--until=09:30", "--level=error"], (false, false)),
        ] {
            let filter = filter(words).unwrap();
            assert_eq!((filter.takes_event(&early), filter.takes_event(&late)), expected, "{words:?}");
        }
    }

    #[test]
    fn a_wrong_argument_is_named_in_one_line() {
        for (argument, expected) in [
            ("--grep=a(", "--grep `a(` is no regular expression: unclosed group"),
            ("--pod=a[", "--pod `a[` is no glob: "),
            ("--since=noon", "--since `noon` is no time: give a duration before now"),
        ] {
            let message = filter(&[argument]).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
    }
}
