//! A node's kubelet and runtime, as far as a container's rights go: from the rendered DaemonSet to a process of crun,
//! with its user, group, capabilities, seccomp profile, root and volumes. The network alone is the machine's own, for
//! the servers of the test are there.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::image::Image;
use super::tools::only;
use crate::support::wait;

/// Where the package golang-github-containers-common has the default seccomp profile of Docker, containerd and CRI-O.
const SECCOMP: &str = "/usr/share/containers/seccomp.json";
/// Starts a container in a namespace of mounts without cgroups, of which crun takes only some kinds, and of processes,
/// with which all of it ends.
const START: &str =
    "mount -t tmpfs none /sys/fs/cgroup && exec crun --cgroup-manager=disabled run --bundle \"$1\" \"$2\"";

/// A node with the objects of a release.
pub struct Node {
    folder: TempDir,
    image: &'static Image,
    objects: Vec<Value>,
    /// What a Secret of any name holds.
    secrets: Vec<(&'static str, String)>,
    /// Files that the kubelet or a test puts in every container: inside, outside.
    files: Vec<(&'static str, PathBuf)>,
}

impl Node {
    /// A node whose logs are those of the sample, with the modes of a real one.
    pub fn new(image: &'static Image, objects: Vec<Value>) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "a pod takes users and namespaces: run these tests as root"
        );
        let folder = TempDir::with_prefix("skidder-pod-").expect("folder of the node");
        // The user of the agent must get through to what is mounted from here.
        set_mode(folder.path(), 0o755);
        // A root of its own, as a runtime's snapshot is: two runtimes that make places for mounts in one disturb each other.
        let mut unpack = Command::new("cp");
        unpack.arg("-a").arg(&image.root).arg(folder.path().join("root"));
        assert!(unpack.status().expect("cp").success());
        let node = Self { folder, image, objects, secrets: Vec::new(), files: Vec::new() };
        let log = node.host("/var/log");
        fs::create_dir_all(&log).unwrap();
        copy(&super::tools::project().join("tests/data/node"), &log, &["pods", "containers"]);
        node
    }

    /// A path of the node.
    pub fn host(&self, path: &str) -> PathBuf {
        self.folder.path().join("host").join(path.trim_start_matches('/'))
    }

    /// A key of every Secret.
    pub fn secret(mut self, key: &'static str, value: &str) -> Self {
        self.secrets.push((key, value.to_owned()));
        self
    }

    /// A file that every container finds at `inside`, read-only.
    pub fn file(mut self, inside: &'static str, text: &str) -> Self {
        let outside = self.folder.path().join(format!("file-{}", self.files.len()));
        fs::write(&outside, text).unwrap();
        self.files.push((inside, outside));
        self
    }

    /// Adds lines to the configuration in the ConfigMap.
    pub fn configure(&mut self, lines: &str) {
        for object in self.objects.iter_mut().filter(|object| object["kind"] == "ConfigMap") {
            let text = object["data"]["skidder.yaml"].as_str().unwrap().to_owned() + lines;
            object["data"]["skidder.yaml"] = text.into();
        }
    }

    /// Starts a container of the DaemonSet: `init` or `skidder`, with other arguments where they are given.
    pub fn start(&self, name: &str, arguments: Option<&[&str]>) -> Container {
        let pod = &only(&self.objects, "DaemonSet")["spec"]["template"]["spec"];
        let all = ["initContainers", "containers"].map(|kind| pod[kind].as_array().unwrap().clone()).concat();
        let mut container = all.into_iter().find(|found| found["name"] == name).expect("a container");
        if let Some(arguments) = arguments {
            container["args"] = arguments.into();
        }
        let bundle = TempDir::with_prefix_in("bundle-", self.folder.path()).unwrap().keep();
        let spec = self.spec(pod, &container);
        fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
        Container::start(&bundle)
    }

    /// Runs it to its end: how it ended, and what it said.
    pub async fn run(&self, name: &str, arguments: Option<&[&str]>) -> (ExitStatus, String) {
        let mut container = self.start(name, arguments);
        let ended = wait::until(async || container.process.try_wait().expect("a child of ours")).await;
        (ended.unwrap_or_else(|| panic!("it does not end\n{}", container.log())), container.log())
    }

    /// What a runtime is told of a container.
    fn spec(&self, pod: &Value, container: &Value) -> Value {
        let context = &container["securityContext"];
        let added: Vec<String> =
            context["capabilities"]["add"].as_array().into_iter().flatten().map(capability).collect();
        assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let config = &self.image.config;
        let arguments = container["args"].as_array().unwrap().iter();
        let arguments: Vec<_> = config["Entrypoint"].as_array().unwrap().iter().chain(arguments).collect();
        let namespaces = ["mount", "pid", "ipc", "uts"].map(|kind| json!({ "type": kind }));
        json!({
            "ociVersion": "1.0.2",
            "hostname": "skidder-x2x9k",
            "root": { "path": self.folder.path().join("root"), "readonly": context["readOnlyRootFilesystem"] },
            "process": {
                "args": arguments,
                "cwd": "/",
                "env": environment(&config["Env"], &container["env"]),
                "user": { "uid": context["runAsUser"], "gid": context["runAsGroup"] },
                "noNewPrivileges": context["allowPrivilegeEscalation"] == false,
                "capabilities": { "bounding": added, "permitted": added, "effective": added },
            },
            "mounts": self.mounts(pod, container),
            "linux": {
                "namespaces": namespaces,
                "seccomp": seccomp(&added),
                "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug"],
                "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            },
        })
    }

    fn mounts(&self, pod: &Value, container: &Value) -> Vec<Value> {
        let mut mounts = vec![
            json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
            json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"] }),
        ];
        let volumes = pod["volumes"].as_array().unwrap();
        for mount in container["volumeMounts"].as_array().unwrap() {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("a volume");
            let mode = if mount["readOnly"] == true { "ro" } else { "rw" };
            mounts.push(bind(mount["mountPath"].as_str().unwrap(), &self.volume(volume), mode));
        }
        mounts.extend(self.files.iter().map(|(inside, outside)| bind(inside, outside, "ro")));
        mounts
    }

    /// A volume as the kubelet makes it.
    fn volume(&self, volume: &Value) -> PathBuf {
        if let Some(path) = volume["hostPath"]["path"].as_str() {
            let host = self.host(path);
            if volume["hostPath"]["type"] == "DirectoryOrCreate" {
                fs::create_dir_all(&host).unwrap();
            }
            return host;
        }
        let folder = TempDir::with_prefix_in("volume-", self.folder.path()).unwrap().keep();
        set_mode(&folder, 0o755);
        let mode = u32::try_from(volume["projected"]["defaultMode"].as_u64().unwrap()).unwrap();
        for source in volume["projected"]["sources"].as_array().unwrap() {
            for (name, text) in self.projected(source) {
                fs::write(folder.join(&name), text).unwrap();
                set_mode(&folder.join(&name), mode);
            }
        }
        folder
    }

    /// The files of a ConfigMap or a Secret.
    fn projected(&self, source: &Value) -> Vec<(String, String)> {
        if source["configMap"].is_object() {
            let map = only(&self.objects, "ConfigMap");
            assert_eq!(source["configMap"]["name"], map["metadata"]["name"]);
            let files = map["data"].as_object().unwrap().iter();
            return files.map(|(name, text)| (name.clone(), text.as_str().unwrap().to_owned())).collect();
        }
        let file = |item: &Value| {
            let secret =
                self.secrets.iter().find(|(key, _)| item["key"] == *key).expect("a key of the Secret");
            (item["path"].as_str().unwrap().to_owned(), secret.1.clone())
        };
        source["secret"]["items"].as_array().unwrap().iter().map(file).collect()
    }
}

fn bind(inside: &str, outside: &Path, mode: &str) -> Value {
    json!({ "destination": inside, "type": "bind", "source": outside, "options": ["rbind", mode] })
}

/// As the kubelet writes it to the runtime.
fn capability(name: &Value) -> String {
    format!("CAP_{}", name.as_str().unwrap())
}

/// The image's variables and the container's, with what the downward API gives.
fn environment(image: &Value, container: &Value) -> Vec<String> {
    let mut all: Vec<String> = serde_json::from_value(image.clone()).unwrap();
    for variable in container.as_array().unwrap() {
        let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
            Some("spec.nodeName") => "node-1",
            Some("status.hostIP") => "127.0.0.1",
            Some(other) => panic!("{other} is nothing that this node tells"),
            None => variable["value"].as_str().unwrap(),
        };
        all.push(format!("{}={value}", variable["name"].as_str().unwrap()));
    }
    all
}

