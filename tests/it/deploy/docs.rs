//! The documents of the installation and the workflows: what can be run here is run.

use std::fs;
use std::process::Command;

use regex::Regex;
use skidder::config::Config;

use super::tools::{kustomized, objects, only, project, said, tool};

const DOCUMENTS: [&str; 2] = ["docs/install.md", "docs/from-fluentd.md"];

fn read(path: &str) -> String {
    fs::read_to_string(project().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks of a language.
fn blocks<'a>(document: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    document.split(&fence[..]).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// A command's words, as a shell takes them apart: comments go, single quotes hold together.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap();
    let word = Regex::new(r"('[^']*'|[^\s'])+").unwrap();
    word.find_iter(line).map(|found| found.as_str().replace('\'', "")).collect()
}

/// Renders what `helm install` or `helm upgrade` would install; `values` stands for `values.yaml`.
fn render(words: &[String], values: &str) {
    let mut arguments = vec!["template".to_owned()];
    for word in &words[2..] {
        match word.as_str() {
            "--install" | "--reuse-values" => {}
            "values.yaml" => arguments.push(values.to_owned()),
            word => arguments.push(word.to_owned()),
        }
    }
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let yaml = said(tool("helm", &arguments)).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    let objects = objects(&[yaml]).remove(0);
    let text = only(&objects, "ConfigMap")["data"]["skidder.yaml"].as_str().unwrap();
    let environment = |name: &str| (name == "NODE_NAME").then(|| "node-1".to_owned());
    Config::parse(text, "skidder.yaml", &environment)
        .unwrap_or_else(|error| panic!("{words:?}: {error}\n{text}"));
}

#[test]
fn the_commands_of_the_documents_are_true() {
    let makefile = read("Makefile");
    let (mut helm, mut kustomize, mut skidder) = (0, 0, 0);
    for document in DOCUMENTS {
        let text = read(document);
        let folder = tempfile::tempdir().unwrap();
        let values = folder.path().join("values.yaml");
        for block in blocks(&text, "yaml") {
            assert!(block.starts_with("# values.yaml\n"), "{document}: what file is\n{block}");
            fs::write(&values, block).unwrap();
            let command = "helm install skidder deploy/helm/skidder --values values.yaml";
            render(&words(command), values.to_str().unwrap());
        }
        for line in blocks(&text, "sh").concat().lines() {
            let words = words(line);
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["helm", "install" | "upgrade", ..] => {
                    render(&words, values.to_str().unwrap());
                    helm += 1;
                }
                ["kubectl", "kustomize", folder] | ["kubectl", "apply" | "delete", "-k", folder] => {
                    assert!(!kustomized(folder).is_empty());
                    kustomize += 1;
                }
                ["make", target] => assert!(makefile.contains(&format!("\n{target}: ")), "{line}"),
                ["docker", "build", "-f", file, ..] => assert!(project().join(file).exists(), "{line}"),
                _ => {}
            }
            if let Some((_, command)) = line.split_once(" -- skidder ") {
                let mut asked = Command::new(env!("CARGO_BIN_EXE_skidder"));
                let known = asked.args(command.split(' ')).arg("--help").output().unwrap();
                assert!(known.status.success(), "{line}: {}", String::from_utf8_lossy(&known.stderr));
                skidder += 1;
            }
        }
    }
    assert!(helm >= 6 && kustomize >= 3 && skidder >= 3, "{helm} {kustomize} {skidder}");
}

#[test]
fn what_the_documents_name_is_there() {
    let link = Regex::new(r"\]\(([^)#:]+)(#[^)]*)?\)").unwrap();
    let key = Regex::new(r"`(?:files\[\]|events|multiline|output|tls)\.([a-z_]+)").unwrap();
    let (configuration, mut links) = (read("docs/configuration.md"), 0);
    for document in DOCUMENTS {
        let text = read(document);
        for found in link.captures_iter(&text) {
            assert!(project().join("docs").join(&found[1]).exists(), "{document}: {}", &found[1]);
            links += 1;
        }
        for found in key.captures_iter(&text) {
            assert!(
                configuration.contains(&format!("{}`", &found[1]))
                    || configuration.contains(&format!("{}.", &found[1])),
                "{}",
                &found[0]
            );
        }
    }
    assert!(links >= 6, "{links}");
}

#[test]
fn the_workflows_are_well_formed_and_name_what_is_there() {
    said(tool("actionlint", &["-no-color", "-shellcheck=", "-pyflakes="])).unwrap();
    let release = read(".github/workflows/release.yml");
    for named in ["deploy/build", "deploy/helm/skidder", "CHANGELOG.md"] {
        assert!(release.contains(named) && project().join(named).exists(), "{named}");
    }
    for target in ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl"] {
        assert!(release.contains(target), "{target}");
    }
}
