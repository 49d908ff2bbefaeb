//! The kubelet's client against a kubelet that rotates tokens, fails, is slow, and names only its host.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skidder::enrich::kubelet::{ask, channel, run};
use skidder::enrich::{KubeletError, KubeletSettings, Pods};
use skidder::observe::Metrics;
use skidder::observe::metrics::ResultLabel;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::support::kubelet::{Kubelet, Reply, Request};

const HOST: &str = "lab-node";

/// What a real kubelet answered.
fn recorded() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/kubelet/pods.json")).unwrap()
}

fn pods(_: &Request) -> Reply {
    Reply::Text(200, recorded())
}

/// A file of this text in a folder that goes away.
fn file(folder: &TempDir, name: &str, text: &str) -> Option<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    Some(path)
}

#[tokio::test]
async fn a_kubelet_that_names_only_its_host() {
    let kubelet = Kubelet::with_names(&[HOST], pods).await;
    let folder = tempfile::tempdir().unwrap();
    let settings =
        KubeletSettings { ca_file: file(&folder, "ca.crt", &kubelet.authority), ..kubelet.settings() };
    let refused = ask(settings.clone()).await.unwrap_err();
    assert_eq!(refused.result(), "tls");
    let words = refused.to_string();
    assert!(
        words.contains("lab-node") && words.contains("127.0.0.1") && words.contains("server_name"),
        "{words}"
    );
    assert!(kubelet.asked().is_empty());
    let named = KubeletSettings { server_name: HOST.to_owned(), ..settings };
    assert_eq!(ask(named).await.unwrap().len(), 4);
    assert_eq!(kubelet.asked()[0].path, "/pods");
}

#[tokio::test]
async fn whom_to_believe() {
    let kubelet = Kubelet::with_names(&["127.0.0.1"], pods).await;
    let stranger = Kubelet::with_names(&["127.0.0.1"], pods).await;
    let folder = tempfile::tempdir().unwrap();
    let by =
        |name: &str, pem: &str| KubeletSettings { ca_file: file(&folder, name, pem), ..kubelet.settings() };
    assert_eq!(ask(by("authority", &kubelet.authority)).await.unwrap().len(), 4);
    assert_eq!(ask(by("own", &kubelet.certificate)).await.unwrap().len(), 4, "the kubelet's own file");
    let both = format!("{}{}", stranger.authority, kubelet.authority);
    assert_eq!(ask(by("both", &both)).await.unwrap().len(), 4);
    let unknown = ask(by("stranger", &stranger.authority)).await.unwrap_err();
    assert!(unknown.result() == "tls" && unknown.to_string().contains("kubelet.crt"), "{unknown}");
    let insecure = KubeletSettings { insecure_skip_verify: true, ..kubelet.settings() };
    assert_eq!(ask(insecure).await.unwrap().len(), 4);
    for settings in [kubelet.settings(), by("empty", "no certificate")] {
        let error = ask(settings).await.unwrap_err();
        assert!(matches!(error, KubeletError::Ca { .. }) && error.to_string().contains("ca_file"), "{error}");
    }
}

#[tokio::test]
async fn the_read_only_port_and_ipv6() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let kubelet = Kubelet::in_the_clear(listen, pods).await;
        assert_eq!(ask(kubelet.settings()).await.unwrap().len(), 4, "{listen}");
    }
}

#[tokio::test]
async fn a_token_that_is_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let token = file(&folder, "token", "first\n");
    let path = token.clone().unwrap();
    // The kubelet refuses the first token, and while it does so the file changes.
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", move |request| match request.token.as_str() {
        "second" => Reply::Text(200, recorded()),
        _ => {
            fs::write(&path, "second\n").unwrap();
            Reply::Text(401, "Unauthorized".to_owned())
        }
    })
    .await;
    let settings = KubeletSettings { token_file: token, ..kubelet.settings() };
    assert_eq!(ask(settings.clone()).await.unwrap().len(), 4);
    assert_eq!(ask(settings).await.unwrap().len(), 4);
    let tokens: Vec<_> = kubelet.asked().into_iter().map(|request| request.token).collect();
    assert_eq!(tokens, ["first", "second", "second"]);
}

