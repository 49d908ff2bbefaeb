//! What a pod may set for its containers, by annotations: ours, and those of other agents that mean the same.
//!
//! Of Fluent Bit that is `fluentbit.io/exclude[_stdout|_stderr][-<container>]`, of Filebeat
//! `co.elastic.logs[.<container>]/enabled` and `/pipeline`. Their others name parsers or bring regular expressions
//! of their own, which mean nothing here.

use std::collections::BTreeSet;

use super::document::JsonMode;
use crate::event::{PodMeta, Stream};

/// Which annotations pods may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowed {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those of these names, such as `skidder.io/multiline`; those of other agents by their names without stream and
    /// container.
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

/// What of a container is not shipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excluded {
    /// All of it is shipped.
    #[default]
    Nothing,
    /// The lines of this stream are not.
    Stream(Stream),
    /// Nothing is.
    All,
}

/// What a pod sets for one of its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSettings {
    /// What is not shipped.
    pub excluded: Excluded,
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
/// Fluent Bit's; `_stdout` or `_stderr`, and `-<container>`, may stand behind it.
pub const FLUENT_BIT_EXCLUDE: &str = "fluentbit.io/exclude";
/// Filebeat's; `.<container>` may stand before the slash.
pub const ELASTIC_ENABLED: &str = "co.elastic.logs/enabled";
/// Likewise.
pub const ELASTIC_PIPELINE: &str = "co.elastic.logs/pipeline";

impl PodSettings {
    /// Reads a pod's annotations for one of its containers. Second, a sentence for each value that is wrong and
    /// ignored: the same for every container of the pod.
    pub fn from(pod: &PodMeta, container: &str, allowed: &Allowed) -> (Self, Vec<String>) {
        let mut said = Said::default();
        let mut wrong = Vec::new();
        for (name, text) in &pod.annotations {
            let Some(annotation) = Annotation::named(name).filter(|known| allowed.allows(known.family()))
            else {
                continue;
            };
            if let Err(reason) = said.take(annotation, text.trim(), pod, container) {
                wrong.push(format!("annotation {name}: {text:?} {reason}; it is ignored"));
            }
        }
        (said.settings(), wrong)
    }
}