/// The default seccomp profile, for a container with these capabilities, in the runtime's own form.
fn seccomp(capabilities: &[String]) -> Value {
    let profile = fs::read(SECCOMP).unwrap_or_else(|error| panic!("{SECCOMP}: {error}"));
    let profile: Value = serde_json::from_slice(&profile).unwrap();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let holds = |condition: &Value, has: &dyn Fn(&str) -> bool| {
        condition
            .as_array()
            .is_some_and(|names| names.iter().any(|name| has(name.as_str().unwrap_or_default())))
    };
    let granted = |name: &str| capabilities.iter().any(|granted| granted == name);
    let here = |name: &str| name == architecture;
    let applies = |rule: &&Value| {
        let (includes, excludes) = (&rule["includes"], &rule["excludes"]);
        let included = (includes["caps"].is_null() || holds(&includes["caps"], &granted))
            && (includes["arches"].is_null() || holds(&includes["arches"], &here));
        included && !holds(&excludes["caps"], &granted) && !holds(&excludes["arches"], &here)
    };
    let rules = profile["syscalls"].as_array().unwrap().iter().filter(applies);
    let rules = rules.map(|rule| {
        let mut plain = json!({ "names": rule["names"], "action": rule["action"] });
        for optional in ["args", "errnoRet"] {
            if !rule[optional].is_null() {
                plain[optional] = rule[optional].clone();
            }
        }
        plain
    });
    json!({ "defaultAction": profile["defaultAction"], "syscalls": rules.collect::<Vec<_>>() })
}

