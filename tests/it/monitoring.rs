//! What is shipped for those who watch: alert rules and the dashboard, checked by Prometheus' own tool.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "fixtures of tests, which the lint does not know as such"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::promtool::promtool;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// Every name of a metric in a text: of ours, and of the process.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("skidder_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// The names that `/metrics` has, from its golden text.
fn exposed() -> BTreeSet<String> {
    names(include_str!("../golden/metrics.txt"))
}

/// Every `expr` of the dashboard, its variables filled in.
fn dashboard() -> Vec<String> {
    let board: Value =
        serde_json::from_str(&fs::read_to_string(deploy("grafana/skidder.json")).unwrap()).unwrap();
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| {
            let expr = target["expr"].as_str().unwrap();
            expr.replace("$__rate_interval", "5m").replace("$__range", "3h").replace("$instance", ".*")
        })
        .collect()
}

#[test]
fn the_alerts_fire_when_they_should_and_only_then() {
    promtool(&["check", "rules", deploy("prometheus/skidder.rules.yaml").to_str().unwrap()]);
    promtool(&["test", "rules", deploy("prometheus/skidder.test.yaml").to_str().unwrap()]);
    let (rules, tests) = ["rules", "test"]
        .map(|kind| fs::read_to_string(deploy(&format!("prometheus/skidder.{kind}.yaml"))).unwrap())
        .into();
    let fires = tests.split("alertname: ").skip(1).filter(|test| test.trim_start().contains("exp_alerts"));
    let fires: BTreeSet<_> =
        fires.map(|test| test.split(|c: char| !c.is_alphanumeric()).next().unwrap()).collect();
    let alerts: BTreeSet<_> =
        rules.split("- alert: ").skip(1).map(|rule| rule.lines().next().unwrap()).collect();
    assert!(alerts.len() >= 9);
    assert_eq!(fires, alerts, "each alert has a test in which it fires");
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_there_are() {
    let exposed = exposed();
    let rules = fs::read_to_string(deploy("prometheus/skidder.rules.yaml")).unwrap();
    let exprs = dashboard();
    assert!(exprs.len() >= 20);
    for name in names(&rules).union(&names(&exprs.join("\n"))) {
        assert!(exposed.contains(name), "{name} is no metric of the agent");
    }
}

#[test]
fn the_dashboard_asks_in_proper_promql() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("dashboard.yaml");
    let records: Vec<Value> = (dashboard().iter().enumerate())
        .map(|(number, expr)| serde_json::json!({ "record": format!("dashboard:{number}"), "expr": expr }))
        .collect();
    let groups = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": records }] });
    fs::write(&rules, groups.to_string()).unwrap();
    promtool(&["check", "rules", rules.to_str().unwrap()]);
}

#[test]
fn every_metric_is_in_the_documentation_and_every_documented_one_is_there() {
    let docs = fs::read_to_string(deploy("../docs/monitoring.md")).unwrap();
    // A histogram's parts are not documented one by one.
    let parts = ["_bucket", "_sum", "_count"];
    let whole = |name: &String| {
        parts.iter().fold(name.as_str(), |name, part| name.strip_suffix(part).unwrap_or(name)).to_owned()
    };
    let exposed: BTreeSet<String> = exposed().iter().map(whole).collect();
    assert_eq!(names(&docs), exposed);
}
