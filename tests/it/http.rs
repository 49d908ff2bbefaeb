//! The agent's HTTP, over real sockets: probes, metrics, the status page.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "fixtures of tests, which the lint does not know as such"
)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use skidder::event::{Batch, Item, Settled, SourceId, Verdict};
use skidder::observe::{
    Backlog, Configuration, Exposition, FileState, Health, LastError, Metrics, OutputStatus, Owner, Pages,
    Reading, Server, Status, StatusPage,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::promtool::promtool_on;

/// An agent's HTTP without the agent.
struct Agent {
    address: SocketAddr,
    health: Arc<Health>,
    backlog: Arc<Backlog>,
    status: Arc<Status>,
    _stop: oneshot::Sender<()>,
}

/// What was answered.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Agent {
    async fn start(per_container: bool) -> Self {
        let metrics = Metrics::default();
        let health = Health::new();
        let backlog = Backlog::new(&metrics, per_container);
        let status = Status::new(Arc::clone(&health), Arc::clone(&backlog));
        let exposition = Exposition::new(&metrics, Arc::clone(&backlog));
        let pages = Pages { exposition, health: Arc::clone(&health), status: Arc::clone(&status) };
        let server = Server::bind((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(server.serve(Arc::new(pages), async { drop(stopped.await) }));
        Self { address, health, backlog, status, _stop: stop }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        self.say(&format!("{method} {path} HTTP/1.1\r\nhost: agent\r\nconnection: close\r\n{headers}\r\n"))
            .await
    }

    async fn say(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

fn owner(pod: &str) -> Owner {
    Owner { namespace: "shop".into(), pod: pod.into(), container: "web".into() }
}

#[tokio::test]
async fn probes_say_why() {
    let agent = Agent::start(false).await;
    let output = agent.health.condition("output");
    let ready = agent.get("/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (503, "output: starting\n"));
    output.met();
    assert_eq!(agent.get("/readyz").await.body, "ok\n");
    output.not("elasticsearch cannot be reached: connection refused");
    let ready = agent.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.body.as_str()),
        (503, "output: elasticsearch cannot be reached: connection refused\n")
    );
    assert_eq!(agent.get("/livez").await.status, 200, "an Elasticsearch that is away makes nothing restart");
    let _dead = agent.health.heartbeat("reader", Duration::ZERO);
    let mut live = agent.get("/livez").await;
    while live.status == 200 {
        live = agent.get("/livez").await;
    }
    assert_eq!((live.status, live.body.as_str()), (503, "reader: no sign of life for 0 s\n"));
}

#[tokio::test]
async fn only_what_there_is_and_only_to_be_read() {
    let agent = Agent::start(false).await;
    assert_eq!(agent.get("/nothing").await.status, 404);
    let refused = agent.ask("POST", "/metrics", "content-length: 0\r\n").await;
    assert_eq!(refused.status, 405);
    assert!(refused.head.contains("allow: get, head"), "{}", refused.head);
    let get = agent.get("/readyz?verbose").await;
    let head = agent.ask("HEAD", "/readyz", "").await;
    assert_eq!((get.status, head.status, head.body.as_str()), (200, 200, ""));
    assert!(head.head.contains("content-length: 3"), "{}", head.head);
}

#[tokio::test]
async fn too_large_a_request_is_refused() {
    let agent = Agent::start(false).await;
    let many = "x-filler: 0123456789012345678901234567890123456789\r\n".repeat(90);
    assert_eq!(agent.ask("GET", "/livez", &many[..many.len() / 2]).await.status, 200);
    let large = format!("x-large: {}\r\n", "x".repeat(20_000));
    assert_eq!(agent.ask("GET", "/livez", &large).await.status, 431);
    let path = "x".repeat(20_000);
    assert!(matches!(agent.get(&format!("/{path}")).await.status, 414 | 431));
    assert_eq!(agent.say("nonsense\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn one_connection_serves_many_requests_and_many_connections_one_server() {
    let agent = Agent::start(false).await;
    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(agent.address).await.unwrap());
    }
    assert_eq!(agent.get("/livez").await.status, 200);
    for stream in &mut idle {
        for _ in 0..2 {
            stream.write_all(b"GET /livez HTTP/1.1\r\nhost: agent\r\n\r\n").await.unwrap();
            let mut answer = [0; 15];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK");
            let mut rest = Vec::new();
            while !rest.ends_with(b"ok\n") {
                assert_ne!(stream.read_buf(&mut rest).await.unwrap(), 0);
            }
        }
    }
}

#[tokio::test]
async fn metrics_are_all_there_from_the_start_under_their_names() {
    let agent = Agent::start(false).await;
    let plain = agent.get("/metrics").await;
    assert!(plain.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", plain.head);
    golden("metrics.txt", &settled_text(&plain.body));
    let open = agent.ask("GET", "/metrics", "accept: application/openmetrics-text; version=1.0.0\r\n").await;
    assert!(open.head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"));
    golden("metrics.openmetrics.txt", &settled_text(&open.body));
}

#[tokio::test]
async fn promtool_finds_no_fault_with_the_metrics() {
    let agent = Agent::start(true).await;
    let account = agent.backlog.open(SourceId(1), owner("we\"b\\-1"));
    account.grew(100);
    account.read(60, 2);
    let metrics = agent.get("/metrics").await.body;
    for series in [
        r#"skidder_read_bytes_total{namespace="shop",pod="we\"b\\-1",container="web"} 60"#,
        r#"skidder_read_lines_total{namespace="shop",pod="we\"b\\-1",container="web"} 2"#,
        r#"skidder_lag_bytes{namespace="shop",pod="we\"b\\-1",container="web"} 100"#,
    ] {
        assert!(metrics.lines().any(|line| line == series), "{series} is missing in\n{metrics}");
    }
    assert_eq!(promtool_on(&["check", "metrics"], &metrics), "");
}

#[tokio::test]
async fn lag_and_age_rise_during_an_outage_and_clear_by_themselves() {
    let agent = Agent::start(false).await;
    let account = agent.backlog.open(SourceId(1), owner("web-1"));
    account.grew(500);
    let oldest = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(2);
    let item = Item { start: 0, document: 0, source: SourceId(1), bytes: 500 };
    let oldest = i64::try_from(oldest.as_nanosecond()).ok();
    let batch = Batch { oldest, items: vec![item], ..Batch::default() };
    agent.backlog.left(&batch);
    let metrics = agent.get("/metrics").await.body;
    let value = |metrics: &str, name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert_eq!(value(&metrics, "skidder_lag_bytes "), 500.0);
    assert!((7_200.0..7_300.0).contains(&value(&metrics, "skidder_oldest_unshipped_seconds ")));
    agent.backlog.settled(&Settled { batch, verdicts: vec![Verdict::Shipped] });
    let metrics = agent.get("/metrics").await.body;
    assert_eq!(value(&metrics, "skidder_lag_bytes "), 0.0);
    assert_eq!(value(&metrics, "skidder_oldest_unshipped_seconds "), 0.0);
}

#[tokio::test]
async fn the_status_page_tells_file_by_file() {
    let agent = Agent::start(false).await;
    agent.status.configured(Configuration {
        refused: None,
        hash: "c0ffee".into(),
        values: serde_json::json!({ "output": { "elasticsearch": { "api_key": "***" } } }),
    });
    agent.status.output(OutputStatus {
        name: "https://elasticsearch:9200".into(),
        state: "retrying".into(),
        in_flight: 2,
        last_error: Some(LastError {
            message: "connection refused".into(),
            at: "2026-11-22T10:00:00Z".into(),
            times: 3,
        }),
    });
    for (source, pod, lag) in [(1, "calm", 10), (2, "busy", 9_000)] {
        let account = agent.backlog.open(SourceId(source), owner(pod));
        account.grew(lag);
        account.read(lag, 1);
        account.show(Reading {
            path: format!("/var/log/pods/shop_{pod}_0a1b/web/0.log"),
            state: FileState::Rotated,
            offset: lag,
            size: 2 * lag,
            generations: 3,
        });
    }
    let answer = agent.get("/status").await;
    assert!(answer.head.contains("content-type: application/json"), "{}", answer.head);
    let page: StatusPage = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(page.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(page.configuration.hash, "c0ffee");
    assert_eq!(page.outputs[0].last_error.as_ref().unwrap().message, "connection refused");
    let files: Vec<_> =
        page.files.iter().map(|file| (file.pod.as_str(), file.lag_bytes, file.offset)).collect();
    assert_eq!(files, [("busy", 9_000, 9_000), ("calm", 10, 10)], "the greatest lag first");
    assert_eq!(page.files[0].state, FileState::Rotated);
    assert_eq!(page.bytes.pending, 9_010);

    let html = agent.get("/").await;
    assert!(html.head.contains("content-type: text/html") && html.head.contains("content-security-policy"));
    assert!(html.body.contains("fetch(\"/status\")"));
    assert!(
        !html.body.contains("http://") && !html.body.contains("https://"),
        "nothing comes from elsewhere"
    );
}

#[tokio::test]
async fn a_free_port_is_picked_and_a_taken_one_is_named() {
    let first = Server::bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
    assert_ne!(first.address().port(), 0);
    let error = Server::bind(first.address()).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("listening on http.listen {}: ", first.address())), "{error}");
}

/// Metrics without what differs from run to run, the series of a family in order.
fn settled_text(metrics: &str) -> String {
    let mut lines: Vec<_> = metrics
        .lines()
        .map(|line| match line.split_once(' ') {
            Some((name, _)) if name.starts_with("process_") => format!("{name} …"),
            _ if line.starts_with("skidder_build_info{") => {
                assert!(
                    line.contains(concat!("{version=\"", env!("CARGO_PKG_VERSION"), "\",revision=\"")),
                    "{line}"
                );
                "skidder_build_info{…} 1".to_owned()
            }
            _ => line.to_owned(),
        })
        .collect();
    let family = |line: &str| line.split_once('{').map(|(name, _)| name.to_owned());
    lines.chunk_by_mut(|a, b| family(a).is_some() && family(a) == family(b)).for_each(|series| {
        // Buckets stand in the order of their bounds.
        if !series[0].contains("{le=") {
            series.sort();
        }
    });
    lines.join("\n") + "\n"
}

/// Compares with a file of `tests/golden`; `SKIDDER_BLESS=1` writes it.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("SKIDDER_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; SKIDDER_BLESS=1 takes what was found", path.display());
}
