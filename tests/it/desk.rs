//! `skidder logs` as it is called: the built binary over the sample node, standard input, files that rotate.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::logs::{data, expected, golden};
use crate::support::kubelet::{Kubelet, Reply};
use crate::support::wait;

mod running;

/// `skidder logs …` on a node called `node-1`, where it is UTC.
fn skidder(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skidder"));
    command.arg("logs").args(arguments).env("NODE_NAME", "node-1").env("TZ", "UTC");
    for variable in ["NODE_IP", "NO_COLOR", "SKIDDER_LOG"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    skidder(arguments).output().unwrap()
}

/// What it prints, when it ends well and has nothing to complain of.
fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{arguments:?}: {}: {complaints}",
        output.status
    );
    // Bytes that are no UTF-8 are the sample's own.
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn node(path: &str) -> String {
    data("node").join(path).display().to_string()
}

fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Without the place where this project lies.
fn anywhere(text: &str) -> String {
    text.replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "")
}

#[test]
fn the_sample_node_in_all_formats() {
    let (pods, all) = (node("pods.json"), node(""));
    let traces = "--grep=Exception|Traceback|goroutine";
    for (name, arguments) in [
        ("pretty.txt", &["--kubelet", &pods][..]),
        ("colour.txt", &["--kubelet", &pods, "--color=always", traces]),
        ("explained.txt", &["--kubelet", &pods, "--explain", traces]),
        ("raw.txt", &["-o=raw"]),
        ("documents.ndjson", &["--kubelet", &pods, "-o=json", "--tail=8"]),
        ("bulk.ndjson", &["--kubelet", &pods, "-o=bulk", "--tail=2"]),
        ("without-kubelet.ndjson", &["-o=json", "--tail=1"]),
    ] {
        let mut whole = vec![all.as_str()];
        whole.extend(arguments);
        golden(&format!("logs/{name}"), anywhere(&printed(&whole)).as_bytes());
    }
}

#[test]
fn every_event_of_the_sample_node_is_there_once() {
    let text = printed(&[&node(""), "-o=json"]);
    let mut counts: HashMap<String, [u64; 4]> = HashMap::new();
    for document in documents(&text) {
        let flags = document["log"]["flags"].to_string();
        let path = anywhere(document["log"]["file"]["path"].as_str().unwrap());
        let [events, stderr, joined, unfinished] = counts.entry(path).or_default();
        *events += 1;
        *stderr += u64::from(document["stream"] == "stderr");
        *joined += u64::from(flags.contains("multiline"));
        *unfinished += u64::from(flags.contains("partial"));
    }
    for instance in expected()["instances"].as_array().unwrap() {
        let live = instance["files"].as_array().unwrap().last().unwrap()["path"].as_str().unwrap();
        let wanted =
            ["events", "stderr_events", "joined", "unfinished"].map(|key| instance[key].as_u64().unwrap());
        assert_eq!(counts.remove(&format!("tests/data/node/{live}")), Some(wanted), "{live}");
    }
    assert!(counts.is_empty(), "{counts:?}");
}

#[test]
fn each_file_alone_is_all_that_it_holds() {
    for file in
        expected()["instances"].as_array().unwrap().iter().flat_map(|one| one["files"].as_array().unwrap())
    {
        let path = file["path"].as_str().unwrap();
        let is_rotated = !path.ends_with(".log");
        let text = printed(&[&node(path), "-o=json", "--languages=none"]);
        let parts = documents(&text).iter().filter(|document| document["log"]["offset"] == 0).count();
        // One file alone has one beginning, but that of a live one stands behind its rotated ones.
        assert!(if is_rotated { parts == 1 } else { parts >= 1 }, "{path}: {parts}");
    }
}

#[test]
fn a_folder_a_glob_and_links_are_the_same_events() {
    let whole = printed(&[&node(""), "-o=raw"]);
    for argument in ["pods", "containers", "containers/*.log", "pods/*/*/?.log"] {
        let mut lines: Vec<_> = whole.lines().collect();
        let other = printed(&[&node(argument), "-o=raw"]);
        let mut others: Vec<_> = other.lines().collect();
        // Of two at the same nanosecond, that of the log named first comes first.
        lines.sort_unstable();
        others.sort_unstable();
        assert!(lines == others, "{argument}");
    }
}

#[test]
fn several_logs_are_merged_by_time() {
    let mut reached: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for document in documents(&printed(&[&node("pods"), "-o=json"])) {
        let key = document["log"]["file"]["path"].as_str().unwrap().to_owned();
        // Times of the sample have trailing zeros cut; nine digits sort as text.
        let time = document["@timestamp"].as_str().unwrap().trim_end_matches('Z');
        let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
        let time = format!("{seconds}.{fraction:0<9}");
        let reach = reached.entry(key).or_default();
        if *reach < time {
            reach.clone_from(&time);
        }
        assert!(*reach >= last, "{reach} after {last}");
        last.clone_from(reach);
    }
    assert_eq!(reached.len(), 11);
}