#[tokio::test]
async fn refusals_say_what_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", |request| match request.token.as_str() {
        "rightless" => Reply::Text(
            403,
            "Forbidden (user=system:serviceaccount:logging:nobody, verb=get, resource=nodes, \
             subresource(s)=[pods proxy])\n"
                .to_owned(),
        ),
        "broken" => Reply::Text(500, "x".repeat(5_000)),
        _ => Reply::Text(401, "Unauthorized".to_owned()),
    })
    .await;
    let with = |token: Option<PathBuf>| KubeletSettings { token_file: token, ..kubelet.settings() };
    let cases = [
        (None, "unauthorized", "none is configured"),
        (file(&folder, "bad", "bad"), "unauthorized", "token_file"),
        (file(&folder, "empty", "\n"), "unauthorized", "holds no token"),
        (Some(folder.path().join("missing")), "unauthorized", "missing"),
        (file(&folder, "rightless", "rightless"), "forbidden", "subresource(s)=[pods proxy]"),
        (
            file(&folder, "rightless", "rightless"),
            "forbidden",
            r#"resources: ["nodes/pods"], verbs: ["get"]"#,
        ),
        (file(&folder, "broken", "broken"), "error", "500"),
    ];
    for (token, result, words) in cases {
        let error = ask(with(token)).await.unwrap_err();
        assert_eq!(error.result(), result, "{error}");
        assert!(error.to_string().contains(words) && error.to_string().len() < 800, "{error}");
    }
}

#[tokio::test]
async fn a_kubelet_that_is_slow_away_or_broken() {
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", |request| match request.number {
        0 => Reply::Silence,
        1 => Reply::Cut(recorded()[..500].to_owned()),
        2 => Reply::Text(200, "<html>a proxy</html>".to_owned()),
        3 => Reply::Text(302, String::new()),
        _ => Reply::Text(200, recorded()),
    })
    .await;
    let hasty = KubeletSettings { timeout: Duration::from_millis(100), ..kubelet.settings() };
    assert_eq!(ask(hasty).await.unwrap_err().result(), "timeout");
    assert!(matches!(ask(kubelet.settings()).await.unwrap_err(), KubeletError::Cut { .. }));
    assert!(matches!(ask(kubelet.settings()).await.unwrap_err(), KubeletError::Answer { .. }));
    assert!(matches!(ask(kubelet.settings()).await.unwrap_err(), KubeletError::Status { status: 302, .. }));
    assert!(ask(kubelet.settings()).await.is_ok());
    let nobody = KubeletSettings { url: "http://127.0.0.1:1".to_owned(), ..kubelet.settings() };
    let refused = ask(nobody).await.unwrap_err();
    assert!(
        matches!(refused, KubeletError::Connect { .. }) && refused.to_string().contains("refused"),
        "{refused}"
    );
}

