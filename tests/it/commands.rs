//! The commands around the agent, through the built binary: what they say, and how they end.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use skidder::observe::{Accounts, Configuration, FileState, FileStatus, LastError, OutputStatus, StatusPage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::fake::{Behaviour, Fake, item_error};

/// A session at a terminal, in a folder of its own, and all that was said in it.
struct Terminal {
    folder: TempDir,
    /// What differs from run to run, and what stands in its place.
    names: Vec<(String, &'static str)>,
    said: String,
}

impl Terminal {
    /// With this configuration in `skidder.yaml`; its `data_dir` is `data` in the folder.
    fn new(configuration: &str) -> Self {
        let folder = TempDir::with_prefix("skidder-terminal-").expect("folder of a terminal");
        let configuration = format!("data_dir: {}/data\n{configuration}", folder.path().display());
        fs::write(folder.path().join("skidder.yaml"), configuration).expect("configuration");
        let names = vec![(folder.path().display().to_string(), "FOLDER")];
        Self { folder, names, said: String::new() }
    }

    /// Shows `text` under a name of its own.
    fn name(mut self, text: &str, name: &'static str) -> Self {
        self.names.push((text.to_owned(), name));
        self
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command of words without quotes, and takes down what it says; gives its exit code.
    async fn run(&mut self, words: &str) -> i32 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skidder"));
        command.args(words.split(' ')).current_dir(self.path()).stdin(Stdio::null());
        command.env_clear().env("NODE_NAME", "node-1").env("SKIDDER_CONFIG", "skidder.yaml");
        // As in an image without any authority's certificate.
        command.env("SSL_CERT_FILE", "/nonexistent").env("SSL_CERT_DIR", "/nonexistent");
        let output = command.output().await.expect("the command runs");
        let code = output.status.code().expect("an exit code");
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).expect("UTF-8"));
        self.said += &format!("$ skidder {words}\n{}exit {code}\n\n", timeless(&said.concat()));
        code
    }

    /// Compares all that was said with `tests/data/golden/commands/<name>.txt`, or writes it when
    /// `SKIDDER_BLESS=1`.
    fn agreed(mut self, name: &str) {
        for (text, shown) in &self.names {
            self.said = self.said.replace(text, shown);
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/commands");
        let path = folder.join(name).with_extension("txt");
        if std::env::var("SKIDDER_BLESS").is_ok_and(|value| value == "1") {
            fs::write(&path, &self.said).expect("golden file");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let said = self.said;
        assert!(
            said == expected,
            "{name} differs (SKIDDER_BLESS=1 accepts it):\n{said}\n--- expected:\n{expected}"
        );
    }
}

/// Lines of the log without their time.
fn timeless(said: &str) -> String {
    let line = |line: &str| match line.split_once("  WARN ") {
        Some((_, rest)) => format!("TIME  WARN {rest}\n"),
        None => format!("{line}\n"),
    };
    said.lines().map(line).collect()
}

fn shipping_to(url: &str) -> String {
    format!("output: {{ elasticsearch: {{ urls: ['{url}'] }} }}\n")
}

/// Two streams: a file block with a dataset of its own, and one without.
fn two_streams(url: &str) -> String {
    let files =
        "files:\n- { include: [/srv/*.log], dataset: shop }\n- { include: [/var/log/containers/*.log] }\n";
    let output = format!(
        "output: {{ elasticsearch: {{ urls: ['{url}'], retention: 30d, batch: {{ max_wait: 1h }} }} }}\n"
    );
    format!("{files}{output}")
}

#[tokio::test]
async fn each_command_teaches() {
    let mut terminal = Terminal::new("");
    for command in ["setup", "status", "dead-letters"] {
        terminal.run(&format!("{command} --help")).await;
    }
    terminal.agreed("help");
}

#[tokio::test]
async fn templates_are_printed_without_asking_anybody() {
    let mut terminal = Terminal::new(&two_streams("http://192.0.2.1:9200"));
    assert_eq!(terminal.run("setup --print").await, 0);
    terminal.agreed("setup-print");
}

#[tokio::test]
async fn templates_are_installed_once() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let mut terminal = Terminal::new(&two_streams(&url)).name(&url, "URL");
    assert_eq!(terminal.run("setup").await, 0);
    let puts = || fake.model().others.iter().filter(|request| request.starts_with("PUT")).count();
    assert_eq!(puts(), 3);
    assert_eq!(terminal.run("setup").await, 0);
    assert_eq!(puts(), 3, "the second time changes nothing");

    let theirs = json!({ "index_patterns": ["logs-shop-default"], "priority": 900 });
    fake.model().templates.insert("/_index_template/skidder-logs-shop-default".into(), theirs.clone());
    assert_eq!(terminal.run("setup").await, 0);
    assert_eq!(fake.model().templates["/_index_template/skidder-logs-shop-default"], theirs);

    fake.model().templates.clear();
    fake.model().refuse_templates = Some(403);
    assert_eq!(terminal.run("setup").await, 1);
    terminal.agreed("setup");
}