/// An annotation that means something, as its name tells it.
#[derive(Clone, Copy)]
enum Annotation<'a> {
    Exclude,
    ExcludeContainers,
    Multiline,
    Json,
    Dataset,
    Pipeline,
    FluentBitExclude { stream: Option<Stream>, container: Option<&'a str> },
    ElasticEnabled { container: Option<&'a str> },
    ElasticPipeline { container: Option<&'a str> },
}

impl<'a> Annotation<'a> {
    fn named(name: &'a str) -> Option<Self> {
        match name {
            EXCLUDE => Some(Self::Exclude),
            EXCLUDE_CONTAINERS => Some(Self::ExcludeContainers),
            MULTILINE => Some(Self::Multiline),
            JSON => Some(Self::Json),
            DATASET => Some(Self::Dataset),
            PIPELINE => Some(Self::Pipeline),
            _ => Self::of_fluent_bit(name).or_else(|| Self::of_filebeat(name)),
        }
    }

    fn of_fluent_bit(name: &'a str) -> Option<Self> {
        let rest = name.strip_prefix(FLUENT_BIT_EXCLUDE)?;
        let (stream, container) =
            rest.split_once('-').map_or((rest, None), |(stream, container)| (stream, Some(container)));
        let stream = match stream {
            "" => None,
            "_stdout" => Some(Stream::Stdout),
            "_stderr" => Some(Stream::Stderr),
            _ => return None,
        };
        Some(Self::FluentBitExclude { stream, container })
    }

    fn of_filebeat(name: &'a str) -> Option<Self> {
        let (container, hint) = name.strip_prefix("co.elastic.logs")?.split_once('/')?;
        let container = if container.is_empty() { None } else { Some(container.strip_prefix('.')?) };
        match hint {
            "enabled" => Some(Self::ElasticEnabled { container }),
            "pipeline" => Some(Self::ElasticPipeline { container }),
            _ => None,
        }
    }

    /// The name by which it is allowed.
    fn family(&self) -> &'static str {
        match self {
            Self::Exclude => EXCLUDE,
            Self::ExcludeContainers => EXCLUDE_CONTAINERS,
            Self::Multiline => MULTILINE,
            Self::Json => JSON,
            Self::Dataset => DATASET,
            Self::Pipeline => PIPELINE,
            Self::FluentBitExclude { .. } => FLUENT_BIT_EXCLUDE,
            Self::ElasticEnabled { .. } => ELASTIC_ENABLED,
            Self::ElasticPipeline { .. } => ELASTIC_PIPELINE,
        }
    }
}

/// What the annotations say of one container, each agent's by its own rules.
#[derive(Default)]
struct Said {
    settings: PodSettings,
    /// `skidder.io/exclude`, or the container is one of `skidder.io/exclude-containers`.
    excluded: bool,
    /// Fluent Bit's word on standard output and standard error: the last one counts, in the order of names, in which
    /// a container's comes after the pod's.
    fluent_bit: [bool; 2],
    enabled: Hint<bool>,
    pipeline: Hint<String>,
}

/// One of Filebeat's hints: what names the container comes before what is for the whole pod.
#[derive(Default)]
struct Hint<T> {
    of_container: Option<T>,
    of_pod: Option<T>,
}

impl<T> Hint<T> {
    fn set(&mut self, named: Option<&str>, value: T) {
        *(if named.is_some() { &mut self.of_container } else { &mut self.of_pod }) = Some(value);
    }

    fn get(self) -> Option<T> {
        self.of_container.or(self.of_pod)
    }
}

impl Said {
    fn take(
        &mut self,
        annotation: Annotation<'_>,
        text: &str,
        pod: &PodMeta,
        container: &str,
    ) -> Result<(), String> {
        let is_meant = |named: Option<&str>| -> Result<bool, String> {
            named.map_or(Ok(true), |named| Ok(container_of(pod, named)? == container))
        };
        match annotation {
            Annotation::Exclude => self.excluded |= truth(text)?,
            Annotation::ExcludeContainers => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                let names = names.map(|name| container_of(pod, name)).collect::<Result<Vec<_>, _>>()?;
                self.excluded |= names.contains(&container);
            }
            Annotation::Multiline => self.settings.multiline = Some(filled(text)?),
            Annotation::Json => self.settings.json = Some(json_mode(text)?),
            Annotation::Dataset => self.settings.dataset = Some(dataset(text)?),
            Annotation::Pipeline => self.settings.pipeline = Some(pipeline(text)?),
            Annotation::FluentBitExclude { stream, container } => {
                let exclude = truth(text)?;
                if is_meant(container)? {
                    match stream {
                        Some(stream) => self.fluent_bit[stream.index()] = exclude,
                        None => self.fluent_bit = [exclude; 2],
                    }
                }
            }
            Annotation::ElasticEnabled { container } => {
                let enabled = truth(text)?;
                if is_meant(container)? {
                    self.enabled.set(container, enabled);
                }
            }
            Annotation::ElasticPipeline { container } => {
                let pipeline = pipeline(text)?;
                if is_meant(container)? {
                    self.pipeline.set(container, pipeline);
                }
            }
        }
        Ok(())
    }

    /// Any agent's wish to leave something out counts; of two pipelines ours.
    fn settings(self) -> PodSettings {
        let all = self.excluded || self.enabled.get() == Some(false);
        let [stdout, stderr] = self.fluent_bit.map(|excluded| all || excluded);
        let excluded = match (stdout, stderr) {
            (true, true) => Excluded::All,
            (true, false) => Excluded::Stream(Stream::Stdout),
            (false, true) => Excluded::Stream(Stream::Stderr),
            (false, false) => Excluded::Nothing,
        };
        let pipeline = self.settings.pipeline.or_else(|| self.pipeline.get());
        PodSettings { excluded, pipeline, ..self.settings }
    }
}

