//! `skidder check --online`: does what the configuration names answer, from here and for this user?
//!
//! Nothing is changed by looking: no folder is made, no template installed, and a running agent is not disturbed.

mod local;
mod output;
mod pods;

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use super::screen::{self, Screen};
use crate::config::{Config, KubeletUrl, Output};
use crate::pipeline::settings;

/// What came of looking at one thing.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What it belongs to: `files`, `data_dir`, `inotify`, `kubelet`, `elasticsearch`.
    part: &'static str,
    /// Whether it is as it should be.
    #[serde(rename = "state")]
    verdict: Verdict,
    /// What was seen.
    message: String,
    /// What to do about it; empty where nothing is to be done, or where the message says it.
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Failed,
}

impl Finding {
    fn ok(part: &'static str, message: impl Display) -> Self {
        Self { part, verdict: Verdict::Ok, message: message.to_string(), remedy: String::new() }
    }

    fn failed(part: &'static str, message: impl Display, remedy: impl Display) -> Self {
        let (message, remedy) = (message.to_string(), remedy.to_string());
        Self { part, verdict: Verdict::Failed, message, remedy }
    }

    /// Whether something is to be done.
    pub fn is_failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }
}

/// Looks at everything, each part for itself.
pub async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let logs = local::files(config, &mut findings);
    local::data_dir(config, &mut findings);
    match (&config.kubernetes.kubelet.url, settings::kubelet(config)) {
        (_, Some(settings)) => findings.push(pods::kubelet(settings, &logs).await),
        (Some(KubeletUrl::File(path)), None) if config.kubernetes.kubelet.enabled => {
            findings.push(pods::recorded(path));
        }
        _ => {}
    }
    match &config.output {
        Output::Elasticsearch(output) => output::elasticsearch(config, output, &mut findings).await,
        Output::Stdout(_) => {}
    }
    findings
}

/// Prints a line or more for each finding, as comments of YAML.
pub fn print(findings: &[Finding], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.part.len()).max().unwrap_or_default();
    for finding in findings {
        let (word, style) = match finding.verdict {
            Verdict::Ok => ("ok    ", screen::GOOD),
            Verdict::Failed => ("failed", screen::BAD),
        };
        let verdict = screen.painted(word, style);
        let first = format!("# {:width$}  {verdict}  ", finding.part);
        let rest = format!("# {:width$}  {:6}  ", "", "");
        screen.wrapped(&first, &rest, &finding.message, out)?;
        if !finding.remedy.is_empty() {
            screen.wrapped(&format!("{rest}→ "), &format!("{rest}  "), &finding.remedy, out)?;
        }
    }
    Ok(())
}
