//! The status page: what `/status` says as JSON and `/` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::backlog::{Account, Accounts, Backlog, Owner};
use super::health::Health;
use super::lock;

/// The version of this build.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit of this build, when whoever built it said so by `SKIDDER_REVISION`.
pub(super) const REVISION: &str = match option_env!("SKIDDER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// All that the page is made of, kept up by those whose state it is.
#[derive(Debug)]
pub struct Status {
    started: Timestamp,
    health: Arc<Health>,
    backlog: Arc<Backlog>,
    configuration: Mutex<Configuration>,
    outputs: Mutex<BTreeMap<String, OutputStatus>>,
}

/// The page at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatusPage {
    /// The agent's version.
    pub version: String,
    /// The commit that it was built from; `unknown` for none told.
    pub revision: String,
    /// When it started, RFC 3339.
    pub started: String,
    /// When the page was made, RFC 3339.
    pub now: String,
    /// Why it is not alive; empty: it is.
    pub not_alive: Vec<String>,
    /// Why it is not ready; empty: it is.
    pub not_ready: Vec<String>,
    /// The configuration in use.
    pub configuration: Configuration,
    /// The sums over all files.
    pub bytes: Accounts,
    /// Age in seconds of the oldest event not yet acknowledged; 0 for none.
    pub oldest_unshipped_seconds: f64,
    /// Per container (or plain file) the file that is being read; those with the greatest lag first.
    pub files: Vec<FileStatus>,
    /// Per output.
    pub outputs: Vec<OutputStatus>,
    /// What pods ask for and do not get: once for each pod and annotation.
    #[serde(default)]
    pub complaints: Vec<Complaint>,
}

/// An annotation whose value is wrong and ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Complaint {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// Which annotation, and what is wrong.
    pub message: String,
}

/// A configuration as it may be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// Of the configuration's content: agents with the same one have the same hash.
    pub hash: String,
    /// All values that are used, secrets masked.
    pub values: serde_json::Value,
    /// What is wrong with the one that was loaded last, which is not used therefore.
    #[serde(default)]
    pub refused: Option<String>,
}

/// What a log file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// The runtime writes to it.
    #[default]
    Active,
    /// It was rotated away.
    Rotated,
    /// It was unlinked and is held open, or kept in the spool.
    Deleted,
}

/// One file that is being read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileStatus {
    /// The pod's namespace; empty for a plain file, as are `pod` and `container`.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The container's name.
    pub container: String,
    /// The file's path.
    pub path: String,
    /// What it is.
    pub state: FileState,
    /// The next byte to read.
    pub offset: u64,
    /// The file's (uncompressed) length.
    pub size: u64,
    /// How many files of the container are still to be read to their end, this one included.
    pub generations: usize,
    /// Bytes of all of them, read or not, not yet acknowledged.
    pub lag_bytes: u64,
    /// Bytes read since the agent started.
    pub read_bytes: u64,
    /// What became of the container's bytes.
    pub bytes: Accounts,
}

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputStatus {
    /// Its name, such as `https://elasticsearch:9200` or `stdout`.
    pub name: String,
    /// What it does, in a word or two: `connecting`, `ok`, `retrying`.
    pub state: String,
    /// Bulk requests under way.
    pub in_flight: usize,
    /// The last thing that went wrong, if it is not over.
    pub last_error: Option<LastError>,
}

/// Something that went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// What, in words.
    pub message: String,
    /// When last, RFC 3339.
    pub at: String,
    /// How often in a row.
    pub times: u64,
}

impl Status {
    /// A page without configuration and outputs yet.
    pub fn new(health: Arc<Health>, backlog: Arc<Backlog>) -> Arc<Self> {
        Arc::new(Self {
            started: Timestamp::now(),
            health,
            backlog,
            configuration: Mutex::default(),
            outputs: Mutex::default(),
        })
    }

    /// A configuration is in use from now on.
    pub fn configured(&self, configuration: Configuration) {
        *lock(&self.configuration) = configuration;
    }

    /// An output's state; replaces what was known of the output of that name.
    pub fn output(&self, output: OutputStatus) {
        lock(&self.outputs).insert(output.name.clone(), output);
    }

    /// An output is used no more (the configuration changed).
    pub fn forget_output(&self, name: &str) {
        lock(&self.outputs).remove(name);
    }

    /// The page as it is now.
    pub fn page(&self) -> StatusPage {
        let now = Timestamp::now();
        let age = self.backlog.oldest().map_or(0.0, |oldest| {
            let nanos = now.as_nanosecond() - i128::from(oldest);
            nanos.max(0) as f64 / 1e9
        });
        let sources = self.backlog.sources();
        let complaints: BTreeSet<_> = sources.iter().flat_map(|account| complaints(account)).collect();
        let mut files: Vec<_> = sources.iter().map(|account| file(account)).collect();
        files.sort_by(|a, b| b.lag_bytes.cmp(&a.lag_bytes).then_with(|| a.path.cmp(&b.path)));
        StatusPage {
            version: VERSION.to_owned(),
            revision: REVISION.to_owned(),
            started: self.started.to_string(),
            now: now.to_string(),
            not_alive: self.health.silent(Instant::now()),
            not_ready: self.health.missing(),
            configuration: lock(&self.configuration).clone(),
            bytes: self.backlog.total(),
            oldest_unshipped_seconds: age,
            files,
            outputs: lock(&self.outputs).values().cloned().collect(),
            complaints: complaints.into_iter().collect(),
        }
    }
}

fn complaints(account: &Account) -> Vec<Complaint> {
    let Owner { namespace, pod, .. } = account.owner();
    let complaint = |message| Complaint { namespace: namespace.clone(), pod: pod.clone(), message };
    account.complaints().into_iter().map(complaint).collect()
}

fn file(account: &Account) -> FileStatus {
    let owner = account.owner().clone();
    let reading = account.reading();
    let bytes = account.accounts();
    FileStatus {
        namespace: owner.namespace,
        pod: owner.pod,
        container: owner.container,
        path: reading.path,
        state: reading.state,
        offset: reading.offset,
        size: reading.size,
        generations: reading.generations,
        lag_bytes: bytes.pending,
        read_bytes: account.read_bytes(),
        bytes,
    }
}
