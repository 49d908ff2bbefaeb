//! A target's own way: held when this target may not be written to, while others go on.

use std::fmt::Write as _;

use super::answer::{FILTER_PATH, NAMED};
use super::backoff::Gate;
use super::transport::percent_encoded;
use crate::event::{Target, TargetKind};

/// What is known of one target.
#[derive(Debug, Default)]
pub struct Lane {
    /// Shut while the target may not be written to.
    pub gate: Gate,
    /// Batches that wait or are under way.
    pub deliveries: usize,
    /// Requests under way.
    pub sending: usize,
}

impl Lane {
    /// Whether a request may go now: one at a time while it is not known whether the target takes anything.
    pub fn is_free(&self, now: tokio::time::Instant) -> bool {
        self.gate.lets_through(now) && (self.sending == 0 || !self.gate.is_troubled())
    }
}

/// Where bulk requests for `target` go, without the parameters `left_out`, which this cluster does not know;
/// `named`: the answer is to say which index the documents are in.
pub fn bulk_path(target: &Target, left_out: &[String], named: bool) -> String {
    let known = |name: &str| !left_out.iter().any(|other| other == name);
    let named = if named { NAMED } else { "" };
    let mut path = format!("/{}/_bulk?filter_path={FILTER_PATH}{named}", percent_encoded(&target.name));
    if !target.pipeline.is_empty() {
        let _ = write!(path, "&pipeline={}", percent_encoded(&target.pipeline));
    }
    // Else a missing template would make a plain index of that name in silence.
    if target.kind == TargetKind::DataStream && known(REQUIRE_DATA_STREAM) {
        let _ = write!(path, "&{REQUIRE_DATA_STREAM}=true");
    }
    path
}

/// Elasticsearch knows it from 8.13 on, OpenSearch does not.
pub const REQUIRE_DATA_STREAM: &str = "require_data_stream";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let stream = Target { name: "logs-a-b".into(), kind: TargetKind::DataStream, pipeline: "a b".into() };
        let path = bulk_path(&stream, &[], true);
        assert!(path.starts_with("/logs-a-b/_bulk?filter_path=errors,"), "{path}");
        assert!(path.contains(",items.*._index&"), "{path}");
        assert!(path.ends_with("&pipeline=a%20b&require_data_stream=true"), "{path}");
        assert!(!bulk_path(&stream, &[REQUIRE_DATA_STREAM.into()], false).contains("require"));
        let index = Target { name: "<x/y>".into(), kind: TargetKind::Index, pipeline: String::new() };
        assert_eq!(bulk_path(&index, &[], false), format!("/%3Cx%2Fy%3E/_bulk?filter_path={FILTER_PATH}"));
    }
}
