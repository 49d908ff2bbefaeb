//! The agent's metrics, by the names that dashboards rely on.
//!
//! Every series of known labels is there from the start, at 0.

use std::hash::Hash;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// One label whose values are known beforehand, such as `result="shipped"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ResultLabel {
    /// The value of `result`.
    pub result: &'static str,
}

/// `state="active"` and the like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// The value of `state`.
    pub state: &'static str,
}

/// `status="2xx"` and the like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StatusLabel {
    /// The value of `status`.
    pub status: &'static str,
}

/// `encoding="plain"` or `"wire"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EncodingLabel {
    /// The value of `encoding`.
    pub encoding: &'static str,
}

/// `reason="…"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// The value of `reason`.
    pub reason: &'static str,
}

/// All metrics. Shared by [`std::sync::Arc`]; each counter is an atomic of its own.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// `skidder_read_bytes_total`
    pub read_bytes: Counter,
    /// `skidder_read_lines_total`
    pub read_lines: Counter,
    /// `skidder_malformed_lines_total`: lines that were not of their file's format, kept raw
    pub malformed_lines: Counter,
    /// `skidder_split_events_total`: events that reached `multiline.max_lines` or `max_bytes` and go on in the next
    pub split_events: Counter,
    /// `skidder_events_total{result}`: shipped, duplicate, dropped, rate_limited, dead_letter
    pub events: Family<ResultLabel, Counter>,
    /// `skidder_bytes_total{result}`: acknowledged, dropped, dead_letter, truncated, lost
    pub bytes: Family<ResultLabel, Counter>,
    /// `skidder_files{state}`: active, rotated, deleted
    pub files: Family<StateLabel, Gauge>,
    /// `skidder_unwatched_folders`
    pub unwatched_folders: Gauge,
    /// `skidder_lag_bytes`
    pub lag_bytes: Gauge,
    /// `skidder_oldest_unshipped_seconds`
    pub oldest_unshipped_seconds: Gauge<f64, AtomicU64>,
    /// `skidder_lost_bytes_total{reason}`: see [`LOST_REASONS`]
    pub lost_bytes: Family<ReasonLabel, Counter>,
    /// `skidder_failure_store_total`: documents that Elasticsearch accepted and set aside in its failure store
    pub failure_store: Counter,
    /// `skidder_lookups_total{result}`: found, absent, failed: documents looked up before they were sent again
    pub lookups: Family<ResultLabel, Counter>,
    /// `skidder_bulk_requests_total{status}`: 2xx, 4xx, 429, 5xx, error
    pub bulk_requests: Family<StatusLabel, Counter>,
    /// `skidder_bulk_bytes_total{encoding}`: plain, wire
    pub bulk_bytes: Family<EncodingLabel, Counter>,
    /// `skidder_bulk_duration_seconds`
    pub bulk_duration: Histogram,
    /// `skidder_kubelet_requests_total{result}`: ok, unauthorized, forbidden, tls, timeout, error
    pub kubelet_requests: Family<ResultLabel, Counter>,
    /// `skidder_config_reloads_total{result}`: success, failure
    pub config_reloads: Family<ResultLabel, Counter>,
    /// `skidder_config_last_reload_successful`: 1, or 0
    pub config_last_reload_successful: Gauge,
    /// `skidder_config_last_reload_success_timestamp_seconds`: since 1970
    pub config_last_reload_success_seconds: Gauge<f64, AtomicU64>,
}

/// Why bytes can be known to be gone before they were read.
///
/// `rotated`: the runtime removed a generation while the agent was away. `deleted`: all of a log was removed while the
/// agent was away. `truncated`: a file became shorter than what was read of it, with unread bytes at its end.
/// `held_files`: unlinked files took more than `held_files.max_bytes`. `unreadable`: the disk or the gzip stream is
/// damaged there.
pub const LOST_REASONS: [&str; 5] = ["rotated", "deleted", "truncated", "held_files", "unreadable"];

const EVENT_RESULTS: [&str; 5] = ["shipped", "duplicate", "dropped", "rate_limited", "dead_letter"];
const BYTE_RESULTS: [&str; 5] = ["acknowledged", "dropped", "dead_letter", "truncated", "lost"];
const FILE_STATES: [&str; 3] = ["active", "rotated", "deleted"];
const LOOKUP_RESULTS: [&str; 3] = ["found", "absent", "failed"];
const BULK_STATUSES: [&str; 5] = ["2xx", "4xx", "429", "5xx", "error"];
const ENCODINGS: [&str; 2] = ["plain", "wire"];
const RELOAD_RESULTS: [&str; 2] = ["success", "failure"];
const KUBELET_RESULTS: [&str; 6] = ["ok", "unauthorized", "forbidden", "tls", "timeout", "error"];
/// Seconds; Elasticsearch answers a bulk request within milliseconds, or at last with `output.timeout`.
const BULK_SECONDS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