/// A name that must be one of the pod's containers.
fn container_of<'n>(pod: &PodMeta, name: &'n str) -> Result<&'n str, String> {
    // Without a list of containers, as for a pod that is just coming up, any name may be right.
    if !pod.containers.is_empty() && !pod.containers.contains_key(name) {
        return Err(format!("names no container of the pod: {name:?}"));
    }
    Ok(name)
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
        PodSettings::from(&pod(annotations), "web", &Allowed::All)
    }

    /// What is left out of the containers `web` and `proxy`.
    fn excluded(annotations: &[(&str, &str)]) -> [Excluded; 2] {
        ["web", "proxy"].map(|container| {
            let (settings, wrong) = PodSettings::from(&pod(annotations), container, &Allowed::All);
            assert_eq!(wrong, Vec::<String>::new());
            settings.excluded
        })
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
            ("co.elastic.logs/pipeline", "theirs"),
            ("other.io/thing", "x"),
        ]);
        assert_eq!(wrong, Vec::<String>::new());
        let expected = PodSettings {
            excluded: Excluded::Nothing,
            multiline: Some("java,python".to_owned()),
            json: Some(JsonMode::Merge),
            dataset: Some("shop.web".to_owned()),
            pipeline: Some("parse-nginx".to_owned()),
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn leaves_out_what_any_agent_is_told_to() {
        use Excluded::{All, Nothing, Stream as Of};
        for (annotations, expected) in [
            (&[("skidder.io/exclude", "true")][..], [All, All]),
            (&[("skidder.io/exclude-containers", "proxy")], [Nothing, All]),
            (&[("fluentbit.io/exclude", "true")], [All, All]),
            (&[("fluentbit.io/exclude", "true"), ("fluentbit.io/exclude-web", "false")], [Nothing, All]),
            (&[("fluentbit.io/exclude-web", "true")], [All, Nothing]),
            (&[("fluentbit.io/exclude_stderr", "true")], [Of(Stream::Stderr), Of(Stream::Stderr)]),
            (&[("fluentbit.io/exclude_stdout-proxy", "true")], [Nothing, Of(Stream::Stdout)]),
            (&[("fluentbit.io/exclude_stdin", "true"), ("fluentbit.io/parser", "nginx")], [Nothing, Nothing]),
            (&[("co.elastic.logs/enabled", "False")], [All, All]),
            (&[("co.elastic.logs/enabled", "true")], [Nothing, Nothing]),
            (
                &[("co.elastic.logs/enabled", "false"), ("co.elastic.logs.web/enabled", "true")],
                [Nothing, All],
            ),
            (&[("co.elastic.logs.web/enabled", "false")], [All, Nothing]),
            (&[("co.elastic.logs/multiline.pattern", "("), ("co.elastic.logsx/enabled", "?")], [Nothing; 2]),
            (&[("skidder.io/exclude", "false"), ("fluentbit.io/exclude", "true")], [All, All]),
        ] {
            assert_eq!(excluded(annotations), expected, "{annotations:?}");
        }
    }

    #[test]
    fn takes_filebeats_pipeline() {
        let both = [("co.elastic.logs/pipeline", "all"), ("co.elastic.logs.proxy/pipeline", "own")];
        let of = |container| PodSettings::from(&pod(&both), container, &Allowed::All).0.pipeline;
        assert_eq!((of("web").as_deref(), of("proxy").as_deref()), (Some("all"), Some("own")));
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
            ("fluentbit.io/exclude-proxy", "no"),
            ("fluentbit.io/exclude-nobody", "true"),
            ("co.elastic.logs/enabled", "0"),
            ("co.elastic.logs.proxy/pipeline", ""),
        ] {
            let (settings, wrong) = read(&[(name, text)]);
            assert_eq!(settings, PodSettings::default(), "{name}: {text}");
            assert_eq!(wrong.len(), 1, "{name}");
            assert!(wrong[0].contains(name) && wrong[0].contains("ignored"), "{}", wrong[0]);
        }
    }

    #[test]
    fn is_bounded_by_what_is_allowed() {
        let pod = pod(&[
            ("skidder.io/exclude", "true"),
            ("co.elastic.logs.web/enabled", "false"),
            ("fluentbit.io/exclude-web", "true"),
            ("skidder.io/json", "off"),
            ("skidder.io/pipeline", "not allowed, so not even read"),
        ]);
        let of = |allowed: &Allowed| PodSettings::from(&pod, "web", allowed);
        assert_eq!(of(&Allowed::None), (PodSettings::default(), Vec::new()));
        let only = |name: &str| of(&Allowed::Only([name.to_owned()].into()));
        let expected = PodSettings { json: Some(JsonMode::Off), ..PodSettings::default() };
        assert_eq!(only(JSON), (expected, Vec::new()));
        let expected = PodSettings { excluded: Excluded::All, ..PodSettings::default() };
        for name in [EXCLUDE, FLUENT_BIT_EXCLUDE, ELASTIC_ENABLED] {
            assert_eq!(only(name), (expected.clone(), Vec::new()), "{name}");
        }
    }
}
