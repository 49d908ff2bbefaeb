//! helm, kustomize and the validation of what they render.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// The project's own folder, in which all commands run.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the tools; made when it is first asked for.
static TOOLS: LazyLock<PathBuf> = LazyLock::new(|| {
    let output =
        Command::new("tests/deploy/fetch").current_dir(project()).output().expect("tests/deploy/fetch");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).expect("a path").trim())
});

/// A tool with its arguments, in the project's folder.
pub fn tool(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(TOOLS.join(name));
    command.args(arguments).current_dir(project()).stdin(Stdio::null());
    // Nothing of the developer's own settings.
    command.env("HELM_CONFIG_HOME", TOOLS.join("helm-home")).env("HELM_CACHE_HOME", TOOLS.join("helm-home"));
    command.output().expect("the tool starts")
}

/// What it printed, or the error in its words.
pub fn said(output: Output) -> Result<String, String> {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The chart rendered in the namespace `logging` with these values, `name=value` or `name={json}`.
pub fn render(values: &[&str]) -> Result<String, String> {
    let mut arguments = vec!["template", "skidder", "deploy/helm/skidder", "--namespace", "logging"];
    for value in values {
        arguments.extend(["--set-json", value]);
    }
    said(tool("helm", &arguments))
}

/// The same as objects, validated.
pub fn rendered(values: &[&str]) -> Vec<Value> {
    rendered_each(&[values]).remove(0)
}

/// The same for several releases, validated in one go.
pub fn rendered_each(releases: &[&[&str]]) -> Vec<Vec<Value>> {
    let each = |values: &&[&str]| render(values).unwrap_or_else(|error| panic!("{values:?}: {error}"));
    objects(&releases.iter().map(each).collect::<Vec<_>>())
}

/// What kustomize makes of a folder, validated.
pub fn kustomized(folder: &str) -> Vec<Value> {
    let yaml =
        said(tool("kustomize", &["build", folder])).unwrap_or_else(|error| panic!("{folder}: {error}"));
    objects(&[yaml]).remove(0)
}

/// Kubernetes objects from the YAML of each release: strictly valid, or the test fails.
pub fn objects(releases: &[String]) -> Vec<Vec<Value>> {
    let mut input = tempfile::tempfile().expect("file");
    let yaml = releases.join("\n---\nnext\n---\n");
    input.write_all(yaml.as_bytes()).and_then(|()| input.rewind()).expect("file");
    serde_json::from_str(&validated(input).unwrap_or_else(|error| panic!("{error}\n{yaml}"))).expect("JSON")
}

fn validated(input: File) -> Result<String, String> {
    let mut command = Command::new(TOOLS.join("python/bin/python"));
    command.arg("tests/deploy/objects").current_dir(project()).stdin(input);
    said(command.output().expect("python starts"))
}

/// The only object of a kind, without what belongs to `helm test`.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    match (found.next(), found.next()) {
        (Some(object), None) => object,
        (None, _) => panic!("no {kind}"),
        (Some(_), Some(_)) => panic!("more than one {kind}"),
    }
}
