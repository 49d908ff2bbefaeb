//! Prometheus' own tool.

use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `promtool`, which `make test` installs. Panics with what it says when it finds a fault; returns what it says
/// otherwise.
pub fn promtool(args: &[&str]) -> String {
    promtool_on(args, "")
}

/// [`promtool`] with a text on its standard input.
pub fn promtool_on(args: &[&str], input: &str) -> String {
    let mut tool = Command::new("promtool")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("promtool: {error}; `make test` installs it (Debian: apt-get install prometheus)")
        });
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let said = tool.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success(), "promtool {args:?}: {text}");
    text
}
