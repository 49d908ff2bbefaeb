//! The agent's metrics, by the names that dashboards rely on.
//!
//! Every series of known labels is there from the start, at 0.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

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
    /// `skidder_events_total{result}`: shipped, duplicate, dropped, rate_limited, dead_letter
    pub events: Family<ResultLabel, Counter>,
    /// `skidder_bytes_total{result}`: acknowledged, dropped, dead_letter, truncated, lost
    pub bytes: Family<ResultLabel, Counter>,
    /// `skidder_files{state}`: active, rotated, deleted
    pub files: Family<StateLabel, Gauge>,
    /// `skidder_lag_bytes`
    pub lag_bytes: Gauge,
    /// `skidder_oldest_unshipped_seconds`
    pub oldest_unshipped_seconds: Gauge<f64, AtomicU64>,
    /// `skidder_lost_bytes_total{reason}`
    pub lost_bytes: Family<ReasonLabel, Counter>,
    /// `skidder_failure_store_total`: documents that Elasticsearch accepted and set aside in its failure store
    pub failure_store: Counter,
    /// `skidder_bulk_requests_total{status}`: 2xx, 4xx, 429, 5xx, error
    pub bulk_requests: Family<StatusLabel, Counter>,
    /// `skidder_bulk_bytes_total{encoding}`: plain, wire
    pub bulk_bytes: Family<EncodingLabel, Counter>,
    /// `skidder_bulk_duration_seconds`
    pub bulk_duration: Histogram,
    /// `skidder_kubelet_requests_total{result}`: ok, unauthorized, forbidden, tls, timeout, error
    pub kubelet_requests: Family<ResultLabel, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            read_bytes: Counter::default(),
            read_lines: Counter::default(),
            malformed_lines: Counter::default(),
            events: Family::default(),
            bytes: Family::default(),
            files: Family::default(),
            lag_bytes: Gauge::default(),
            oldest_unshipped_seconds: Gauge::default(),
            lost_bytes: Family::default(),
            failure_store: Counter::default(),
            bulk_requests: Family::default(),
            bulk_bytes: Family::default(),
            bulk_duration: Histogram::new([
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
            ]),
            kubelet_requests: Family::default(),
        }
    }
}