#[test]
fn bulk_has_the_bodies_that_run_would_send() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("skidder.yaml");
    let text = format!(
        "node_name: node-1\ndata_dir: {data}\nfiles: [{{ include: ['{node}/containers/*.log'] }}]\n\
         kubernetes: {{ kubelet: {{ url: '{node}/pods.json' }} }}\nhttp: {{ listen: '127.0.0.1:0' }}\n\
         log: {{ level: warn }}\noutput: {{ stdout: {{ format: bulk }} }}\n",
        data = folder.path().join("data").display(),
        node = data("node").display(),
    );
    fs::write(&config, text).unwrap();
    let mut agent = Command::new(env!("CARGO_BIN_EXE_skidder"));
    let output = agent.args(["run", "--once", "--config"]).arg(config).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let sent = String::from_utf8(output.stdout).unwrap();
    let shown = printed(&[&node("containers"), "-o=bulk", "--kubelet", &node("pods.json")]);
    let pairs = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        let mut pairs: Vec<_> = lines.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        pairs.sort_unstable();
        pairs
    };
    let (sent, shown) = (pairs(&sent), pairs(&shown));
    assert_eq!(sent.len(), 1172);
    for (sent, shown) in sent.iter().zip(&shown) {
        assert_eq!(sent, shown);
    }
    assert_eq!(sent.len(), shown.len());
}

#[test]
fn filters() {
    let all = node("");
    let count = |arguments: &[&str]| {
        let mut whole = vec![all.as_str(), "-o=json"];
        whole.extend(arguments);
        printed(&whole).lines().count()
    };
    let total = expected()["total"]["events"].as_u64().unwrap() as usize;
    assert_eq!(count(&[]), total);
    assert_eq!(count(&["--stream=stderr"]) + count(&["--stream=stdout"]), total);
    assert_eq!(count(&["--stream=stderr"]), 233);
    assert_eq!(count(&["-n=shop"]) + count(&["-n=billing", "-n=kube-*", "-n=monitoring"]), total);
    assert_eq!(count(&["--pod=mailer-*"]), count(&["--container=mailer"]));
    assert_eq!(count(&["--pod=nobody"]), 0);
    assert_eq!(count(&["--since=2026-11-22T09:30:00Z"]) + count(&["--until=2026-11-22T09:30:00Z"]), total);
    assert_eq!(count(&["--tail=2"]), 22);
    assert_eq!(count(&["--tail=0"]), 0);
    assert_eq!(count(&["--grep=(?s)IllegalStateException.*Caused by: .*ConnectException", "--tail=1"]), 1);
    let (warnings, errors) = (count(&["--level=warn"]), count(&["--level=error"]));
    assert!(0 < errors && errors < warnings && warnings < total, "{errors} {warnings}");
}