/// A bearer token is for the kubelet alone, wherever an answer may point to.
#[tokio::test]
async fn redirects_are_refused() {
    let other = Kubelet::in_the_clear("127.0.0.1:0", pods).await;
    let elsewhere = format!("http://{}/pods", other.address);
    let kubelet = Kubelet::with_names(&["127.0.0.1"], move |_| Reply::Redirect(elsewhere.clone())).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = file(&folder, "ca.crt", &kubelet.authority);
    let refused = ask(KubeletSettings { ca_file, ..kubelet.settings() }).await.unwrap_err();
    assert!(matches!(refused, KubeletError::Status { status: 302, .. }), "{refused}");
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn tls_and_tokens_over_ipv6() {
    let folder = tempfile::tempdir().unwrap();
    let token = file(&folder, "token", "first");
    let path = token.clone().unwrap();
    let kubelet = Kubelet::listening("[::1]:0", &["::1"], move |request| match request.token.as_str() {
        "second" => Reply::Text(200, recorded()),
        _ => {
            fs::write(&path, "second").unwrap();
            Reply::Text(401, "Unauthorized".to_owned())
        }
    })
    .await;
    let ca_file = file(&folder, "ca.crt", &kubelet.authority);
    let settings = KubeletSettings { ca_file, token_file: token, ..kubelet.settings() };
    assert!(settings.url.starts_with("https://[::1]:"), "{}", settings.url);
    assert_eq!(ask(settings).await.unwrap().len(), 4);
    let tokens: Vec<_> = kubelet.asked().into_iter().map(|request| request.token).collect();
    assert_eq!(tokens, ["first", "second"]);
}

#[tokio::test]
async fn it_is_asked_until_it_answers_and_counted() {
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", |request| match request.number {
        0 => Reply::Text(401, String::new()),
        _ => Reply::Text(200, recorded()),
    })
    .await;
    let (wanted, receiver) = channel();
    let (sender, mut published) = watch::channel(Arc::new(Pods::default()));
    let metrics = Arc::new(Metrics::default());
    let publish = move |pods| {
        sender.send_replace(pods);
    };
    let running = tokio::spawn(run(kubelet.settings(), receiver, publish, Arc::clone(&metrics)));
    wanted.want("827ea626-4087-4bd8-83dd-94f45392d429");
    let known = published.wait_for(|pods| pods.get("827ea626-4087-4bd8-83dd-94f45392d429").is_some()).await;
    assert_eq!(known.unwrap().len(), 4);
    let count = |result| metrics.kubelet_requests.get_or_create(&ResultLabel { result }).get();
    assert_eq!((count("unauthorized"), count("ok")), (1, 1));
    running.abort();
}

/// A pod of a megabyte: a manifest in an annotation, a variable, and a status of which nothing is needed.
fn huge(index: usize) -> Vec<u8> {
    let comma = if index > 0 { "," } else { "" };
    format!(
        r#"{comma}{{"metadata":{{"name":"p{index}","namespace":"n","uid":"u{index}","labels":{{"app":"a"}},
            "annotations":{{"kubectl.kubernetes.io/last-applied-configuration":"{}"}}}},
            "spec":{{"containers":[{{"name":"c","image":"i","env":[{{"name":"E","value":"{}"}}]}}]}},
            "status":{{"conditions":[{{"message":"{}"}}],"containerStatuses":[{{"name":"c"}}]}}}}"#,
        "m".repeat(250_000),
        "e".repeat(600_000),
        "s".repeat(150_000),
    )
    .into_bytes()
}

/// The most memory that this process ever held, in bytes.
#[cfg(target_os = "linux")]
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// Set in a process that runs one test alone, so that no other test's memory is measured.
#[cfg(target_os = "linux")]
const ALONE: &str = "SKIDDER_ALONE";

#[cfg(target_os = "linux")]
#[tokio::test]
async fn objects_of_a_megabyte_cost_little_memory() {
    const PODS: usize = 250;
    if std::env::var_os(ALONE).is_none() {
        let name = "kubelet::objects_of_a_megabyte_cost_little_memory";
        let mut alone = tokio::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", |_| {
        let begin = std::iter::once(br#"{"kind":"PodList","items":["#.to_vec());
        Reply::Pieces(Box::new(begin.chain((0..PODS).map(huge)).chain([b"]}".to_vec()])))
    })
    .await;
    let before = peak();
    let pods = ask(kubelet.settings()).await.unwrap();
    assert_eq!(pods.len(), PODS);
    assert!(pods.iter().all(|pod| pod.annotations.is_empty() && pod.containers["c"].image == "i"));
    // A piece in the making, one in the socket, some in the channel, one string in the parser: by far not 250.
    let grown = peak() - before;
    assert!(grown < 16 << 20, "{grown} bytes for {PODS} pods of a megabyte");
}
