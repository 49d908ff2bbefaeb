//! The image, and the agent in it with the rights of a rendered DaemonSet.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::name_server::NameServer;
use super::pod::{Container, Node, set_mode};
use super::tools::{project, rendered};
use crate::support::fake::Fake;
use crate::support::kubelet::{Kubelet, Reply};

/// The most that the image may take, unpacked.
const LIMIT: u64 = 15_000_000;
/// How many events the sample node's logs are: `tests/data/node/expected.json`.
const EVENTS: usize = 1172;
/// One of the sample's logs, and how many of the events are its.
const CLOSED: &str = "/var/log/pods/kube-system_etcd-node-1_ca12727fd294519a4a5e1681368d22b5/etcd/0.log";
const CLOSED_EVENTS: usize = 22;

/// An image, unpacked as a runtime does it.
pub struct Image {
    /// Its files.
    pub root: PathBuf,
    /// These, with their sizes.
    files: Vec<(String, u64)>,
    /// What it says about itself: `User`, `Entrypoint`, `Labels`.
    pub config: Value,
    /// What its build said.
    said: String,
}

impl Image {
    /// The image of this tree, built when it is first asked for.
    fn built() -> &'static Self {
        static IMAGE: LazyLock<Image> = LazyLock::new(Image::build);
        &IMAGE
    }

    /// Builds it, unless `SKIDDER_TEST_IMAGE` names an OCI layout to take in its place, such as the release's.
    fn build() -> Self {
        let (layout, said) = match std::env::var_os("SKIDDER_TEST_IMAGE") {
            Some(layout) => (PathBuf::from(layout), String::new()),
            None => {
                let mut build = Command::new("deploy/build");
                build.args(["--profile", "trial"]).current_dir(project());
                // What cargo tells a test of its package would have build scripts run anew, and again at the next build.
                let told = |name: &str| name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_");
                for (name, _) in std::env::vars().filter(|(name, _)| told(name)) {
                    build.env_remove(name);
                }
                let output = build.output();
                let output = output.expect("deploy/build starts");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "{said}");
                (project().join("target/image/oci"), said)
            }
        };
        let blob = |found: &Value| {
            let digest = found["digest"].as_str().expect("a digest").replace(':', "/");
            layout.join("blobs").join(digest)
        };
        let index = read(&layout.join("index.json"));
        let manifest = read(&blob(&index["manifests"][0]));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image");
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        for layer in manifest["layers"].as_array().unwrap() {
            let mut command = Command::new("tar");
            command.args(["--xattrs", "--xattrs-include=*", "-xzf"]).arg(blob(layer));
            assert!(command.arg("-C").arg(&root).status().expect("tar").success());
        }
        let config = read(&blob(&manifest["config"]))["config"].clone();
        Self { files: files(&root), root, config, said }
    }
}

/// All files of a folder, by their path in it, with their sizes.
fn files(root: &Path) -> Vec<(String, u64)> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, found) = (entry.path(), entry.metadata().unwrap());
            if found.is_dir() {
                folders.push(path);
            } else {
                files.push((path.strip_prefix(root).unwrap().display().to_string(), found.len()));
            }
        }
    }
    files.sort();
    files
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap()
}

#[test]
fn the_image_holds_a_binary_and_certificates_and_is_small() {
    let image = Image::built();
    println!("{}", image.said);
    let files = &image.files;
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etc/ssl/certs/ca-certificates.crt", "usr/local/bin/skidder"]);
    let size: u64 = files.iter().map(|(_, size)| size).sum();
    assert!(size < LIMIT, "{size} bytes of {LIMIT}");
    let certificates = fs::read_to_string(image.root.join(names[0])).unwrap();
    assert!(certificates.matches("BEGIN CERTIFICATE").count() > 100);
    let config = &image.config;
    assert_eq!(config["User"], "65532:0");
    assert_eq!(
        (&config["Entrypoint"], &config["Cmd"]),
        (&json!(["/usr/local/bin/skidder"]), &json!(["run"]))
    );
    let labels = &config["Labels"];
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(labels["org.opencontainers.image.licenses"], "Apache-2.0");
    let capabilities = Command::new("/sbin/getcap").arg(image.root.join(names[1])).output().expect("getcap");
    let capabilities = String::from_utf8(capabilities.stdout).unwrap();
    assert!(
        capabilities.trim_end().ends_with(" cap_dac_read_search=p"),
        "permitted, not effective: {capabilities}"
    );
}

