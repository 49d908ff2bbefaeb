//! Commands at a terminal: narrow and wide, with colour and without.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::commands::{agent, page};
use crate::logs::{data, golden};
use crate::support::fake::Fake;

/// Runs `skidder WORDS` in a pseudo-terminal of so many columns; gives its exit code and all that it showed.
fn shown(columns: u32, colour: bool, words: &str) -> (Option<i32>, String) {
    at_terminal(columns, colour, &format!("exec {} {words}", env!("CARGO_BIN_EXE_skidder")))
}

fn at_terminal(columns: u32, colour: bool, line: &str) -> (Option<i32>, String) {
    let line = format!("stty cols {columns} rows 50; {line}");
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).stdin(Stdio::null());
    command.env_remove("NODE_IP").env("NODE_NAME", "node-1").env("TZ", "UTC").env("TERM", "xterm");
    command.env("NO_COLOR", if colour { "" } else { "1" });
    let Output { status, stdout, .. } = command.output().expect("script, of util-linux");
    (status.code(), String::from_utf8_lossy(&stdout).replace("\r\n", "\n"))
}

fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect::<String>()
}

fn widest(text: &str) -> usize {
    plain(text).lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

/// Each of the four screens is as agreed.
fn agreed(name: &str, words: &str) {
    let mut all = String::new();
    for (columns, colour) in [(80, true), (80, false), (200, true), (200, false)] {
        let (code, mut text) = shown(columns, colour, words);
        assert_eq!(code, Some(0), "{text}");
        // On a machine that is busy, how far it is stands there for a moment.
        text = text.split("\r\x1b[K").filter(|part| !part.ends_with("logs done")).collect();
        assert_eq!(text.contains('\x1b'), colour, "{text}");
        let colours = if colour { "colours" } else { "no colours" };
        all += &format!("=== {columns} columns, {colours}\n{text}");
    }
    golden(&format!("screens-{name}.txt"), all.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status() {
    let address = agent(serde_json::to_string(&page()).expect("JSON"), "200 OK").await;
    agreed("status", &format!("status --url {address}"));
    let words = format!("status --url {address}");
    assert!(widest(&shown(80, true, &words).1) <= 80);
    let wide = shown(200, true, &words).1;
    assert!(plain(&wide).contains("shop/storefront-with-a-long-name-7b6c5d4f8-m9wtq"), "{wide}");
}

#[test]
fn logs() {
    let node = data("node");
    let pod = node.join("pods/shop_cart-6c8f5d7b9d-x2k4m_7c11c05d-ff7b-4c8f-aa4c-bd787f6c813e");
    let words = format!("logs --kubelet {}/pods.json --tail 6 {}", node.display(), pod.display());
    agreed("logs", &words);
}

#[test]
fn check() {
    let words = format!("check --config {}/config/fixtures/skidder.yaml", env!("CARGO_MANIFEST_DIR"));
    let (code, text) = shown(80, true, &words);
    assert_eq!(code, Some(0), "{text}");
    let all = text.replace(env!("CARGO_MANIFEST_DIR"), "FOLDER");
    golden("screens-check.txt", all.as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_online() {
    let folder = tempfile::tempdir().expect("folder");
    let config = folder.path().join("skidder.yaml");
    let url = Fake::new().serve().await;
    let text = format!(
        "data_dir: {0}/data\nfiles: [{{ include: ['{0}/*.log'] }}]\n\
         output: {{ elasticsearch: {{ urls: ['{url}', 'http://127.0.0.1:1'] }} }}\n",
        folder.path().display()
    );
    fs::write(&config, text).expect("configuration");
    let words = format!("check --online --config {}", config.display());
    for (columns, colour) in [(80, true), (80, false), (200, true), (200, false)] {
        let (code, text) = shown(columns, colour, &words);
        assert_eq!(code, Some(1), "{text}");
        let (_, online) = text.split_once("\n\n").expect("findings after the configuration");
        assert!(widest(online) <= columns as usize, "{online}");
        let (ok, failed) =
            if colour { ("\x1b[32mok    \x1b[0m", "\x1b[1;31mfailed\x1b[0m") } else { ("ok    ", "failed") };
        assert!(online.contains(&format!("# files          {ok}  no file matches yet")), "{online}");
        assert!(
            online.contains(&format!("# elasticsearch  {failed}  could not connect to http://127.0.0.1:1")),
            "{online}"
        );
        assert!(plain(online).contains("→ look at output.elasticsearch.urls"), "{online}");
        assert!(
            online.trim_end().ends_with("skidder: one thing failed; what to do stands beside it"),
            "{online}"
        );
    }
}

/// On a terminal a long read shows how far it is, and leaves nothing behind.
#[test]
fn progress() {
    let skidder = env!("CARGO_BIN_EXE_skidder");
    let line = format!("(echo one; sleep 3; echo two) | {skidder} logs --grep 'no such thing'");
    let (code, text) = at_terminal(80, false, &line);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\r\x1b[K0 MB read, 0 of 1 logs done"), "{text:?}");
    assert!(text.ends_with("\r\x1b[K"), "{text:?}");
}
