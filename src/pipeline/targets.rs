//! Where a source's documents go: a data stream, or an index that the event's time is part of.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::outlet::Facts;
use crate::config::{DataStream, Destination, IndexPart, IndexPattern};
use crate::event::{Target, TargetKind, time};

/// Makes targets, each once.
#[derive(Debug)]
pub struct Targets {
    destination: Destination,
    pipeline: String,
    /// Of each block of the configuration: a dataset of its own.
    datasets: Vec<Option<String>>,
    made: HashMap<Target, Arc<Target>>,
}

/// Where one source's documents go.
#[derive(Clone, Debug)]
pub enum Route {
    /// Always to the same.
    Fixed(Arc<Target>),
    /// To an index that depends on the event's time.
    ByTime(ByTime),
}

/// An index pattern whose other parts are filled in.
#[derive(Clone, Debug)]
pub struct ByTime {
    /// strftime, and what is to be taken as it is.
    parts: Vec<Part>,
    pipeline: String,
    /// The minute of the last event, as its time's text, and the index for it.
    last: Option<(Vec<u8>, Arc<Target>)>,
}

#[derive(Clone, Debug)]
enum Part {
    Time(String),
    Text(String),
}

/// How much of an RFC 3339 time tells the minute: `2026-11-22T17:59`.
const MINUTE: usize = 16;

impl Targets {
    /// Targets as the configuration has them; `datasets` in the order of the file blocks.
    pub fn new(destination: Destination, pipeline: Option<String>, datasets: Vec<Option<String>>) -> Self {
        Self { destination, pipeline: pipeline.unwrap_or_default(), datasets, made: HashMap::new() }
    }

    /// The data streams that are known before any pod is, in the order of the file blocks; none for an index.
    pub fn streams(&self) -> Vec<String> {
        let Destination::DataStream { name, .. } = &self.destination else { return Vec::new() };
        let mut streams = Vec::new();
        for dataset in &self.datasets {
            let stream = stream_name(name, dataset.as_deref());
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
        streams
    }

    /// Where a source's documents go.
    pub fn route(&mut self, facts: &Facts<'_>) -> Route {
        let pipeline = facts.settings.pipeline.clone().unwrap_or_else(|| self.pipeline.clone());
        match &self.destination {
            Destination::DataStream { name, .. } => {
                let of_block = self.datasets.get(facts.found.block).cloned().flatten();
                let dataset = facts.settings.dataset.clone().or(of_block);
                let name = stream_name(name, dataset.as_deref());
                Route::Fixed(self.share(Target { name, kind: TargetKind::DataStream, pipeline }))
            }
            Destination::Index(pattern) => {
                Route::ByTime(ByTime { parts: parts(pattern, facts), pipeline, last: None })
            }
        }
    }

    /// The target of an event.
    pub fn resolve<'r>(&mut self, route: &'r mut Route, event_time: &[u8]) -> &'r Arc<Target> {
        match route {
            Route::Fixed(target) => target,
            Route::ByTime(by_time) => self.resolve_by_time(by_time, event_time),
        }
    }

    fn resolve_by_time<'r>(&mut self, by_time: &'r mut ByTime, event_time: &[u8]) -> &'r Arc<Target> {
        let minute = &event_time[..event_time.len().min(MINUTE)];
        let fresh = match by_time.last.take() {
            Some((known, target)) if known == minute => (known, target),
            _ => {
                let name = by_time.name(event_time);
                let pipeline = by_time.pipeline.clone();
                (minute.to_vec(), self.share(Target { name, kind: TargetKind::Index, pipeline }))
            }
        };
        &by_time.last.insert(fresh).1
    }

    fn share(&mut self, target: Target) -> Arc<Target> {
        if let Some(made) = self.made.get(&target) {
            return Arc::clone(made);
        }
        let made = Arc::new(target.clone());
        self.made.insert(target, Arc::clone(&made));
        made
    }
}

/// `logs-<dataset>-<namespace>`, Elasticsearch's naming scheme for data streams of logs.
pub fn stream_name(name: &DataStream, dataset: Option<&str>) -> String {
    format!("logs-{}-{}", dataset.unwrap_or(name.dataset.as_str()), name.namespace.as_str())
}

fn parts(pattern: &IndexPattern, facts: &Facts<'_>) -> Vec<Part> {
    let [namespace, ..] = facts.found.origin.names(facts.pod);
    let part = |part: &IndexPart| match part {
        IndexPart::Time(pattern) => Part::Time(pattern.clone()),
        IndexPart::Namespace => Part::Text(known(namespace)),
        IndexPart::Label(name) => {
            Part::Text(known(facts.pod.and_then(|pod| pod.labels.get(name)).map_or("", String::as_str)))
        }
    };
    pattern.parts().iter().map(part).collect()
}

/// A part of an index name must not be empty: names would run together.
fn known(text: &str) -> String {
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

impl ByTime {
    fn name(&self, event_time: &[u8]) -> String {
        let nanos = time::nanos(event_time).unwrap_or_default();
        let at = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
        let mut name = String::new();
        for part in &self.parts {
            match part {
                Part::Time(pattern) => name.push_str(&at.strftime(pattern).to_string()),
                Part::Text(text) => name.push_str(text),
            }
        }
        sanitized(&name)
    }
}

/// A name that Elasticsearch allows for an index: no capitals, none of `\/*?"<>|,#:` or space, no leading
/// `-_+.`, at most 255 bytes (the index name rules of its create index API).
fn sanitized(name: &str) -> String {
    let allowed = |c: char| if r#"\/*?"<>| ,#:"#.contains(c) || c.is_control() { '_' } else { c };
    let mut clean: String = name.to_lowercase().chars().map(allowed).collect();
    while clean.starts_with(['-', '_', '+', '.']) {
        clean.remove(0);
    }
    while clean.len() > 255 {
        clean.pop();
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_by_the_minute_of_the_event() {
        let mut targets = Targets::new(
            Destination::DataStream { name: DataStream::default(), retention: None },
            None,
            Vec::new(),
        );
        let parts = vec![Part::Text("Shop".into()), Part::Time("-%Y.%m.%d".into())];
        let mut route = Route::ByTime(ByTime { parts, pipeline: String::new(), last: None });
        let first = Arc::clone(targets.resolve(&mut route, b"2026-11-22T23:59:59.9Z"));
        assert_eq!(first.name, "shop-2026.11.22");
        let same = Arc::clone(targets.resolve(&mut route, b"2026-11-22T23:59:00Z"));
        assert!(Arc::ptr_eq(&first, &same));
        // The date is that of UTC, whatever the offset.
        assert_eq!(targets.resolve(&mut route, b"2026-11-23T00:30:00+01:00").name, "shop-2026.11.22");
        assert_eq!(targets.resolve(&mut route, b"2026-11-23T00:00:00Z").name, "shop-2026.11.23");
    }

    #[test]
    fn each_stream_of_the_blocks_once() {
        let destination = Destination::DataStream { name: DataStream::default(), retention: None };
        let datasets = vec![Some("shop".into()), None, Some("shop".into())];
        let streams = Targets::new(destination, None, datasets).streams();
        assert_eq!(streams, ["logs-shop-default", "logs-kubernetes.container_logs-default"]);
    }

    #[test]
    fn names_are_made_fit() {
        assert_eq!(sanitized("_My App/1"), "my_app_1");
        assert_eq!(sanitized(&"é".repeat(200)).len(), 254);
    }
}
