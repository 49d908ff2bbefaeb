//! `skidder test`: fixtures for one's own patterns and filters.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// The exit code and all that was said, without the folder's name.
fn try_fixtures(folder: &Path, files: &[&Path]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skidder"));
    command.arg("test").args(files).stdin(Stdio::null()).env_remove("NODE_IP").env("NODE_NAME", "node-1");
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code(), said.replace(&format!("{}/", folder.display()), ""))
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/fixtures")
}

#[test]
fn the_examples_hold() {
    let (code, said) = try_fixtures(&example(), &[&example().join("fixtures.yaml")]);
    let lines = [4, 12, 19, 28].map(|line| format!("ok     fixtures.yaml:{line}: "));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.lines().zip(&lines).all(|(line, start)| line.starts_with(start)), "{said}");
    assert_eq!(said.lines().count(), 4);
}

#[test]
fn what_differs_is_shown() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fixtures.yaml");
    let text = r#"tests:
- name: joined
  input: "a\nb\n"
  messages: ["a\nb"]
- name: missing
  format: cri
  input: "2026-11-22T10:00:00Z stderr F one\n"
  documents: [{ stream: stdout, log.flags: [multiline] }, { message: two }]
- { name: as it is, path: /srv/x.log, input: "a\n", documents: [{ log.file.path: /srv/x.log, kubernetes: }] }
"#;
    fs::write(&path, text).unwrap();
    let expected = r#"FAILED fixtures.yaml:2: joined
         event 1, message:
           expected "a\nb"
           but got  "a"
         event 2 is not expected: "b"
FAILED fixtures.yaml:5: missing
         event 1, log.flags:
           expected ["multiline"]
           but got  nothing
         event 1, stream:
           expected "stdout"
           but got  "stderr"
         event 2 is missing: {"message":"two"}
ok     fixtures.yaml:9: as it is
skidder: 2 of 3 fixtures failed
"#;
    assert_eq!(try_fixtures(folder.path(), &[&path]), (Some(1), expected.to_owned()));
}

#[test]
fn what_is_wrong_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("fixtures.yaml");
    let good = "tests: [{ name: a, input: b, messages: [b] }]\n";
    for (text, told) in [
        (
            "tests: [{ name: a, input: b }]",
            "skidder: fixtures.yaml:1: tests[0]: must have either `messages` or",
        ),
        (
            "tests:\n- { name: a, inptu: b }",
            "skidder: fixtures.yaml:2: tests[0].inptu: no such key; did you mean `input`?",
        ),
        (&format!("config: gone.yaml\n{good}"), "skidder: gone.yaml: cannot read the configuration"),
        (
            &format!("config: bad.yaml\n{good}"),
            "skidder: bad.yaml:1: multiline.timout: no such key; did you mean `timeout`?",
        ),
    ] {
        fs::write(&path, text).unwrap();
        fs::write(folder.path().join("bad.yaml"), "multiline: { timout: 1s }").unwrap();
        let (code, said) = try_fixtures(folder.path(), &[&path]);
        assert!(said.starts_with(told) && said.lines().count() == 1, "{said}");
        assert_eq!(code, Some(2));
    }
    let (code, said) = try_fixtures(folder.path(), &[Path::new("/nowhere.yaml")]);
    assert_eq!((code, said.starts_with("skidder: /nowhere.yaml: cannot read the fixtures")), (Some(2), true));
}
