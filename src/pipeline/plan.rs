//! What a configuration comes to for each room, made before anything is begun: whatever is wrong with it is known then.

use std::fs::File;
use std::io;
use std::path::Path;

use super::reader::{self, Course, ReaderSettings};
use super::{RunError, settings};
use crate::config::{Config, KubeletUrl, Output};
use crate::enrich::{DocumentSettings, Pods, PodsError};
use crate::join::RuleBook;
use crate::ship::elasticsearch::{self, StateHandle};

/// A configuration that can be used.
pub(super) struct Plan {
    pub config: Config,
    pub reader: ReaderSettings,
    pub documents: Vec<DocumentSettings>,
    /// A recorded answer in place of a kubelet.
    pub recorded: Option<Pods>,
    /// `None`: standard output.
    pub elasticsearch: Option<elasticsearch::Settings>,
}

impl Plan {
    /// Looks at all that can be wrong with it.
    pub fn new(config: Config, course: Course) -> Result<Self, RunError> {
        let kubelet = &config.kubernetes.kubelet;
        let recorded = match &kubelet.url {
            Some(KubeletUrl::File(path)) if kubelet.enabled => Some(recorded(path)?),
            _ => None,
        };
        let elasticsearch = match &config.output {
            Output::Elasticsearch(output) => Some(settings::elasticsearch(&config, output)),
            Output::Stdout(_) => None,
        };
        if let Some(settings) = &elasticsearch {
            // Certificates and secrets, looked at by who uses them.
            drop(elasticsearch::Client::new(settings, StateHandle::default())?);
        }
        let join = settings::join(&config.multiline, settings::max_line_bytes(&config));
        let reader = ReaderSettings {
            scanner: settings::scanner(&config)?,
            blocks: settings::blocks(&config)?,
            rules: RuleBook::new(join)?,
            annotations: settings::annotations(&config),
            course,
            turn_bytes: reader::TURN_BYTES,
        };
        let documents = settings::documents(&config)?;
        Ok(Self { config, reader, documents, recorded, elasticsearch })
    }
}

/// A recorded answer of a kubelet.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn recorded(path: &Path) -> Result<Pods, RunError> {
    let wrong = |error: String| RunError::Recorded { path: path.to_owned(), error };
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    Pods::parse(io::BufReader::new(file)).map_err(|error: PodsError| wrong(error.to_string()))
}

/// Gives `wanted` what a running agent cannot change, and names the keys that would have to.
pub(super) fn keep_fixed(running: &Config, wanted: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut keep = |key, differs: bool| {
        if differs {
            kept.push(key);
        }
    };
    keep("data_dir", running.data_dir != wanted.data_dir);
    keep("http.listen", running.http.listen != wanted.http.listen);
    keep(
        "http.per_container_metrics",
        running.http.per_container_metrics != wanted.http.per_container_metrics,
    );
    keep("log.format", running.log.format != wanted.log.format);
    wanted.data_dir.clone_from(&running.data_dir);
    wanted.http.clone_from(&running.http);
    wanted.log.format = running.log.format;
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_change_is_kept_and_named() {
        let parse = |text: &str| Config::parse(text, "test.yaml", &|_| None).unwrap();
        let running = parse("output: stdout");
        let mut wanted = parse(
            "data_dir: /other\nhttp: { listen: '127.0.0.1:1' }\nlog: { level: debug, format: json }\noutput: stdout",
        );
        assert_eq!(keep_fixed(&running, &mut wanted), ["data_dir", "http.listen", "log.format"]);
        let mut only_the_level = running.clone();
        only_the_level.log.level = crate::config::Level::Debug;
        assert_eq!(wanted, only_the_level);
        assert_eq!(keep_fixed(&running, &mut wanted), [""; 0]);
    }
}