/// A cluster of a kubelet, a name server and an Elasticsearch around a node, all of them the test's.
struct Cluster {
    fake: Fake,
    names: NameServer,
    kubelet: Kubelet,
    node: Node,
}

/// The token of the pod's service account.
const TOKEN: &str = "the-pods-own-token";
/// The name by which the agent's configuration knows Elasticsearch, and the one that it has in the cluster.
const NAMES: (&str, &str) = ("elasticsearch", "elasticsearch.logging.svc.cluster.local");

impl Cluster {
    /// A release with these values.
    async fn with(values: &[&str]) -> Self {
        let image = Image::built();
        let pods = fs::read_to_string(project().join("tests/data/node/pods.json")).unwrap();
        // As a kubelet that made its own certificate: it names the host alone.
        let kubelet = Kubelet::with_names(&["node-1"], move |asked| match asked.token.as_str() {
            TOKEN => Reply::Text(200, pods.clone()),
            _ => Reply::Text(401, "Unauthorized".into()),
        });
        let (fake, names, kubelet) = (Fake::new(), NameServer::knowing(NAMES.1).await, kubelet.await);
        let folder = TempDir::new().unwrap();
        let authority = folder.path().join("authority.pem");
        let url = fake.serve_tls(&authority).await.replace("localhost", NAMES.0);
        let (url, asks) = (
            format!(r#"elasticsearch.urls=["{url}"]"#),
            format!(r#"config={{"kubernetes":{{"kubelet":{{"url":"https://{}"}}}}}}"#, kubelet.address),
        );
        let own = [url.as_str(), asks.as_str(), r#"kubelet.tls="node-file""#];
        let mut node = Node::new(image, rendered(&[&own, values].concat()))
            .secret("api-key", "id:key")
            .file("/var/run/secrets/kubernetes.io/serviceaccount/token", TOKEN)
            // Where the image has those of public authorities: the agent finds them without being told.
            .file("/etc/ssl/certs/ca-certificates.crt", &fs::read_to_string(&authority).unwrap())
            .file(
                "/etc/resolv.conf",
                &format!(
                    "search logging.svc.cluster.local svc.cluster.local\nnameserver {}\noptions ndots:5\n",
                    names.address
                ),
            );
        node.configure("http: { listen: \"127.0.0.1:0\" }\n");
        let certificate = node.host("/var/lib/kubelet/pki/kubelet.crt");
        fs::create_dir_all(certificate.parent().unwrap()).unwrap();
        fs::write(certificate, &kubelet.certificate).unwrap();
        Self { fake, names, kubelet, node }
    }

    /// How many events arrived.
    fn stored(&self) -> usize {
        self.fake.model().stored.values().map(|index| index.len()).sum()
    }

    /// The agent, after its init container.
    async fn agent(&self) -> Container {
        let (ended, said) = self.node.run("init", None).await;
        assert!(ended.success(), "{said}");
        self.node.start("skidder", None)
    }
}

/// A line of `/proc/PID/status`.
fn line<'a>(status: &'a str, name: &str) -> &'a str {
    let found = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.unwrap_or_else(|| panic!("no {name} in {status}")).trim()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_root_and_capabilities_it_reads_and_ships_all() {
    let cluster = Cluster::with(&[]).await;
    let mut agent = cluster.agent().await;
    agent.until("all events arrived", || cluster.stored() == EVENTS).await;

    // Who it is: the init container, with user 0 and no capability either, made the folder for it.
    let data_dir = fs::metadata(cluster.node.host("/var/lib/skidder")).unwrap();
    assert_eq!((data_dir.mode() & 0o7777, data_dir.uid(), data_dir.gid()), (0o770, 0, 0));
    let status = agent.proc("status");
    let four = |id: u32| [id; 4].map(|id| id.to_string()).join("\t");
    assert_eq!((line(&status, "Uid"), line(&status, "Gid")), (four(65532).as_str(), four(0).as_str()));
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(line(&status, set), "0000000000000000", "{set}");
    }
    assert_eq!((line(&status, "NoNewPrivs"), line(&status, "Seccomp")), ("1", "2"));

    // What it may write to: its folder, and what is no disk.
    let writable = agent.proc("mountinfo");
    let writable = writable.lines().filter_map(|mount| {
        let fields: Vec<_> = mount.split(' ').collect();
        fields[5].split(',').any(|option| option == "rw").then(|| fields[4].to_owned())
    });
    let writable: Vec<_> =
        writable.filter(|path| !path.starts_with("/proc") && !path.starts_with("/dev")).collect();
    assert_eq!(writable, ["/var/lib/skidder"]);

    // Names are found by the pod's resolv.conf, the kubelet by the token and the certificate on the node.
    assert!(cluster.names.asked().iter().any(|name| name == NAMES.1), "{:?}", cluster.names.asked());
    assert!(cluster.kubelet.asked().iter().all(|asked| asked.token == TOKEN));
    let model = cluster.fake.model();
    let mut documents = model.stored.values().flat_map(|index| index.values());
    assert!(documents.any(|document| document["kubernetes"]["deployment"]["name"] == "cart"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_its_own_it_cannot_write() {
    let mut cluster = Cluster::with(&[]).await;
    // Without the init container the folder is root's, and the agent says what is to be done.
    let (ended, said) = cluster.node.run("skidder", None).await;
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(said.contains("Permission denied") && said.contains("data_dir"), "{said}");
    // Not by the chart, which refuses it; and not even as user 0.
    cluster.node.configure("data_dir: /var/log/skidder\n");
    for container in ["init", "skidder"] {
        let (ended, said) = cluster.node.run(container, None).await;
        assert_eq!(ended.code(), Some(1), "{said}");
        assert!(said.contains("/var/log/skidder") && said.contains("Read-only file system"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_group_0_may_not_read_is_said_and_all_else_is_shipped() {
    let cluster = Cluster::with(&[]).await;
    set_mode(&cluster.node.host(CLOSED), 0o600);
    let mut agent = cluster.agent().await;
    agent.until("all other events arrived", || cluster.stored() == EVENTS - CLOSED_EVENTS).await;
    let said = agent.log();
    let told = said.lines().find(|line| line.contains("cannot open") && line.contains("etcd-node-1"));
    assert!(told.is_some_and(|line| line.contains("Permission denied")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_option_for_stricter_nodes_adds_one_capability() {
    let cluster = Cluster::with(&["readAnyFile=true"]).await;
    set_mode(&cluster.node.host(CLOSED), 0o600);
    set_mode(&cluster.node.host("/var/log/pods"), 0o700);
    let mut agent = cluster.agent().await;
    agent.until("all events arrived", || cluster.stored() == EVENTS).await;
    let status = agent.proc("status");
    let read_search = format!("{:016x}", 1 << 2);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(line(&status, set), read_search, "{set}");
    }
    assert!(line(&status, "Uid").starts_with("65532\t"));
    assert!(agent.log().contains("DAC_READ_SEARCH"), "{}", agent.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_for_looking_around_work_without_a_shell() {
    let cluster = Cluster::with(&[]).await;
    let (ended, said) = cluster.node.run("skidder", Some(&["check"])).await;
    assert!(ended.success() && said.contains("api_key_file: /etc/skidder/api-key"), "{said}");
    let path = "/var/log/pods/shop_mailer-7f9c6d5b48-lm2xr_8d963d2c-b3e7-4fba-bab1-df9f8e7d9ae2";
    let (ended, said) = cluster.node.run("skidder", Some(&["logs", path])).await;
    assert!(ended.success() && said.contains("KeyError: 'SMTP_PASSWORD'"), "{said}");
    let (ended, said) = cluster.node.run("skidder", Some(&["--version"])).await;
    assert!(ended.success() && said.starts_with(concat!("skidder ", env!("CARGO_PKG_VERSION"))), "{said}");
}