impl Default for Metrics {
    fn default() -> Self {
        Self {
            read_bytes: Counter::default(),
            read_lines: Counter::default(),
            malformed_lines: Counter::default(),
            split_events: Counter::default(),
            events: all(EVENT_RESULTS.map(|result| ResultLabel { result })),
            bytes: all(BYTE_RESULTS.map(|result| ResultLabel { result })),
            files: all(FILE_STATES.map(|state| StateLabel { state })),
            unwatched_folders: Gauge::default(),
            lag_bytes: Gauge::default(),
            oldest_unshipped_seconds: Gauge::default(),
            lost_bytes: all(LOST_REASONS.map(|reason| ReasonLabel { reason })),
            failure_store: Counter::default(),
            lookups: all(LOOKUP_RESULTS.map(|result| ResultLabel { result })),
            bulk_requests: all(BULK_STATUSES.map(|status| StatusLabel { status })),
            bulk_bytes: all(ENCODINGS.map(|encoding| EncodingLabel { encoding })),
            bulk_duration: Histogram::new(BULK_SECONDS),
            kubelet_requests: all(KUBELET_RESULTS.map(|result| ResultLabel { result })),
            config_reloads: all(RELOAD_RESULTS.map(|result| ResultLabel { result })),
            config_last_reload_successful: Gauge::default(),
            config_last_reload_success_seconds: Gauge::default(),
        }
    }
}

/// A family that has all its series from the start, at 0.
fn all<L, M, const N: usize>(labels: [L; N]) -> Family<L, M>
where
    L: Clone + Eq + Hash,
    M: Default + Clone,
{
    let family = Family::default();
    for label in labels {
        drop(family.get_or_create_owned(&label));
    }
    family
}

impl Metrics {
    /// Gives all metrics to `registry` by their names; counters get `_total` from it. Those of reading and lag are
    /// left to [`super::Backlog`], which may split them by container.
    pub(super) fn register(&self, registry: &mut Registry) {
        let of = self.clone();
        registry.register(
            "skidder_malformed_lines",
            "Lines that were not of their file's format and were kept raw",
            of.malformed_lines,
        );
        registry.register(
            "skidder_split_events",
            "Events that reached multiline.max_lines or multiline.max_bytes and go on in the next",
            of.split_events,
        );
        registry.register("skidder_events", "Events by what became of them", of.events);
        registry.register(
            "skidder_bytes",
            "Bytes of the logs by what became of them; with what is pending they add up to all bytes written",
            of.bytes,
        );
        registry.register("skidder_files", "Log files known, by state", of.files);
        registry.register(
            "skidder_unwatched_folders",
            "Folders of which the system tells no changes; they are looked at several times a second",
            of.unwatched_folders,
        );
        registry.register(
            "skidder_oldest_unshipped_seconds",
            "Age of the oldest event not yet acknowledged",
            of.oldest_unshipped_seconds,
        );
        registry.register(
            "skidder_lost_bytes",
            "Bytes known to be gone before they were read",
            of.lost_bytes,
        );
        registry.register(
            "skidder_failure_store",
            "Documents that Elasticsearch accepted and set aside in its failure store",
            of.failure_store,
        );
        registry.register(
            "skidder_lookups",
            "Documents looked up by id before they were sent again, by result; failed: sent without",
            of.lookups,
        );
        registry.register("skidder_bulk_requests", "Bulk requests by the answer's status", of.bulk_requests);
        registry.register(
            "skidder_bulk_bytes",
            "Bytes of bulk bodies, before (plain) and after (wire) compression",
            of.bulk_bytes,
        );
        registry.register(
            "skidder_bulk_duration_seconds",
            "Time from sending a bulk request to the end of its answer",
            of.bulk_duration,
        );
        registry.register(
            "skidder_kubelet_requests",
            "Requests to the kubelet by result",
            of.kubelet_requests,
        );
        registry.register(
            "skidder_config_reloads",
            "Times that the configuration was loaded again, by result",
            of.config_reloads,
        );
        registry.register(
            "skidder_config_last_reload_successful",
            "Whether the configuration that was loaded last is valid",
            of.config_last_reload_successful,
        );
        registry.register(
            "skidder_config_last_reload_success_timestamp_seconds",
            "When a valid configuration was loaded last, in seconds since 1970",
            of.config_last_reload_success_seconds,
        );
    }
}
