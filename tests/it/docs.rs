//! Every command of the README and of `docs/` is run as it stands there, in a world with what a reader would have: the
//! files that the text names, an Elasticsearch, an agent that runs, pods that `kubectl logs` reads.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::agent::Agent;
use crate::support::elasticsearch::{Elasticsearch, SUPERUSER};

/// A command of the documentation.
#[derive(Debug)]
struct Told {
    place: String,
    text: String,
}

/// What goes on until it is ended.
fn goes_on(command: &str) -> bool {
    let words: Vec<&str> = command.split_whitespace().collect();
    let runs = command.contains("skidder run") && !words.contains(&"--once");
    runs || command.contains("skidder logs -f")
}

/// All commands of the project's documents.
fn commands() -> Vec<Told> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![project.join("README.md")];
    files.extend(fs::read_dir(project.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    files.retain(|file| file.extension().is_some_and(|ending| ending == "md"));
    files.sort();
    files.iter().flat_map(|file| of_file(file)).collect()
}

/// The commands in the blocks `sh` (each line one, but for those that go on) and `console` (those after `$ `).
fn of_file(file: &Path) -> Vec<Told> {
    let text = fs::read_to_string(file).unwrap();
    let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display();
    let (mut found, mut block, mut pending) = (Vec::new(), None, String::new());
    for (number, line) in text.lines().enumerate() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            assert!(pending.is_empty(), "{name}:{number}: a command that does not end: {pending}");
            block = block.is_none().then(|| kind.to_owned());
            continue;
        }
        let line = match block.as_deref() {
            Some("sh") => line,
            Some("console") if pending.is_empty() => match line.strip_prefix("$ ") {
                Some(line) => line,
                None => continue,
            },
            Some("console") => line,
            _ => continue,
        };
        pending.push_str(line);
        pending.push('\n');
        if pending.trim().is_empty() || pending.starts_with('#') {
            pending.clear();
        } else if is_whole(&pending) {
            found.push(Told { place: format!("{name}:{}", number + 1), text: std::mem::take(&mut pending) });
        }
    }
    found
}

/// Whether bash needs no further line.
fn is_whole(text: &str) -> bool {
    let heredoc = text.split_once("<<'EOF'").is_none_or(|(_, rest)| rest.lines().any(|line| line == "EOF"));
    let open = text.trim_end().ends_with('\\');
    let parsed = std::process::Command::new("bash").args(["-n", "-c", text]).stderr(Stdio::null()).status();
    heredoc && !open && parsed.unwrap().success()
}

/// Where a reader stands.
struct World {
    folder: TempDir,
    agent: Agent,
    elasticsearch: Elasticsearch,
    secured: Elasticsearch,
}

impl World {
    async fn new() -> Self {
        let elasticsearch = Elasticsearch::shared().await;
        let secured = Elasticsearch::secured().await;
        // The stream whose mapping a reader mends.
        let document = json!({ "@timestamp": "2026-11-22T10:00:00Z", "message": "order 41 was paid" });
        assert!(elasticsearch.post("/logs-shop-default/_doc", &document).await.status.is_success());
        let folder = TempDir::with_prefix("skidder-docs-").unwrap();
        let root = folder.path();
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shared in ["tests", "config", "deploy", "docs", "Makefile", "Cargo.toml", "src", "benches"] {
            symlink(project.join(shared), root.join(shared)).unwrap();
        }
        for made in ["bin", "target/release", "logs", "srv/app", "etc"] {
            fs::create_dir_all(root.join(made)).unwrap();
        }
        for path in ["bin/skidder", "target/release/skidder"] {
            symlink(env!("CARGO_BIN_EXE_skidder"), root.join(path)).unwrap();
        }
        let trace = "2026-11-22 10:00:00 ERROR order=42 failed\njava.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n";
        for log in ["app.log", "srv/app/app.log"] {
            fs::write(root.join(log), trace).unwrap();
        }
        let pod = root.join("var/log/pods/shop_web-0_0a1b/web");
        fs::create_dir_all(&pod).unwrap();
        let line = "2026-11-22T10:00:00.123456789Z stdout F a line\n";
        for log in [pod.join("0.log"), root.join("0.log")] {
            fs::write(log, line).unwrap();
        }
        run("gzip -k app.log && mv app.log.gz logs/", root).await;
        stand_in(
            root,
            "kubectl",
            "case \"$*\" in *' logs '*|logs*) cat app.log ;; *' -f '*) test -e \"${@: -1}\" ;; esac",
        );
        stand_in(root, "jq", "cat >/dev/null");
        // What they would install and build, the tests of deploy/ look at.
        ["docker", "helm", "kind"].iter().for_each(|name| stand_in(root, name, "true"));
        let configuration = format!(
            "data_dir: ${{DATA}}\nfiles: [{{ include: [/nothing/*.log] }}]\noutput: {{ elasticsearch: {{ urls: [\"{}\"] }} }}\n",
            elasticsearch.url()
        );
        fs::write(root.join("skidder.yaml"), configuration.replace("${DATA}", "./data")).unwrap();
        let mut agent = Agent::new(&configuration);
        agent.start().await;
        Self { folder, agent, elasticsearch, secured }
    }

