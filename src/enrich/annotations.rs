//! What a pod may set for itself, by annotations.

use std::collections::BTreeSet;

use super::document::JsonMode;
use crate::event::PodMeta;

/// Which annotations pods may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those of these names, such as `skidder.io/multiline`. Those of other agents are allowed with the one of
    /// ours that means the same.
    Only(BTreeSet<String>),
}

impl Allowed {
    fn allows(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// What a pod sets for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSettings {
    /// Ship nothing of the pod.
    pub exclude: bool,
    /// Ship nothing of these containers.
    pub exclude_containers: BTreeSet<String>,
    /// In place of `multiline.languages`: names, separated by commas. Which names there are is not known here.
    pub multiline: Option<String>,
    /// In place of `events.json`.
    pub json: Option<JsonMode>,
    /// In place of the configured dataset.
    pub dataset: Option<String>,
    /// In place of the configured pipeline.
    pub pipeline: Option<String>,
}

/// `skidder.io/…`: see the table in `docs/kubernetes.md`.
pub const EXCLUDE: &str = "skidder.io/exclude";
/// Names of containers, separated by commas.
pub const EXCLUDE_CONTAINERS: &str = "skidder.io/exclude-containers";
/// Names of languages or patterns, separated by commas.
pub const MULTILINE: &str = "skidder.io/multiline";
/// `off`, `nested` or `merge`.
pub const JSON: &str = "skidder.io/json";
/// A dataset's name.
pub const DATASET: &str = "skidder.io/dataset";
/// A pipeline's name.
pub const PIPELINE: &str = "skidder.io/pipeline";

/// All annotations of ours.
pub const ALL: [&str; 6] = [EXCLUDE, EXCLUDE_CONTAINERS, MULTILINE, JSON, DATASET, PIPELINE];

impl PodSettings {
    /// Reads a pod's annotations. Second, a sentence for each value that is wrong and ignored.
    pub fn from(pod: &PodMeta, allowed: &Allowed) -> (Self, Vec<String>) {
        let mut settings = Self::default();
        let mut wrong = Vec::new();
        for (name, text) in &pod.annotations {
            if let Err(reason) = settings.set(name, text.trim(), pod, allowed) {
                wrong.push(format!("annotation {name}: {text:?} {reason}; it is ignored"));
            }
        }
        (settings, wrong)
    }

    /// Whether a container of the pod is not to be shipped.
    pub fn excludes(&self, container: &str) -> bool {
        self.exclude || self.exclude_containers.contains(container)
    }

    fn set(&mut self, name: &str, text: &str, pod: &PodMeta, allowed: &Allowed) -> Result<(), String> {
        match name {
            EXCLUDE | "fluentbit.io/exclude" if allowed.allows(EXCLUDE) => self.exclude |= truth(text)?,
            "co.elastic.logs/enabled" if allowed.allows(EXCLUDE) => self.exclude |= !truth(text)?,
            EXCLUDE_CONTAINERS if allowed.allows(name) => {
                for container in text.split(',').map(str::trim).filter(|container| !container.is_empty()) {
                    self.exclude_container(container, pod)?;
                }
            }
            MULTILINE if allowed.allows(name) => self.multiline = Some(filled(text)?),
            JSON if allowed.allows(name) => self.json = Some(json_mode(text)?),
            DATASET if allowed.allows(name) => self.dataset = Some(dataset(text)?),
            PIPELINE if allowed.allows(name) => self.pipeline = Some(pipeline(text)?),
            _ if allowed.allows(EXCLUDE_CONTAINERS) => self.set_foreign(name, text, pod)?,
            _ => {}
        }
        Ok(())
    }

    /// `fluentbit.io/exclude-<container>` and `co.elastic.logs.<container>/enabled`.
    fn set_foreign(&mut self, name: &str, text: &str, pod: &PodMeta) -> Result<(), String> {
        let filebeat = name.strip_prefix("co.elastic.logs.").and_then(|rest| rest.strip_suffix("/enabled"));
        if let Some(container) = name.strip_prefix("fluentbit.io/exclude-") {
            if truth(text)? {
                self.exclude_container(container, pod)?;
            }
        } else if let Some(container) = filebeat
            && !truth(text)?
        {
            self.exclude_container(container, pod)?;
        }
        Ok(())
    }

    fn exclude_container(&mut self, container: &str, pod: &PodMeta) -> Result<(), String> {
        // Without a list of containers, as for a pod that is just coming up, any name may be right.
        if !pod.containers.is_empty() && !pod.containers.contains_key(container) {
            return Err(format!("names no container of the pod: {container:?}"));
        }
        self.exclude_containers.insert(container.to_owned());
        Ok(())
    }
}

fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("is neither \"true\" nor \"false\"".to_owned()),
    }
}

