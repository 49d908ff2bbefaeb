//! All metrics as text, in the two formats that Prometheus asks for.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::backlog::Backlog;
use super::metrics::Metrics;
use super::process::Process;
use super::status::{REVISION, VERSION};

/// The registry of all metrics.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
    backlog: Arc<Backlog>,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    revision: &'static str,
}

impl Exposition {
    /// All metrics of the agent.
    pub fn new(metrics: &Metrics, backlog: Arc<Backlog>) -> Self {
        let mut registry = Registry::default();
        backlog.register(&mut registry);
        metrics.register(&mut registry);
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: VERSION, revision: REVISION }).set(1);
        registry.register("skidder_build_info", "Which build this is; always 1", build);
        registry.register_collector(Box::new(Process::new()));
        Self { registry, backlog }
    }

    /// The metrics as they are at `now`.
    pub fn scrape(&self, format: Format, now: Timestamp) -> String {
        self.backlog.measure(i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX));
        let mut open = String::with_capacity(16 * 1024);
        // Writing to a string cannot fail.
        let _ = text::encode(&mut open, &self.registry);
        match format {
            Format::OpenMetrics => open,
            Format::Text => plain(&open),
        }
    }
}

impl Format {
    /// What an `Accept` header asks for; [`Format::Text`] unless it wants OpenMetrics at least as much.
    pub fn accepted(accept: &str) -> Self {
        let best = |wanted| accept.split(',').filter_map(|range| weight(range, wanted)).fold(0.0, f64::max);
        let open = best("application/openmetrics-text");
        if open > 0.0 && open >= best("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The weight of one media range of an `Accept` header; `None` when it is not for `wanted`.
fn weight(range: &str, wanted: &str) -> Option<f64> {
    let mut parts = range.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(wanted) {
        return None;
    }
    parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse().ok())
}

/// OpenMetrics as Prometheus text 0.0.4: there a counter's `HELP` and `TYPE` bear the name with `_total`, the type
/// `unknown` is `untyped`, and there is no `UNIT` and no `EOF`.
fn plain(open: &str) -> String {
    let mut out = String::with_capacity(open.len() + 1024);
    let mut help = "";
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Kept until the type is known, which stands in the next line.
            help = rest;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (name, kind) = match kind {
                "counter" => (Cow::Owned(format!("{name}_total")), kind),
                "unknown" => (Cow::Borrowed(name), "untyped"),
                _ => (Cow::Borrowed(name), kind),
            };
            let help = help.split_once(' ').map_or("", |(_, text)| text);
            out.extend(["# HELP ", &name, " ", help, "\n# TYPE ", &name, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            out.extend([line, "\n"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_when_asked_for() {
        for (accept, expected) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("Application/OpenMetrics-Text; q=0.3, text/plain; q=0.5", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=much", Format::Text),
        ] {
            assert_eq!(Format::accepted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn plain_text_names_counters_in_full() {
        let open = "# HELP a_bytes Bytes read.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total{b=\"# c\"} 1\n\
                    # HELP d Some.\n# TYPE d unknown\nd 2\n# EOF\n";
        assert_eq!(
            plain(open),
            "# HELP a_bytes_total Bytes read.\n# TYPE a_bytes_total counter\na_bytes_total{b=\"# c\"} 1\n\
             # HELP d Some.\n# TYPE d untyped\nd 2\n"
        );
    }
}
