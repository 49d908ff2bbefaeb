//! A folder laid out as a node: what the kubelet, the runtimes and programs of a host leave on its disk.
//!
//! ```text
//! containers/<pod>_<namespace>_<container>-<id>.log   links, as in /var/log/containers
//! pods/<namespace>_<pod>_<uid>/<container>/<n>.log    as in /var/log/pods
//! docker/<id>/<id>-json.log                           as in /var/lib/docker/containers
//! apps/<name>                                         plain files
//! ```

mod container;
mod docker;
mod plain;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use skidder::event::time::rfc3339;
use tempfile::TempDir;

pub use container::Container;
pub use docker::DockerContainer;
pub use plain::PlainFile;

/// 2026-11-22T10:00:00Z, when a node's clock starts.
const START: i64 = 1_795_341_600_000_000_000;
/// Between two readings of the clock; odd, so that the count of digits varies as it does in real logs.
const TICK: i64 = 1_000_357;

/// The clock of the runtime on this node: it moves when it is read or told to, never by itself.
#[derive(Clone)]
pub struct Clock(Arc<AtomicI64>);

impl Clock {
    /// The next instant, in nanoseconds since 1970.
    fn tick(&self) -> i64 {
        self.0.fetch_add(TICK, Ordering::Relaxed)
    }

    /// The next instant as a runtime writes it: RFC 3339, zeros at the end cut.
    fn stamp(&self) -> String {
        let text = String::from_utf8_lossy(&rfc3339(self.tick())).into_owned();
        let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
        format!("{text}Z")
    }

    /// The suffix of a file that is rotated now, such as `20261122-100000`; each is a second later than the last.
    fn suffix(&self) -> String {
        let now = self.0.fetch_add(1_000_000_000, Ordering::Relaxed);
        let text = String::from_utf8_lossy(&rfc3339(now)).into_owned();
        text[..19].replace(['-', ':'], "").replace('T', "-")
    }
}

/// Counts the bytes that all programs of the node have written to their logs.
#[derive(Clone, Default)]
pub struct Written(Arc<AtomicU64>);

impl Written {
    /// Writes to a log.
    fn write(&self, mut log: &File, bytes: &[u8]) {
        log.write_all(bytes).expect("a log");
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }
}

/// The node.
pub struct Node {
    folder: TempDir,
    clock: Clock,
    written: Written,
}

impl Node {
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("skidder-node-").expect("folder of the node");
        for name in ["containers", "pods", "docker", "apps"] {
            fs::create_dir(folder.path().join(name)).expect("folder of the node");
        }
        Self { folder, clock: Clock(Arc::new(AtomicI64::new(START))), written: Written::default() }
    }

    /// A configuration that reads the links to its containers' logs, ends nothing by the clock, asks no kubelet, and
    /// ships to `url`, with these keys of `batch`.
    pub fn configuration(&self, url: &str, batch: &str) -> String {
        format!(
            "data_dir: ${{DATA}}\n\
             files: [{{ include: [\"{}/containers/*.log\"] }}]\n\
             multiline: {{ timeout: 60s }}\n\
             kubernetes: {{ kubelet: {{ enabled: false }} }}\n\
             output: {{ elasticsearch: {{ urls: [\"{url}\"], batch: {{ {batch} }}, setup: false }} }}\n",
            self.path().display()
        )
    }

    /// The node's folder, for a configuration's `files`.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How many bytes were written to all logs.
    pub fn written(&self) -> u64 {
        self.written.0.load(Ordering::Relaxed)
    }

    /// Moves the runtime's clock on.
    pub fn pass(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).expect("less than 292 years");
        self.clock.0.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Sets the runtime's clock back.
    pub fn set_back(&self, time: Duration) {
        let nanos = i64::try_from(time.as_nanos()).expect("less than 292 years");
        self.clock.0.fetch_sub(nanos, Ordering::Relaxed);
    }

    /// Starts a pod of one container; its uid is made up.
    pub fn pod(&self, namespace: &str, pod: &str, container: &str) -> Container {
        self.container(namespace, pod, &uid(), container)
    }

    /// Starts a container of a pod whose uid is known, such as one that a recorded `/pods` names.
    pub fn container(&self, namespace: &str, pod: &str, uid: &str, container: &str) -> Container {
        Container::start(self, [namespace, pod, uid, container])
    }

    /// Starts a container of a Docker host.
    pub fn docker(&self, name: &str) -> DockerContainer {
        DockerContainer::start(self, name)
    }

    /// Starts a program that writes to a file of its own.
    pub fn plain(&self, name: &str) -> PlainFile {
        PlainFile::start(self.path().join("apps").join(name), self.written.clone())
    }
}

/// A file opened as runtimes do: new, for appending, readable by the group.
fn create(path: &Path) -> File {
    let file = OpenOptions::new().append(true).create_new(true).mode(0o640).open(path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compresses `path` to `to` by way of `temporary`, then unlinks it: at each instant its bytes are there.
fn gzip(path: &Path, temporary: &Path, to: &Path) {
    let mut encoder = GzEncoder::new(create(temporary), Compression::fast());
    encoder.write_all(&fs::read(path).expect("rotated file")).expect("gzip");
    encoder.finish().expect("gzip");
    fs::rename(temporary, to).expect("gzip under its own name");
    fs::remove_file(path).expect("rotated file, compressed");
}

/// `path` with something more at its end.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A container's id: 64 hexadecimal digits.
fn container_id() -> String {
    (0..4).map(|_| format!("{:016x}", fastrand::u64(..))).collect()
}

/// A pod's uid.
pub fn uid() -> String {
    let (a, b) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}
