//! What becomes of an event before it becomes a document: dropped, redacted, limited.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::outlet::Facts;
use crate::config::{DropRule, Events, Redaction};
use crate::enrich::Excluded;
use crate::event::Event;

/// `events.drop`, `events.redact`, `events.rate_limit`, as they are configured.
#[derive(Clone, Debug, Default)]
pub struct Filters {
    drop: Vec<DropRule>,
    redact: Vec<Redaction>,
    /// Bytes per second and container.
    rate_limit: Option<u64>,
}

/// What of them holds for one source.
#[derive(Clone, Debug, Default)]
pub struct SourceFilters {
    /// What the pod itself does not want shipped.
    excluded: Excluded,
    drop: Drop,
    redact: Vec<Redaction>,
    limit: Option<Bucket>,
}

#[derive(Clone, Debug, Default)]
enum Drop {
    #[default]
    Nothing,
    /// Every event.
    All,
    /// Those with a message that any of these matches.
    Matching(Vec<Regex>),
}

/// Why an event is not shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A rule of `events.drop` matches, or the pod does not want it shipped.
    Dropped,
    /// The container has written more than `events.rate_limit`.
    RateLimited,
}

impl Filters {
    /// As they are configured.
    pub fn new(events: &Events) -> Self {
        Self { drop: events.drop.clone(), redact: events.redact.clone(), rate_limit: events.rate_limit }
    }

    /// What holds for a source.
    pub fn of(&self, facts: &Facts<'_>) -> SourceFilters {
        let [namespace, pod, container] = facts.found.origin.names(facts.pod);
        let none = BTreeMap::new();
        let labels = facts.pod.map_or(&none, |pod| &pod.labels);
        let meant = |rule: &&DropRule| rule.selector.matches(namespace, pod, container, labels);
        let rules: Vec<&DropRule> = self.drop.iter().filter(meant).collect();
        let drop = if rules.iter().any(|rule| rule.message.is_none()) {
            Drop::All
        } else if rules.is_empty() {
            Drop::Nothing
        } else {
            let pattern = |rule: &&DropRule| rule.message.as_ref().map(|pattern| pattern.regex().clone());
            Drop::Matching(rules.iter().filter_map(pattern).collect())
        };
        SourceFilters {
            excluded: facts.settings.excluded,
            drop,
            redact: self.redact.clone(),
            limit: self.rate_limit.map(Bucket::new),
        }
    }
}

impl SourceFilters {
    /// Goes on with the allowance of the source's former filters: what was described anew writes no faster for it.
    pub fn go_on_from(&mut self, former: Self) {
        if self.limit.is_some() && former.limit.is_some() {
            self.limit = former.limit;
        }
    }

    /// Whether the event is shipped.
    ///
    /// # Errors
    /// Why not.
    pub fn pass(&mut self, event: &Event<'_>, now: Instant) -> Result<(), Refused> {
        let excluded = match self.excluded {
            Excluded::Nothing => false,
            Excluded::Stream(stream) => event.stream == stream,
            Excluded::All => true,
        };
        let dropped = match &self.drop {
            Drop::Nothing => false,
            Drop::All => true,
            Drop::Matching(patterns) => patterns.iter().any(|pattern| pattern.is_match(event.message)),
        };
        if excluded || dropped {
            return Err(Refused::Dropped);
        }
        let allowed = self.limit.as_mut().is_none_or(|bucket| bucket.take(event.bytes, now));
        if allowed { Ok(()) } else { Err(Refused::RateLimited) }
    }

    /// The message as it may be shown.
    pub fn redact<'m>(&self, message: &'m [u8]) -> Cow<'m, [u8]> {
        let mut message = Cow::Borrowed(message);
        for redaction in &self.redact {
            let replacement = redaction.replacement.as_bytes();
            if let Cow::Owned(changed) = redaction.pattern.regex().replace_all(&message, replacement) {
                message = Cow::Owned(changed);
            }
        }
        message
    }
}

/// A second's worth of bytes that fills up as time goes by.
#[derive(Clone, Debug)]
struct Bucket {
    per_second: f64,
    left: f64,
    filled: Option<Instant>,
}

impl Bucket {
    fn new(per_second: u64) -> Self {
        Self { per_second: per_second as f64, left: per_second as f64, filled: None }
    }

    /// Takes bytes if there are any left; an event larger than a second's worth passes when the bucket is full.
    fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let passed = self.filled.map_or(Duration::ZERO, |filled| now.saturating_duration_since(filled));
        self.filled = Some(now);
        self.left = (self.left + passed.as_secs_f64() * self.per_second).min(self.per_second);
        let wanted = (bytes as f64).min(self.per_second);
        let enough = self.left >= wanted;
        if enough {
            self.left -= wanted;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stream;

    fn event(message: &'static str) -> Event<'static> {
        Event::line(b"2026-11-22T10:00:00Z", Stream::Stdout, message.as_bytes())
    }

    #[test]
    fn a_message_that_matches_is_dropped() {
        let patterns = vec![Regex::new("GET /healthz").unwrap()];
        let mut filters = SourceFilters { drop: Drop::Matching(patterns), ..SourceFilters::default() };
        let now = Instant::now();
        assert_eq!(filters.pass(&event("GET /healthz 200"), now), Err(Refused::Dropped));
        assert_eq!(filters.pass(&event("GET /cart 200"), now), Ok(()));
    }

    #[test]
    fn a_stream_may_be_left_out() {
        let excluded = Excluded::Stream(Stream::Stdout);
        let mut filters = SourceFilters { excluded, ..SourceFilters::default() };
        let now = Instant::now();
        assert_eq!(filters.pass(&event("out"), now), Err(Refused::Dropped));
        let error = Event { stream: Stream::Stderr, ..event("err") };
        assert_eq!(filters.pass(&error, now), Ok(()));
    }

    #[test]
    fn what_is_redacted_is_gone_wherever_it_stands() {
        let redaction =
            Redaction { pattern: r"token=\w+".parse().unwrap(), replacement: "token=***".to_owned() };
        let filters = SourceFilters { redact: vec![redaction], ..SourceFilters::default() };
        assert_eq!(&*filters.redact(b"a token=abc\n\tat token=def"), b"a token=***\n\tat token=***");
        assert!(matches!(filters.redact(b"nothing"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_second_holds_a_seconds_worth() {
        let mut filters = SourceFilters { limit: Some(Bucket::new(20)), ..SourceFilters::default() };
        let now = Instant::now();
        assert_eq!(filters.pass(&event("0123456789"), now), Ok(()));
        assert_eq!(filters.pass(&event("0123456789"), now), Ok(()));
        assert_eq!(filters.pass(&event("0123456789"), now), Err(Refused::RateLimited));
        assert_eq!(filters.pass(&event("0123456789"), now + Duration::from_millis(500)), Ok(()));
        let long = event("longer than a whole second's worth");
        assert_eq!(filters.pass(&long, now + Duration::from_secs(9)), Ok(()));
    }
}
