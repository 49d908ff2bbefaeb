//! A real Elasticsearch: one that all tests share, or one of a story's own that it may kill.
//!
//! The servers are assembled and run by `tests/elasticsearch`. They hang on their standard input: however the
//! tests end, the pipe closes and the server goes, with its data.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::authority::Authority;
use super::{http, wait};

/// The user and password of a server with security.
pub const SUPERUSER: (&str, &str) = ("elastic", "skidder-test");

/// How many hits a server gives at once by default.
const PAGE: usize = 10_000;

/// Which server, and how.
#[derive(Default)]
pub struct Options {
    server: Option<&'static str>,
    settings: Vec<String>,
    tls: bool,
}

impl Options {
    /// A folder of `tests/elasticsearch` with a `pom.xml`: `8` (the default), `8-security`, `9`, `opensearch-2`.
    pub fn server(mut self, name: &'static str) -> Self {
        self.server = Some(name);
        self
    }

    /// One more of the server's own settings, such as `http.max_content_length=100kb`.
    pub fn setting(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    /// Speaks TLS, with a certificate for `localhost` and 127.0.0.1; see [`Elasticsearch::ca`]. For
    /// `8-security` only.
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }
}

/// A server to talk to.
pub struct Elasticsearch {
    url: String,
    client: Client,
    server: Option<Arc<Server>>,
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// `Value::Null` when the body was empty or no JSON.
    pub body: Value,
}

impl Elasticsearch {
    /// The server that the tests of this run share, without security; started when first asked for. With
    /// `SKIDDER_TEST_ELASTICSEARCH` set, the one at that URL (`http://user:password@host:9200`).
    pub async fn shared() -> Self {
        static SHARED: OnceCell<Server> = OnceCell::const_new();
        let url = match std::env::var("SKIDDER_TEST_ELASTICSEARCH") {
            Ok(url) => url.trim_end_matches('/').to_owned(),
            Err(_) => SHARED.get_or_init(|| Server::start(Options::default())).await.url(),
        };
        Self::at(url, None).await
    }

    /// The server with security and TLS that the tests of this run share; started when first asked for.
    pub async fn secured() -> Self {
        static SECURED: OnceCell<Arc<Server>> = OnceCell::const_new();
        let start = async || Arc::new(Server::start(Options::default().server("8-security").tls()).await);
        let server = SECURED.get_or_init(start).await;
        Self::at(server.url(), Some(Arc::clone(server))).await
    }

    /// A server of the story's own, ended when it is dropped.
    pub async fn own(options: Options) -> Self {
        let server = Arc::new(Server::start(options).await);
        Self::at(server.url(), Some(server)).await
    }

    async fn at(url: String, server: Option<Arc<Server>>) -> Self {
        let new = Self { url, client: http::client(), server };
        new.ready().await;
        new
    }

    /// The address without a slash at its end, for a configuration's `urls`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of the authority that signed the server's, PEM; `None` without TLS.
    pub fn ca(&self) -> Option<PathBuf> {
        let server = self.server.as_ref()?;
        server.options.tls.then(|| server.folder.join("config/ca.pem"))
    }

