//! What `make demo` shows: the agent's own pipeline over the sample node, without network.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use regex::Regex;

/// The demonstration, with its memory of what was printed in this folder.
fn demo(data_dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skidder"));
    command.args(["run", "--once", "--config", "config/demo.yaml"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("SKIDDER_DEMO_DATA", data_dir);
    command.env_remove("SKIDDER_LOG").output().expect("the agent starts")
}

/// What it printed, when it ended well and said nothing else.
fn printed(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The totals without what differs from run to run.
fn without_speed(text: &str) -> String {
    let speed = Regex::new(r"(?m), [0-9.]+ s,\s[0-9.]+ MB/s$").unwrap();
    assert_eq!(speed.find_iter(text).count(), 1, "one line of totals");
    speed.replace(text, ", # s, # MB/s").into_owned()
}

#[test]
fn the_demonstration_shows_the_whole_node() {
    let folder = tempfile::tempdir().expect("folder");
    let shown = without_speed(&printed(demo(&folder.path().join("data"))));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden/demo.txt");
    if std::env::var("SKIDDER_BLESS").is_ok_and(|value| value == "1") {
        fs::write(&path, &shown).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = shown.lines().zip(expected.lines()).find(|(shown, expected)| shown != expected);
    assert!(shown == expected, "{} differs (SKIDDER_BLESS=1 accepts it): {differs:#?}", path.display());
    let expected = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/node/expected.json"));
    let expected: serde_json::Value = serde_json::from_slice(&expected.unwrap()).unwrap();
    let total = |name: &str| expected["total"][name].as_u64().unwrap();
    let joined = format!(" {} traces joined,", total("joined"));
    assert!(shown.contains(" 1,172 events,") && total("events") == 1172 && shown.contains(&joined));
}

#[test]
fn what_was_shown_is_not_shown_again() {
    let folder = tempfile::tempdir().expect("folder");
    let data_dir = folder.path().join("data");
    assert!(!printed(demo(&data_dir)).is_empty());
    assert_eq!(printed(demo(&data_dir)), "");
}