#[tokio::test]
async fn where_there_is_no_data_stream_nothing_is_installed() {
    let index =
        "output: { elasticsearch: { urls: ['http://192.0.2.1:9200'], index: 'logstash-%Y.%m.%d' } }\n";
    let mut terminal = Terminal::new(index);
    fs::write(terminal.path().join("stdout.yaml"), "output: { stdout: {} }\n").expect("configuration");
    fs::write(terminal.path().join("wrong.yaml"), "output: { elasticserch: {} }\n").expect("configuration");
    assert_eq!(terminal.run("setup").await, 0);
    assert_eq!(terminal.run("setup --print --config stdout.yaml").await, 0);
    assert_eq!(terminal.run("setup --config wrong.yaml").await, 2);
    terminal.agreed("setup-nothing");
}

/// A port of this machine where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("a port").to_string()
}

/// Serves one page, as an agent does.
pub async fn agent(body: String, status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("a port").to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.expect("a request");
            assert!(request[..length].starts_with(b"GET /status HTTP/1.1\r\n"));
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.expect("a client");
            stream.write_all(body.as_bytes()).await.expect("a client");
        }
    });
    address
}

fn file(name: [&str; 3], path: &str, state: FileState, lag: u64, read: u64) -> FileStatus {
    let [namespace, pod, container] = name.map(str::to_owned);
    let path = path.to_owned();
    FileStatus {
        namespace,
        pod,
        container,
        path,
        state,
        lag_bytes: lag,
        read_bytes: read,
        ..FileStatus::default()
    }
}

pub fn page() -> StatusPage {
    let why = "elasticsearch takes nothing since 2026-11-22T11:59:01.5Z: could not connect to \
               http://elasticsearch:9200: Connection refused (os error 111)";
    StatusPage {
        version: "0.1.0".into(),
        revision: "abc1234".into(),
        started: "2026-11-22T10:00:00.123456789Z".into(),
        now: "2026-11-22T12:00:00Z".into(),
        not_ready: vec![format!("output: {why}")],
        configuration: Configuration { hash: "3f786850e387550f".into(), values: Value::Null, refused: None },
        bytes: Accounts { acknowledged: 7_340_032, pending: 1_310_841, ..Accounts::default() },
        oldest_unshipped_seconds: 58.5,
        files: vec![
            file(
                ["shop", "storefront-with-a-long-name-7b6c5d4f8-m9wtq", "web-and-assets-server"],
                "/p/0.log",
                FileState::Active,
                1_310_720,
                8_000_000_000,
            ),
            file(["shop", "cart-0", "cart"], "/p/1.log", FileState::Rotated, 121, 4_096),
            file(["", "", ""], "/srv/legacy/application.log", FileState::Deleted, 0, 17),
        ],
        outputs: vec![OutputStatus {
            name: "http://elasticsearch:9200".into(),
            state: why.into(),
            in_flight: 1,
            last_error: Some(LastError {
                message: "could not connect".into(),
                at: "2026-11-22T11:59:59.25Z".into(),
                times: 1,
            }),
        }],
        ..StatusPage::default()
    }
}

#[tokio::test]
async fn status_is_a_table_for_a_terminal() {
    let troubled = agent(serde_json::to_string(&page()).expect("JSON"), "200 OK").await;
    let fresh = StatusPage { not_ready: vec![], files: vec![], outputs: vec![], ..page() };
    let fresh = agent(serde_json::to_string(&fresh).expect("JSON"), "200 OK").await;
    let mut terminal = Terminal::new("").name(&troubled, "node-1:9605").name(&fresh, "node-2:9605");
    assert_eq!(terminal.run(&format!("status --url http://{troubled}")).await, 0);
    assert_eq!(terminal.run(&format!("status --url {fresh}")).await, 0);
    let widest = terminal.said.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(80), "{widest:?} columns:\n{}", terminal.said);
    terminal.agreed("status");
}