fn filled(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn json_mode(text: &str) -> Result<JsonMode, String> {
    match text {
        "off" => Ok(JsonMode::Off),
        "nested" => Ok(JsonMode::Nested),
        "merge" => Ok(JsonMode::Merge),
        _ => Err("is none of off, nested, merge".to_owned()),
    }
}

/// What may stand between the dashes of `logs-<dataset>-<namespace>`: Elasticsearch wants lower case, at most
/// 100 bytes, and none of `\ / * ? " < > | , # :`, blanks and the dash itself.
fn dataset(text: &str) -> Result<String, String> {
    let is_wrong =
        |c: char| c.is_uppercase() || c.is_whitespace() || c.is_control() || "\\/*?\"<>|,#:-".contains(c);
    match text.chars().find(|&c| is_wrong(c)) {
        Some(wrong) => Err(format!("is no dataset's name: it holds {wrong:?}")),
        None if text.is_empty() || text.len() > 100 => Err("is no dataset's name: 1 to 100 bytes".to_owned()),
        None => Ok(text.to_owned()),
    }
}

fn pipeline(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 255 || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("is no pipeline's name: 1 to 255 bytes, no blanks".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ContainerMeta;

    fn pod(annotations: &[(&str, &str)]) -> PodMeta {
        PodMeta {
            annotations: annotations.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect(),
            containers: ["web", "proxy"].map(|name| (name.to_owned(), ContainerMeta::default())).into(),
            ..PodMeta::default()
        }
    }

    fn read(annotations: &[(&str, &str)]) -> (PodSettings, Vec<String>) {
        PodSettings::from(&pod(annotations), &Allowed::All)
    }

    #[test]
    fn reads_all_of_ours() {
        let (settings, wrong) = read(&[
            ("skidder.io/exclude", "false"),
            ("skidder.io/exclude-containers", "proxy, "),
            ("skidder.io/multiline", " java,python "),
            ("skidder.io/json", "merge"),
            ("skidder.io/dataset", "shop.web"),
            ("skidder.io/pipeline", "parse-nginx"),
            ("other.io/thing", "x"),
        ]);
        assert_eq!(wrong, Vec::<String>::new());
        assert!(settings.excludes("proxy") && !settings.excludes("web"));
        assert_eq!(settings.multiline.as_deref(), Some("java,python"));
        assert_eq!(settings.json, Some(JsonMode::Merge));
        assert_eq!(settings.dataset.as_deref(), Some("shop.web"));
        assert_eq!(settings.pipeline.as_deref(), Some("parse-nginx"));
    }

    #[test]
    fn honours_those_of_other_agents() {
        assert!(read(&[("fluentbit.io/exclude", "true")]).0.exclude);
        assert!(read(&[("co.elastic.logs/enabled", "False")]).0.exclude);
        assert!(!read(&[("co.elastic.logs/enabled", "true")]).0.exclude);
        assert!(read(&[("fluentbit.io/exclude-web", "true")]).0.excludes("web"));
        assert!(read(&[("co.elastic.logs.web/enabled", "false")]).0.excludes("web"));
        assert!(!read(&[("co.elastic.logs.web/enabled", "true")]).0.excludes("web"));
    }

    #[test]
    fn says_what_is_wrong_and_ignores_it() {
        for (name, text) in [
            ("skidder.io/exclude", "yes"),
            ("skidder.io/exclude-containers", "nobody"),
            ("skidder.io/multiline", ""),
            ("skidder.io/json", "on"),
            ("skidder.io/dataset", "Shop"),
            ("skidder.io/dataset", "a-b"),
            ("skidder.io/dataset", ""),
            ("skidder.io/pipeline", "a b"),
            ("co.elastic.logs/enabled", "0"),
        ] {
            let (settings, wrong) = read(&[(name, text)]);
            assert_eq!(settings, PodSettings::default(), "{name}: {text}");
            assert_eq!(wrong.len(), 1);
            assert!(wrong[0].contains(name) && wrong[0].contains("ignored"), "{}", wrong[0]);
        }
    }

    #[test]
    fn is_bounded_by_what_is_allowed() {
        let pod = pod(&[
            ("skidder.io/exclude", "true"),
            ("co.elastic.logs/enabled", "false"),
            ("fluentbit.io/exclude-web", "true"),
            ("skidder.io/json", "off"),
            ("skidder.io/pipeline", "not allowed, so not even read"),
        ]);
        assert_eq!(PodSettings::from(&pod, &Allowed::None), (PodSettings::default(), Vec::new()));
        let json = Allowed::Only([JSON.to_owned()].into());
        let expected = PodSettings { json: Some(JsonMode::Off), ..PodSettings::default() };
        assert_eq!(PodSettings::from(&pod, &json), (expected, Vec::new()));
    }
}
