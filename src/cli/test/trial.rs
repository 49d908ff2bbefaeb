//! One fixture: its lines become documents, as the agent would ship them.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::batch::{self, Layout};
use crate::checkpoint::{Keeper, Saved};
use crate::config::{Config, Fixture, FixturePod};
use crate::discover::{Found, Globs, Scanner};
use crate::enrich::Pods;
use crate::event::{Origin, SourceKey};
use crate::join::RuleBook;
use crate::observe::{Backlog, Metrics};
use crate::pipeline::budget::Budget;
use crate::pipeline::directory::Directory;
use crate::pipeline::filters::Filters;
use crate::pipeline::reader::{Course, Reader, ReaderSettings, TURN_BYTES};
use crate::pipeline::settings;
use crate::pipeline::shipping::{Rendering, Shipping, ShippingSettings, Ways};
use crate::pipeline::wake::Wake;
use crate::ship::elasticsearch::StateHandle;

/// Batches on their way: more than fixtures fill.
const BATCHES: usize = 64;

/// Nothing is sealed because it waited.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// The uid of the fixture's pod.
const UID: &str = "00000000-0000-4000-8000-000000000000";

/// The documents that the agent would ship of a fixture's lines, in the order in which they begin.
///
/// # Errors
/// What is wrong with the configuration, in words.
pub fn run(config: &Config, fixture: &Fixture) -> Result<Vec<Value>, String> {
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let mut config = config.clone();
    let block = config.files.iter().position(|block| {
        block.include.iter().any(|glob| {
            crate::discover::PathGlob::new(glob.as_str()).is_ok_and(|glob| glob.matches(&fixture.path))
        })
    });
    let block = block.unwrap_or_default();
    if let (Some(format), Some(block)) = (fixture.format, config.files.get_mut(block)) {
        block.format = format;
    }
    let (batches, mut shipped) = mpsc::channel(BATCHES);
    let metrics = Arc::new(Metrics::default());
    let ways = Ways {
        batches,
        keeper: Keeper::forgetful(),
        budget: Arc::new(Budget::new(usize::MAX)),
        spare_bodies: std::sync::mpsc::sync_channel(1).1,
        backlog: Backlog::new(&metrics, false),
        remembered: Arc::default(),
        metrics: Arc::clone(&metrics),
    };
    let sealed =
        batch::Settings { max_bytes: 1 << 20, max_wait: NEVER, first_wait: NEVER, layout: Layout::Lines };
    let outlet = ShippingSettings {
        batch: sealed,
        rendering: Rendering::Document,
        documents: settings::documents(&config).map_err(|error| words(&error))?,
        targets: settings::targets(&config),
        filters: Filters::new(&config.events),
        targeted: false,
        held: StateHandle::default(),
    };
    let join = settings::join(&config.multiline, settings::max_line_bytes(&config));
    let reader = ReaderSettings {
        scanner: Scanner::new(vec![Globs::default()], true),
        blocks: settings::blocks(&config).map_err(|error| words(&error))?,
        rules: RuleBook::new(join).map_err(|error| words(&error))?,
        annotations: settings::annotations(&config),
        course: Course::ToEnd,
        turn_bytes: TURN_BYTES,
    };
    let directory = match &fixture.pod {
        Some(pod) => Directory::recorded(pods(pod)?),
        None => Directory::none(),
    };
    let outlet = Shipping::new(outlet, ways);
    let mut reader =
        Reader::new(reader, directory, Saved::default(), outlet, Arc::new(Wake::default()), metrics);
    let input = io::Cursor::new(fixture.input.clone().into_bytes());
    reader.add_stream(found(fixture, block), input).map_err(|error| words(&error))?;
    drop(reader.run());
    let mut documents: Vec<Value> = Vec::new();
    while let Ok(batch) = shipped.try_recv() {
        for index in 0..batch.items.len() {
            documents.push(serde_json::from_slice(batch.document(index)).map_err(|error| words(&error))?);
        }
    }
    // A trace is given out when it is over; in a file, and for who writes a fixture, it stands where it begins.
    documents.sort_by_key(|document| document["log"]["offset"].as_u64());
    Ok(documents)
}

fn found(fixture: &Fixture, block: usize) -> Found {
    let Some(pod) = &fixture.pod else {
        let (path, key) = (fixture.path.clone(), SourceKey("file/fixture".into()));
        return Found { shown: path.clone(), path, origin: Origin::File, key, block };
    };
    let FixturePod { namespace, name, container, .. } = pod;
    let path = match fixture.path.as_os_str().is_empty() {
        true => PathBuf::from(format!("/var/log/pods/{namespace}_{name}_{UID}/{container}/0.log")),
        false => fixture.path.clone(),
    };
    let origin = Origin::Pod {
        namespace: namespace.clone(),
        pod: name.clone(),
        uid: UID.to_owned(),
        container: container.clone(),
        instance: 0,
        container_id: None,
    };
    let key = SourceKey(format!("pod/{UID}/{container}/0").into());
    Found { shown: path.clone(), path, origin, key, block }
}

/// What the kubelet would say of the pod.
fn pods(pod: &FixturePod) -> Result<Pods, String> {
    let list = json!({ "kind": "PodList", "apiVersion": "v1", "items": [{
        "metadata": { "namespace": pod.namespace, "name": pod.name, "uid": UID,
            "labels": pod.labels, "annotations": pod.annotations },
        "spec": { "containers": [{ "name": pod.container }] },
    }] });
    Pods::parse(list.to_string().as_bytes()).map_err(|error| error.to_string())
}