#[tokio::test]
async fn status_is_passed_on_for_scripts() {
    let address = agent(serde_json::to_string_pretty(&page()).expect("JSON"), "200 OK").await;
    let mut terminal = Terminal::new("");
    assert_eq!(terminal.run(&format!("status --json --url {address}")).await, 0);
    let said = terminal.said.split_once('\n').and_then(|(_, said)| said.strip_suffix("exit 0\n\n"));
    let passed: StatusPage = serde_json::from_str(said.expect("an answer")).expect("JSON");
    assert_eq!(passed, page());
}

#[tokio::test]
async fn who_is_no_agent_is_told_in_a_line() {
    let (nobody, other) = (nobody().await, agent("<html>".into(), "200 OK").await);
    let lost = agent("not found".into(), "404 Not Found").await;
    let terminal = Terminal::new("").name(&nobody, "node-1:9605").name(&other, "node-2:9605");
    let mut terminal = terminal.name(&lost, "node-3:9605");
    for address in [&nobody, &other, &lost] {
        assert_eq!(terminal.run(&format!("status --url http://{address}")).await, 1);
    }
    assert_eq!(terminal.run("status --url ftp://node-1").await, 2);
    terminal.agreed("status-nobody");
}

/// Three dead letters: of a pod, of a plain file, of the schema `fluentd`; and half a line.
fn letters(folder: &Path) {
    let letter = |number: usize, target: &str, document: Value| {
        json!({
            "time": format!("2026-11-22T10:00:0{number}Z"), "target": target, "data_stream": true, "status": 400,
            "type": "strict_dynamic_mapping_exception", "id": format!("id-{number}"), "document": document,
            "reason": format!("[1:{number}] mapping set to strict, dynamic introduction of [took] is not allowed"),
        })
    };
    let kubernetes =
        json!({ "namespace": "shop", "pod": { "name": "web-1" }, "container": { "name": "web" } });
    let fluentd = json!({ "namespace_name": "shop", "pod_name": "web-2", "container_name": "web" });
    let time = "2026-11-22T10:00:00Z";
    let lines = [
        json!({ "@timestamp": time, "message": "order 42\n\tat Shop.pay", "kubernetes": kubernetes }),
        json!({ "@timestamp": time, "message": "x".repeat(300) }),
        json!({ "@timestamp": time, "log": "order 43", "kubernetes": fluentd }),
    ];
    let mut text = String::new();
    for (number, document) in lines.into_iter().enumerate() {
        text += &format!("{}\n", letter(number, "logs-shop-default", document));
    }
    text += "{\"time\":\"2026";
    let folder = folder.join("data/dead-letters");
    fs::create_dir_all(&folder).expect("folder of dead letters");
    fs::write(folder.join("00000001.ndjson"), text).expect("dead letters");
}

#[tokio::test]
async fn dead_letters_are_shown_sent_again_and_removed() {
    let fake = Fake::new();
    let url = fake.serve().await;
    let mut terminal = Terminal::new(&shipping_to(&url)).name(&url, "URL");
    for command in ["list", "replay", "purge"] {
        assert_eq!(terminal.run(&format!("dead-letters {command}")).await, 0);
    }
    letters(terminal.path());
    assert_eq!(terminal.run("dead-letters list").await, 0);

    // One is refused for good again, the others are stored.
    fake.rule(|_| {
        Behaviour::items(|_, document| {
            let refused = document.to_string().contains("order 42");
            refused.then(|| {
                item_error(400, "strict_dynamic_mapping_exception", "dynamic introduction of [took]")
            })?
        })
    });
    assert_eq!(terminal.run("dead-letters replay").await, 1);
    assert_eq!(fake.documents("logs-shop-default").len(), 2);
    fake.rule(|_| Behaviour::Accept);
    assert_eq!(terminal.run("dead-letters replay").await, 0);
    assert_eq!(fake.documents("logs-shop-default").len(), 3);

    letters(terminal.path());
    assert_eq!(terminal.run("dead-letters purge").await, 0);
    assert_eq!(terminal.run("dead-letters list").await, 0);
    terminal.agreed("dead-letters");
}

#[tokio::test]
async fn dead_letters_stay_where_nobody_takes_them() {
    let nobody = nobody().await;
    let mut terminal = Terminal::new(&shipping_to(&format!("http://{nobody}"))).name(&nobody, "node-1:9200");
    letters(terminal.path());
    assert_eq!(terminal.run("dead-letters replay").await, 1);
    assert!(terminal.path().join("data/dead-letters/00000001.ndjson").exists());
    fs::write(terminal.path().join("stdout.yaml"), "output: { stdout: {} }\n").expect("configuration");
    assert_eq!(terminal.run("dead-letters replay --config stdout.yaml").await, 2);
    assert_eq!(terminal.run("dead-letters").await, 2);
    terminal.agreed("dead-letters-nobody");
}
