//! `skidder check --online`: what answers and what does not, and what to do about it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::elasticsearch::{Elasticsearch, SUPERUSER};
use crate::support::fake::Fake;
use crate::support::kubelet::{Kubelet, Reply};
use crate::support::node::Node;

/// Nobody's user and group, where the tests run as root.
const NOBODY: &str = "65534";

/// What was found of a part: whether it is ok, and its words with what to do.
struct Findings(Vec<Value>);

impl Findings {
    fn of(&self, part: &str) -> Vec<(bool, String)> {
        let of_part = self.0.iter().filter(|finding| finding["part"] == part);
        let told = |finding: &Value| {
            let words =
                [&finding["message"], &finding["remedy"]].map(|text| text.as_str().unwrap_or_default());
            (finding["state"] == "ok", words.join(" → "))
        };
        of_part.map(told).collect()
    }

    /// Some finding of the part is so, with all of these words.
    fn has(&self, part: &str, is_ok: bool, words: &[&str]) {
        let found = self.of(part);
        let fits = |(ok, text): &(bool, String)| *ok == is_ok && words.iter().all(|word| text.contains(word));
        assert!(found.iter().any(fits), "{part}: no {words:?} in {found:#?}");
    }
}

struct Desk {
    folder: TempDir,
    node: Node,
    user: Option<&'static str>,
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::with_prefix("skidder-online-").expect("folder");
        Self { folder, node: Node::new(), user: None }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Checks a configuration whose files are the node's; gives the exit code and the findings.
    async fn check(&self, rest: &str) -> (Option<i32>, Findings) {
        let data = self.path().join("data");
        let files = self.node.path().join("containers");
        let text = format!(
            "data_dir: {}\nfiles: [{{ include: ['{}/*.log'] }}]\n{rest}",
            data.display(),
            files.display()
        );
        fs::write(self.path().join("skidder.yaml"), text).expect("configuration");
        let mut command = match self.user {
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
                command.arg(env!("CARGO_BIN_EXE_skidder"));
                command
            }
            None => Command::new(env!("CARGO_BIN_EXE_skidder")),
        };
        command.args(["check", "--online", "--json", "--config"]).arg(self.path().join("skidder.yaml"));
        command.env_remove("NODE_IP").stdin(Stdio::null());
        let output = command.output().await.expect("the command runs");
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let findings = report["online"].as_array().expect("findings").clone();
        let failed = findings.iter().any(|finding| finding["state"] == "failed");
        assert_eq!(output.status.code(), Some(i32::from(failed)), "{report:#}");
        (output.status.code(), Findings(findings))
    }
}

fn shipping_to(url: &str, more: &str) -> String {
    format!("output: {{ elasticsearch: {{ urls: ['{url}'] {more} }} }}\n")
}

#[tokio::test]
async fn all_is_well() {
    let (desk, fake) = (Desk::new(), Fake::new());
    desk.node.pod("shop", "web-1", "web").out("one");
    let (code, found) = desk.check(&shipping_to(&fake.serve().await, "")).await;
    assert_eq!(code, Some(0));
    found.has("files", true, &["1 logs in 1 files"]);
    found.has("inotify", true, &["folders are watched"]);
    found.has("data_dir", true, &["can be written to", "free"]);
    found.has("elasticsearch", true, &["a cluster that does not tell its version"]);
    found.has(
        "elasticsearch",
        true,
        &["template of logs-kubernetes.container_logs-default is not there yet"],
    );
    assert!(!desk.path().join("data").exists(), "looking makes no folder");
    let model = fake.model();
    assert!(model.others.iter().all(|asked| !asked.starts_with("PUT")), "{:?}", model.others);
}

#[tokio::test]
async fn what_this_user_may_not_read_or_write() {
    let mut desk = Desk::new();
    desk.node.pod("shop", "web-1", "web").out("one");
    fs::create_dir(desk.path().join("data")).unwrap();
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(desk.path(), open.clone()).unwrap();
    fs::set_permissions(desk.node.path(), open).unwrap();
    desk.user = Some(NOBODY);
    let (code, found) = desk.check("output: stdout\n").await;
    assert_eq!(code, Some(1));
    found.has(
        "files",
        false,
        &[
            "0.log has mode 0640",
            "user 0, group 0",
            "this is user 65534, groups 65534",
            "run the agent as user 0",
        ],
    );
    found.has("data_dir", false, &["not a folder that user 65534", "mode 0755", "set data_dir"]);

    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(desk.node.path().join("containers"), closed).unwrap();
    let (_, found) = desk.check("output: stdout\n").await;
    found.has("files", false, &["containers has mode 0700"]);
}