/// A container that runs; it ends when this is dropped.
pub struct Container {
    process: Child,
    /// What it says on both of its outputs.
    log: PathBuf,
}

impl Container {
    fn start(bundle: &Path) -> Self {
        let log = bundle.join("log");
        let output = File::create(&log).unwrap();
        // The kernel ends it when the tests are gone, however they end.
        let mut command = Command::new("setpriv");
        command.args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--mount-proc",
            "--fork",
            "--kill-child",
        ]);
        command.args(["sh", "-c", START, "sh"]).arg(bundle).arg(bundle.file_name().unwrap());
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        Self { process: command.spawn().expect("setpriv, of util-linux"), log }
    }

    /// All that it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for something; where it does not come, or the container ends, tells what it said.
    pub async fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let process = &mut self.process;
        let found = wait::until(async || {
            let over = process.try_wait().expect("a child of ours").is_some();
            (is_so() || over).then_some(over)
        });
        match found.await {
            Some(false) => {}
            Some(true) => panic!("it ended before {what}\n{}", self.log()),
            None => panic!("waited {:?} for {what}\n{}", wait::LIMIT, self.log()),
        }
    }

    /// A file of its process in `/proc`, such as `status`: the last of a line of processes, each the only child.
    pub fn proc(&self, file: &str) -> String {
        let mut process = self.process.id();
        loop {
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
            match children.split_whitespace().next() {
                Some(child) => process = child.parse().unwrap(),
                None => return fs::read_to_string(format!("/proc/{process}/{file}")).unwrap(),
            }
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Copies folders of `from`, links as links, with no more than a kubelet gives: folders 0750, logs 0640, root's.
fn copy(from: &Path, to: &Path, folders: &[&str]) {
    let mut command = Command::new("cp");
    command.arg("-dR").args(folders.iter().map(|folder| from.join(folder))).arg(to);
    assert!(command.status().expect("cp").success());
    let mut command = Command::new("chmod");
    command.args(["-R", "u=rwX,g=rX,o="]).arg(to);
    assert!(command.status().expect("chmod").success());
    let mut command = Command::new("chown");
    command.args(["-hR", "0:0"]).arg(to);
    assert!(command.status().expect("chown").success());
    set_mode(to, 0o755);
}

/// Sets a mode.
pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