    /// A name for a data stream that no other test and no other run uses.
    pub fn stream(&self, theme: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let run = format!("{}.{:x}", std::process::id(), fastrand::u32(..));
        format!("logs-{theme}-{run}.{}", COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until it can serve what it holds.
    pub async fn ready(&self) {
        let healthy = wait::until(async || {
            let path =
                "/_cluster/health?wait_for_status=yellow&wait_for_no_initializing_shards=true&timeout=10s";
            let answer = self.try_send(Method::GET, path, None).await.ok()?;
            (answer.status == StatusCode::OK).then_some(())
        });
        if healthy.await.is_none() {
            let log = self.server.as_deref().map(Server::log).unwrap_or_default();
            panic!("no healthy Elasticsearch at {} after {:?}\n{log}", self.url, wait::LIMIT);
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(body.to_string())).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// Sends lines of a bulk request to a stream or an index.
    pub async fn bulk(&self, target: &str, lines: &[Value]) -> Answer {
        self.bulk_text(target, lines.iter().map(|line| format!("{line}\n")).collect()).await
    }

    /// The same for lines as they are.
    pub async fn bulk_text(&self, target: &str, body: String) -> Answer {
        self.send(Method::POST, &format!("/{target}/_bulk"), Some(body)).await
    }

    /// Makes what was written visible to searches.
    pub async fn refresh(&self, target: &str) {
        let answer = self.send(Method::POST, &format!("/{target}/_refresh"), None).await;
        assert!(answer.status.is_success(), "refresh of {target}: {answer:?}");
    }

    /// How many documents there are; 0 while there is no such stream.
    pub async fn count(&self, target: &str) -> u64 {
        let _ = self.send(Method::POST, &format!("/{target}/_refresh"), None).await;
        self.get(&format!("/{target}/_count")).await.body["count"].as_u64().unwrap_or(0)
    }

    /// All hits (`_id`, `_index`, `_source`) of a query, ordered by time and offset.
    pub async fn search(&self, target: &str, query: &Value) -> Vec<Value> {
        self.refresh(target).await;
        let body = json!({
            "size": PAGE,
            "query": query,
            "sort": ["@timestamp", { "log.offset": { "unmapped_type": "long" } }],
        });
        let mut all = Vec::new();
        let mut answer = self.post(&format!("/{target}/_search?scroll=1m"), &body).await;
        loop {
            let Value::Array(mut hits) = answer.body["hits"]["hits"].take() else {
                panic!("search in {target}: {answer:?}");
            };
            let is_last = hits.len() < PAGE;
            all.append(&mut hits);
            let scroll = json!({ "scroll_id": answer.body["_scroll_id"] });
            if is_last {
                self.send(Method::DELETE, "/_search/scroll", Some(scroll.to_string())).await;
                return all;
            }
            answer = self.post("/_search/scroll?scroll=1m", &scroll).await;
        }
    }

    /// Takes a data stream away, for the sake of a server that outlives the tests. The assembled one lacks the
    /// route, and its data goes with it.
    pub async fn delete_stream(&self, stream: &str) {
        let _ = self.send(Method::DELETE, &format!("/_data_stream/{stream}"), None).await;
    }

    /// Installs a template that makes `stream` a data stream, with these mappings.
    pub async fn template(&self, stream: &str, mappings: &Value) {
        let body = json!({
            "index_patterns": [stream],
            "data_stream": {},
            "priority": 900,
            "template": { "mappings": mappings, "settings": { "number_of_replicas": 0 } },
        });
        let answer = self.put(&format!("/_index_template/{stream}"), &body).await;
        assert!(answer.status.is_success(), "template for {stream}: {answer:?}");
    }

    /// Kills the story's own server as a power loss would.
    pub fn kill9(&mut self) {
        self.own_server().end();
    }

    /// Starts the story's own server again, at the same address and on the same data.
    pub async fn restart(&mut self) {
        let server = self.own_server();
        server.end();
        server.run().await;
        self.ready().await;
    }

    fn own_server(&mut self) -> &mut Server {
        self.server.as_mut().and_then(Arc::get_mut).expect("only a server of one's own may be killed")
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> Answer {
        let what = format!("{method} {}{path}", self.url);
        self.try_send(method, path, body).await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
    }

    async fn try_send(&self, method: Method, path: &str, body: Option<String>) -> reqwest::Result<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if self.server.as_ref().is_some_and(|server| server.is_secure()) {
            request = request.basic_auth(SUPERUSER.0, Some(SUPERUSER.1));
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await?;
        let status = response.status();
        let body = serde_json::from_slice(&response.bytes().await?).unwrap_or_default();
        Ok(Answer { status, body })
    }
}

/// The process of a server.
struct Server {
    options: Options,
    folder: PathBuf,
    /// `127.0.0.1:PORT`; empty before the first start.
    address: String,
    process: Option<Child>,
}

impl Server {
    async fn start(options: Options) -> Self {
        fetch(options.server.unwrap_or("8")).await;
        let folder = TempDir::with_prefix("skidder-elasticsearch-").expect("folder of the server").keep();
        if options.tls {
            certify(&folder.join("config"));
        }
        let mut new = Self { options, folder, address: String::new(), process: None };
        new.run().await;
        new
    }

    /// Starts the process and waits until it listens.
    async fn run(&mut self) {
        self.process = Some(self.command().spawn().expect("bash starts the server"));
        let ports = self.folder.join("logs/http.ports");
        let listening = wait::until(async || {
            if self.process.as_mut().is_none_or(|process| !matches!(process.try_wait(), Ok(None))) {
                return Some(None);
            }
            let listed = std::fs::read_to_string(&ports).ok()?;
            listed.lines().find(|line| line.starts_with("127.0.0.1:")).map(|line| Some(line.to_owned()))
        });
        match listening.await.flatten() {
            Some(address) => self.address = address,
            None => panic!("the server does not start; its log ends in\n{}", self.log()),
        }
    }

    fn command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.folder.join("server.log"));
        let log = log.expect("log of the server");
        let mut command = Command::new(script("start"));
        command.arg(self.options.server.unwrap_or("8")).arg("--data").arg(&self.folder).arg("--remove");
        if let Some((_, port)) = self.address.split_once(':') {
            command.arg(format!("http.port={port}"));
        }
        if self.options.tls {
            command.arg("xpack.security.http.ssl.enabled=true");
            command.args(["certificate", "key"].map(|part| {
                let path = self.folder.join("config").join(part).with_extension("pem");
                format!("xpack.security.http.ssl.{part}={}", path.display())
            }));
        }
        command.args(&self.options.settings);
        command.stdin(Stdio::piped()).stderr(log.try_clone().expect("log of the server")).stdout(log);
        command
    }

    fn is_secure(&self) -> bool {
        self.options.server.is_some_and(|name| name.ends_with("-security"))
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.options.tls { "https" } else { "http" }, self.address)
    }

    fn log(&self) -> String {
        wait::tail(&self.folder.join("server.log"))
    }

    /// Ends the process at once and waits for it.
    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().and_then(|()| process.wait()).expect("the server is ours to kill");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
        // The server removes it only where it ends by itself, because the tests are gone.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/elasticsearch").join(name)
}

/// Assembles the server if it is not there yet; that may take minutes, so no limit of ours runs meanwhile.
async fn fetch(server: &str) {
    let fetched = tokio::process::Command::new(script("fetch"))
        .arg(server)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .expect("bash runs tests/elasticsearch/fetch");
    assert!(
        fetched.success(),
        "no Elasticsearch for the tests: `tests/elasticsearch/fetch {server}` failed, see its message above; \
         or set SKIDDER_TEST_ELASTICSEARCH to the URL of one of your own"
    );
}

/// Makes an authority and a certificate for the server.
fn certify(folder: &Path) {
    let authority = Authority::new();
    let identity = authority.issue(&["localhost", "127.0.0.1"]);
    std::fs::create_dir_all(folder).expect("folder of certificates");
    let files = [("ca", authority.pem()), ("certificate", identity.certificate), ("key", identity.key)];
    for (name, pem) in files {
        std::fs::write(folder.join(name).with_extension("pem"), pem).expect("certificate");
    }
}