#[tokio::test]
async fn an_agent_that_works_there_is_named() {
    let desk = Desk::new();
    fs::create_dir(desk.path().join("data")).unwrap();
    fs::write(desk.path().join("data/lock"), "process 7 on skidder-x2x9k\n").unwrap();
    let lock = File::open(desk.path().join("data/lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let (code, found) = desk.check("output: stdout\n").await;
    assert_eq!(code, Some(0));
    found.has("data_dir", true, &["an agent works here: process 7 on skidder-x2x9k"]);
    found.has("files", true, &["no file matches yet"]);
}

#[tokio::test]
async fn the_kubelets_refusals() {
    let desk = Desk::new();
    let kubelet = Kubelet::in_the_clear("127.0.0.1:0", |request| match request.token.as_str() {
        "rightless" => Reply::Text(403, "Forbidden (verb=get, resource=nodes)\n".to_owned()),
        "good" => Reply::Text(200, r#"{"kind":"PodList","apiVersion":"v1","items":[]}"#.to_owned()),
        _ => Reply::Text(401, "Unauthorized".to_owned()),
    })
    .await;
    let ask = async |token: &str, url: &str, more: &str| {
        fs::write(desk.path().join("token"), token).unwrap();
        let token = desk.path().join("token").display().to_string();
        desk.check(&format!(
            "kubernetes: {{ kubelet: {{ url: '{url}', token_file: '{token}', {more} }} }}\noutput: stdout\n"
        ))
        .await
        .1
    };
    let url = format!("http://{}", kubelet.address);
    ask("rightless", &url, "").await.has(
        "kubelet",
        false,
        &[
            "403",
            "Forbidden",
            "→ allow it in the ClusterRole",
            r#"resources: ["nodes/pods"], verbs: ["get"]"#,
        ],
    );
    ask("old", &url, "").await.has("kubelet", false, &["401", "the token is not accepted"]);
    ask("good", &url, "").await.has("kubelet", true, &["tells of 0 pods"]);
    ask("good", "http://127.0.0.1:1", "").await.has("kubelet", false, &["refused", "the node's address"]);
    desk.node.pod("shop", "web-1", "web").out("one");
    ask("good", &url, "").await.has("kubelet", false, &["knows 0 of the 1", "another node's"]);

    let recorded = desk.path().join("pods.json").display().to_string();
    ask("good", &recorded, "").await.has("kubelet", false, &["pods.json", "answers to /pods"]);
    fs::write(&recorded, r#"{"kind":"PodList","apiVersion":"v1","items":[]}"#).unwrap();
    ask("good", &recorded, "").await.has("kubelet", true, &["pods.json tells of 0 pods"]);

    let tls = Kubelet::with_names(&["node-1"], |_| Reply::Text(500, String::new())).await;
    fs::write(desk.path().join("ca.pem"), &tls.authority).unwrap();
    let ca = format!("ca_file: '{}'", desk.path().join("ca.pem").display());
    let url = format!("https://{}", tls.address);
    ask("good", &url, &ca).await.has("kubelet", false, &["node-1", "127.0.0.1", "server_name"]);
    let other = Kubelet::with_names(&["127.0.0.1"], |_| Reply::Text(500, String::new())).await;
    let url = format!("https://{}", other.address);
    ask("good", &url, &ca).await.has("kubelet", false, &["certificate", "ca_file"]);
}

#[tokio::test]
async fn an_elasticsearch_that_is_away_or_not_believed() {
    let (desk, fake) = (Desk::new(), Fake::new());
    let (_, found) = desk.check(&shipping_to("http://127.0.0.1:1", "")).await;
    found.has(
        "elasticsearch",
        false,
        &["could not connect to http://127.0.0.1:1: Connection refused", "firewalls"],
    );
    let url = fake.serve_tls(&desk.path().join("ca.pem")).await;
    let other = desk.path().join("other.pem");
    Fake::new().serve_tls(&other).await;
    let (_, found) =
        desk.check(&shipping_to(&url, &format!(", tls: {{ ca_file: '{}' }}", other.display()))).await;
    found.has("elasticsearch", false, &["certificate", "tls.ca_file"]);
    let (_, found) = desk
        .check(&shipping_to(
            &url,
            &format!(", setup: false, tls: {{ ca_file: '{}' }}", desk.path().join("ca.pem").display()),
        ))
        .await;
    found.has("elasticsearch", false, &["setup is off", "skidder setup"]);
    let two = format!(
        "output: {{ elasticsearch: {{ urls: ['{}', 'http://127.0.0.1:1'] }} }}\n",
        fake.serve().await
    );
    let (_, found) = desk.check(&two).await;
    found.has("elasticsearch", true, &["a cluster that does not tell"]);
    found.has("elasticsearch", false, &["http://127.0.0.1:1"]);
}

#[tokio::test]
async fn the_rights_on_a_real_cluster() {
    let (desk, cluster) = (Desk::new(), Elasticsearch::secured().await);
    let ca = cluster.ca().map(|ca| format!("tls: {{ ca_file: '{}' }}, ", ca.display())).unwrap_or_default();
    let check = async |access: &str| {
        desk.check(&shipping_to(
            cluster.url(),
            &format!(", {ca}{access}, data_stream: {{ dataset: online }}"),
        ))
        .await
        .1
    };
    let (user, password) = SUPERUSER;
    let found = check(&format!("username: {user}, password: {password}")).await;
    found.has("elasticsearch", true, &["elasticsearch 8."]);
    found.has("elasticsearch", true, &["may write to logs-online-default"]);
    found.has("elasticsearch", true, &["the clocks agree"]);
    check("username: nobody, password: wrong").await.has(
        "elasticsearch",
        false,
        &["credentials are refused", "give a key or a password"],
    );
    let role = json!({ "indices": [{ "names": ["logs-*-*"], "privileges": ["create_doc"] }] });
    let key = json!({ "name": "poor", "role_descriptors": { "poor": role } });
    let key = cluster.post("/_security/api_key", &key).await.body;
    let found =
        check(&format!("api_key: '{}'", key["encoded"].as_str().unwrap_or_else(|| panic!("{key}")))).await;
    found.has(
        "elasticsearch",
        false,
        &["manage_index_templates on the cluster", "auto_configure on logs-online-default", "role"],
    );
}
