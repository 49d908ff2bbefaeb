//! The built binary as an agent: `skidder run` in a process of its own that a story may kill and start again.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use skidder::observe::{Accounts, StatusPage};
use tempfile::TempDir;

use super::{http, wait};

/// An agent with its configuration and its `data_dir`; both outlive its process, and go when this is dropped.
pub struct Agent {
    folder: TempDir,
    variables: Vec<(String, String)>,
    /// A command that runs the agent's own.
    under: Vec<String>,
    process: Option<Child>,
    client: Client,
    /// `127.0.0.1:PORT` of the agent's own HTTP.
    address: String,
}

impl Agent {
    /// An agent that is not started yet. The configuration may name `${DATA}`, which is its folder for `data_dir`, and
    /// what [`Agent::with`] gives; its `http.listen` is set where it has no `http` of its own.
    pub fn new(configuration: &str) -> Self {
        let folder = TempDir::with_prefix("skidder-agent-").expect("folder of the agent");
        let variables = vec![("DATA".to_owned(), folder.path().join("data").display().to_string())];
        let (process, client, address) = (None, http::client(), String::new());
        let new = Self { folder, variables, under: Vec::new(), process, client, address };
        new.configure(configuration);
        new
    }

    /// A variable of the agent's environment, such as `NODE` or `ELASTICSEARCH`.
    pub fn with(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_string_lossy().into_owned()));
        self
    }

    /// Runs under another command, such as `unshare`, that becomes the agent's own at its end.
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The most memory that the process has had resident, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let process = self.process.as_ref().expect("an agent that runs");
        let status =
            fs::read_to_string(format!("/proc/{}/status", process.id())).expect("status of a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
        peak.and_then(|peak| peak.trim().parse::<u64>().ok()).expect("VmHWM") * 1024
    }

    /// Writes another configuration, for the next start or for a running agent to find.
    pub fn configure(&self, configuration: &str) {
        let mut text = configuration.to_owned();
        if !text.lines().any(|line| line.starts_with("http:")) {
            text.push_str("\nhttp: { listen: \"127.0.0.1:0\" }\n");
        }
        // By a rename, so that a running agent never reads half of it.
        let path = self.folder.path().join("skidder.yaml");
        fs::write(path.with_extension("new"), text).expect("configuration");
        fs::rename(path.with_extension("new"), path).expect("configuration");
    }

    /// The configuration as it was written last.
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.folder.path().join("skidder.yaml")).expect("configuration")
    }

    /// The agent's `data_dir`.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// All that the agent said on standard error, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// All that it printed on standard output, over all its starts.
    pub fn printed(&self) -> String {
        fs::read_to_string(self.folder.path().join("stdout")).unwrap_or_default()
    }

    /// What it printed on standard output as documents, all whole lines so far.
    pub fn documents(&self) -> Vec<Value> {
        let printed = self.printed();
        let whole = printed.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    /// Waits until it has printed so many documents, and gives them.
    pub async fn until_documents(&self, count: usize) -> Vec<Value> {
        self.until(&format!("{count} documents"), async || self.documents().len() >= count).await;
        self.documents()
    }

    /// Whether its process holds this file open, by whatever name.
    pub fn holds(&self, path: &std::path::Path) -> bool {
        let process = self.process.as_ref().expect("an agent that runs");
        let open = fs::read_dir(format!("/proc/{}/fd", process.id())).expect("files of the agent");
        open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).any(|open| open == path)
    }

    /// Runs another command, such as `setup`, with the agent's configuration and environment: its exit code, and what
    /// it said.
    pub async fn ask(&self, words: &[&str]) -> (Option<i32>, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_skidder"));
        command.args(words).env("SKIDDER_CONFIG", self.folder.path().join("skidder.yaml"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.stdin(Stdio::null()).output().await.expect("the command runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Starts the process and waits until its HTTP answers. It does not wait for `/readyz`: a second agent on the
    /// same `data_dir` would not get there.
    pub async fn start(&mut self) {
        assert!(self.process.is_none(), "the agent runs already");
        let heard = self.log().len();
        self.process = Some(self.command().spawn().expect("the agent starts"));
        let listening =
            wait::until(async || self.is_over().then_some(None).or_else(|| self.listening(heard).map(Some)));
        match listening.await.flatten() {
            Some(address) => self.address = address,
            None => panic!("the agent does not listen; its log ends in\n{}", wait::tail(&self.log_path())),
        }
    }

    /// Kills it as a crash or the kernel would.
    pub fn kill9(&mut self) {
        let mut process = self.process.take().expect("an agent that runs");
        process.kill().and_then(|()| process.wait()).expect("the agent is ours to kill");
    }

    /// Sends SIGTERM and waits for its end.
    pub async fn term(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("an agent that runs").id()
    }

    /// Sends a signal, such as SIGHUP.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("pid");
        kill_process(pid, signal).expect("the agent is ours to signal");
    }

    /// Runs once to the end of all files, with more arguments and a `data_dir` of its own; gives all that was printed.
    pub async fn run_once(&self, arguments: &[&str]) -> String {
        let mut command = tokio::process::Command::from(self.command());
        command.arg("--once").args(arguments).env("DATA", self.folder.path().join("once"));
        let status = command.status().await.expect("the agent runs");
        assert!(status.success(), "{}", self.log());
        self.printed()
    }

    /// Waits until the process ends.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("an agent that runs");
        match wait::until(async || process.try_wait().expect("a child of ours")).await {
            Some(status) => status,
            None => {
                let _ = process.kill();
                panic!("the agent does not end; its log ends in\n{}", wait::tail(&self.log_path()));
            }
        }
    }

    /// Asks its HTTP for a path: status and text; `None` when there is no answer.
    pub async fn answer(&self, path: &str) -> Option<(u16, String)> {
        let response = self.client.get(format!("http://{}{path}", self.address)).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// Where its HTTP listens, `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks its HTTP for a path; `None` when there is no answer, or one of another status than 200.
    pub async fn get(&self, path: &str) -> Option<String> {
        self.answer(path).await.and_then(|(status, text)| (status == 200).then_some(text))
    }

    /// `/status`.
    pub async fn status(&self) -> Value {
        self.get("/status").await.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// One series of `/metrics`, written as it stands there, such as `skidder_events_total{result="shipped"}`.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let metrics = self.get("/metrics").await?;
        metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until a series has a value.
    pub async fn until_metric(&self, series: &str, value: f64) {
        self.until(&format!("{series} to be {value}"), async || self.metric(series).await == Some(value))
            .await;
    }

    /// The status page.
    pub async fn page(&self) -> Option<StatusPage> {
        serde_json::from_str(&self.get("/status").await?).ok()
    }

    /// Waits until just so many bytes are pending, and checks that all accounts add up: of each log, in sum, and in
    /// the metrics. Gives the sums since its start.
    pub async fn at_rest(&self, pending: u64) -> Accounts {
        let resting = async || self.page().await.is_some_and(|page| page.bytes.pending == pending);
        self.until(&format!("{pending} bytes to be pending"), resting).await;
        let page = self.page().await.expect("/status");
        for file in &page.files {
            assert_adds_up(&file.path, &file.bytes);
        }
        let sums = page.bytes;
        assert_adds_up("in sum", &sums);
        for (result, sum) in [
            ("acknowledged", sums.acknowledged),
            ("dropped", sums.dropped),
            ("dead_letter", sums.dead_letter),
            ("truncated", sums.truncated),
            ("lost", sums.lost),
        ] {
            let series = format!("skidder_bytes_total{{result=\"{result}\"}}");
            assert_eq!(self.metric(&series).await, Some(sum as f64), "{series}");
        }
        assert_eq!(self.metric("skidder_lag_bytes").await, Some(pending as f64));
        sums
    }

    /// The good end of a story: nothing is pending, the accounts add up, and the agent ends well when it is told to.
    pub async fn close(&mut self) -> Accounts {
        let sums = self.at_rest(0).await;
        assert!(self.term().await.success(), "{}", self.log());
        sums
    }

    /// Whether the process has this file open.
    pub fn has_open(&self, path: &Path) -> bool {
        let Some(process) = &self.process else { return false };
        let Ok(wanted) = fs::metadata(path) else { return false };
        let Ok(open) = fs::read_dir(format!("/proc/{}/fd", process.id())) else { return false };
        let same = |meta: fs::Metadata| (meta.dev(), meta.ino()) == (wanted.dev(), wanted.ino());
        open.flatten().any(|entry| fs::metadata(entry.path()).is_ok_and(same))
    }

    /// Whether a process runs.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        self.until("/readyz to be 200", async || self.get("/readyz").await.is_some()).await;
    }

    /// Waits for anything; where it does not come, tells the agent's state and the end of its log.
    pub async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        if wait::until(async || is_so().await.then_some(())).await.is_none() {
            let (status, log) = (self.status().await, wait::tail(&self.log_path()));
            panic!("waited {:?} for {what}; /status is\n{status:#}\nand the log ends in\n{log}", wait::LIMIT);
        }
    }

    fn command(&self) -> Command {
        let append = |name: &str| {
            let file = File::options().create(true).append(true).open(self.folder.path().join(name));
            file.expect("output of the agent")
        };
        // The kernel kills it when the tests are gone, however they end.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).args(&self.under);
        command.args([env!("CARGO_BIN_EXE_skidder"), "run", "--config"]);
        command.arg(self.folder.path().join("skidder.yaml"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(append("stdout")).stderr(append("stderr"));
        command
    }

    /// The address of its HTTP, from the whole line of its log that tells it, after the first `heard` bytes.
    fn listening(&self, heard: usize) -> Option<String> {
        let log = self.log();
        let mut lines = log.get(heard..)?.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let (_, port) = lines.find(|line| line.contains("listening"))?.split_once("127.0.0.1:")?;
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    }

    fn is_over(&mut self) -> bool {
        self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None)))
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("stderr")
    }
}

/// Each byte that was written is in just one account.
fn assert_adds_up(whose: &str, bytes: &Accounts) {
    let ended = bytes.acknowledged + bytes.dropped + bytes.dead_letter + bytes.truncated + bytes.lost;
    assert_eq!(bytes.written, ended + bytes.pending, "{whose}: {bytes:?}");
}

impl Drop for Agent {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill9();
        }
    }
}