    /// The command with this world's addresses and folders in place of the reader's.
    fn here(&self, command: &str) -> String {
        let root = self.folder.path().display().to_string();
        let elasticsearch = self.elasticsearch.url();
        let (user, password) = SUPERUSER;
        let ca = self.secured.ca().unwrap();
        let mut text = command
            .replace("curl -u elastic", &format!("curl -sS --cacert {} -u {user}:{password}", ca.display()))
            .replace("http://localhost:9200", elasticsearch)
            .replace("'https://elasticsearch:9200", &format!("'{}", self.secured.url()))
            .replace(" https://elasticsearch:9200", &format!(" {}", self.secured.url()))
            .replace("'localhost:9200", &format!("'{elasticsearch}"))
            .replace("node-1:9605", self.agent.address())
            .replace("http://NODE:9605", &format!("http://{}", self.agent.address()));
        for folder in ["/var/log/pods", "/srv/app"] {
            text = text.replace(folder, &format!("{root}{folder}"));
        }
        text
    }

    /// The YAML of the documents that names its file in its first line, such as `# app.yaml`.
    fn write_named_files(&self) {
        for file in fs::read_dir(self.folder.path().join("docs")).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|ending| ending != "md") {
                continue;
            }
            let text = fs::read_to_string(file).unwrap();
            for yaml in text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
                let Some(name) = yaml.lines().next().and_then(|line| line.strip_prefix("# ")) else {
                    continue;
                };
                if name.ends_with(".yaml") && !name.contains([' ', '/']) {
                    fs::write(self.folder.path().join(name), self.here(yaml)).unwrap();
                }
            }
        }
    }
}

/// A program of the reader's that is not here.
fn stand_in(root: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = root.join("bin").join(name);
    fs::write(&path, format!("#!/usr/bin/env bash\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn bash(command: &str, root: &Path) -> Command {
    let path: PathBuf = root.join("bin");
    let mut bash = Command::new("bash");
    bash.args(["-eo", "pipefail", "-c", command]).current_dir(root).stdin(Stdio::null());
    bash.env("PATH", format!("{}:{}", path.display(), std::env::var("PATH").unwrap()));
    bash.env("SKIDDER_CONFIG", root.join("skidder.yaml")).env_remove("SKIDDER_LOG").kill_on_drop(true);
    bash
}

async fn run(command: &str, root: &Path) -> std::process::Output {
    bash(command, root).output().await.unwrap()
}

#[tokio::test]
async fn every_command_of_the_documentation_runs() {
    let told = commands();
    assert!(told.len() > 30, "{}", told.len());
    let mut world = World::new().await;
    world.write_named_files();
    let root = world.folder.path().to_owned();
    let mut failed = Vec::new();
    for Told { place, text } in &told {
        let command = world.here(text);
        let output = if let Some(words) = text.strip_prefix("make ") {
            run(&format!("make -n {words}"), &root).await
        } else if let Some(words) = text.strip_prefix("cargo ") {
            known_to_cargo(words, &root).await
        } else if goes_on(text) {
            run(&format!("timeout --preserve-status -s TERM 3 {command}"), &root).await
        } else {
            run(&command, &root).await
        };
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed = String::from_utf8_lossy(&output.stdout);
        let ended = output.status.success() || goes_on(text) && output.status.code().is_none();
        if !ended || printed.contains("\"error\":{") {
            failed.push(format!("{place}: {}{}\n{said}{printed}", text, output.status));
        }
    }
    assert!(failed.is_empty(), "{} of {} commands fail:\n{}", failed.len(), told.len(), failed.join("\n"));
    assert!(world.agent.term().await.success());
}

/// Whether cargo would find what a command names: building it anew is for those who build.
async fn known_to_cargo(words: &str, root: &Path) -> std::process::Output {
    let words: Vec<&str> = words.split_whitespace().take_while(|word| *word != "#").collect();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let named = words.iter().skip_while(|word| !["--bench", "--test", "--bin"].contains(word)).nth(1);
    let known = named.is_none_or(|name| manifest.contains(&format!("name = \"{name}\"")) || *name == "it");
    run(if known { "true" } else { "echo no such target >&2; false" }, root).await
}