#[test]
fn languages_and_a_pattern_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.log");
    fs::write(&path, "[BEGIN a\n1\n2\n[BEGIN b\n3\njava.lang.Error: x\n\tat a.B.c(D.java:1)\n").unwrap();
    let path = path.to_str().unwrap();
    let events = |arguments: &[&str]| {
        let mut whole = vec![path, "-o=json"];
        whole.extend(arguments);
        let text = printed(&whole);
        documents(&text).iter().map(|one| one["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(events(&[]).len(), 6);
    assert_eq!(events(&["--languages=none"]).len(), 7);
    assert_eq!(events(&["--languages=python,go"]).len(), 7);
    assert_eq!(
        events(&[r"--pattern=^\[BEGIN"]),
        ["[BEGIN a\n1\n2", "[BEGIN b\n3\njava.lang.Error: x\n\tat a.B.c(D.java:1)"]
    );
    let explained = printed(&[path, "--explain", r"--pattern=^\[BEGIN"]);
    assert!(explained.contains("= 3 lines joined by --pattern, bytes 0 to 13 of "), "{explained}");
}

#[test]
fn formats() {
    let folder = tempfile::tempdir().unwrap();
    let cri = "2026-11-22T10:00:00.1Z stdout P a\n2026-11-22T10:00:00.2Z stdout F b\n";
    let docker = "{\"log\":\"ab\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T10:00:00.1Z\"}\n";
    for (content, format, expected) in [
        (cri, "auto", "ab\n"),
        (cri, "cri", "ab\n"),
        (cri, "plain", cri),
        (docker, "auto", "ab\n"),
        (docker, "docker", "ab\n"),
        (docker, "plain", docker),
    ] {
        let path = folder.path().join("app.log");
        fs::write(&path, content).unwrap();
        assert_eq!(printed(&[path.to_str().unwrap(), "-o=raw", "--format", format]), expected, "{format}");
    }
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let path = node("containers");
    let first = |arguments: &[&str], no_color: bool| {
        let mut command = skidder(&[&path, "--tail=1"]);
        command.args(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let output = command.output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!first(&[], false));
    assert!(first(&["--color=always"], false) && first(&["--color=always"], true));
    assert!(!first(&["--color=never"], false));
}

#[test]
fn what_is_missing_is_named_and_the_rest_is_shown() {
    let rest = printed(&[&node("containers"), "-o=raw"]);
    let output = run(&["/nowhere/a.log", &node("containers"), "/nowhere/*.log", "-o=raw"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), rest);
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "skidder: cannot read /nowhere/a.log: No such file or directory (os error 2)\n\
         skidder: no file matches /nowhere/*.log\n"
    );
    for arguments in [&["--kubelet=/nowhere/pods.json"][..], &["--grep=("], &["--since=noon"]] {
        let output = run(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{arguments:?}");
    }
}

/// A folder with the log of one pod's container in it.
struct Pod {
    _root: tempfile::TempDir,
    root: PathBuf,
}

impl Pod {
    fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("shop_web-1_6d0f1c22-9a1b-4c5d-8e7f-001122334455/web")).unwrap();
        Self { _root: temporary, root }
    }

    fn root(&self) -> &str {
        self.root.to_str().unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.join("shop_web-1_6d0f1c22-9a1b-4c5d-8e7f-001122334455/web").join(name)
    }
}

/// A line of a container, `second` seconds after ten.
fn line(second: u32, message: &str) -> String {
    format!("2026-11-22T10:{:02}:{:02}.000000001Z stdout F {message}\n", second / 60, second % 60)
}

fn append(path: &Path, text: &str) {
    File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_gzipped_file_that_was_cut_is_shown_to_there_and_the_next_one_whole() {
    let pod = Pod::new();
    let text: String = (0..40_000)
        .map(|n| line(n / 100, &format!("{:x}", fastrand::Rng::with_seed(n.into()).u64(..))))
        .collect();
    let packed = gzip(&text);
    fs::write(pod.file("0.log.20261122-100000.gz"), &packed[..packed.len() / 2]).unwrap();
    fs::write(pod.file("0.log"), line(3000, "live")).unwrap();
    let output = run(&[pod.root(), "-o=raw"]);
    let lines: Vec<_> = output.stdout.split(|byte| *byte == b'\n').collect();
    assert_eq!(output.status.code(), Some(1));
    assert!(lines.len() > 10_000, "{} lines", lines.len());
    assert_eq!(lines[lines.len() - 2], b"live");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.starts_with("skidder: cannot read ") && complaint.contains(".gz: "), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[test]
fn a_pod_that_is_excluded_is_not_shown_and_nothing_waits_for_it() {
    let mut pods: Value = serde_json::from_slice(&fs::read(data("node/pods.json")).unwrap()).unwrap();
    for pod in pods["items"].as_array_mut().unwrap() {
        if pod["metadata"]["namespace"] != "billing" {
            pod["metadata"]["annotations"] = serde_json::json!({ "skidder.io/exclude": "true" });
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pods.json");
    fs::write(&path, pods.to_string()).unwrap();
    let shown = printed(&[&node("pods"), "-o=raw", "--kubelet", path.to_str().unwrap()]);
    assert_eq!(shown, printed(&[&node("pods"), "-o=raw", "-n=billing"]));
}

#[tokio::test]
async fn a_kubelet_is_asked_and_not_waited_for_long() {
    let answer = fs::read_to_string(data("node/pods.json")).unwrap();
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", move |_| Reply::Text(200, answer.clone())).await;
    let url = format!("http://{}", kubelet.address);
    let mut command =
        tokio::process::Command::from(skidder(&[&node(""), "-o=json", "--tail=8", "--kubelet", &url]));
    let output = command.output().await.unwrap();
    assert!(output.status.success());
    golden("logs/documents.ndjson", anywhere(&String::from_utf8(output.stdout).unwrap()).as_bytes());

    drop(kubelet);
    let mut command =
        tokio::process::Command::from(skidder(&[&node("pods"), "-o=json", "--tail=1", "--kubelet", &url]));
    let output = command.output().await.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(documents(&text).iter().all(|document| document["skidder"]["metadata"] == "path"), "{text}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("pods are named from their files' paths alone"), "{complaint}");
}
