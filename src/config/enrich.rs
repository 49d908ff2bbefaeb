//! Whose event it is and what becomes of it: `kubernetes`, `events`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::instead;
use super::input::{Fields, Selector};
#[cfg(test)]
use super::schema;
use super::text::{Glob, HttpUrl, Pattern, optional};
use super::units::{duration, optional_rate};

/// `kubernetes`: what is known of a file's pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Kubernetes {
    /// Whether files are looked at as a pod's: `auto` for those named as the kubelet names them, `true`,
    /// `false`. Default: `auto`.
    pub enabled: Switch,
    /// Who is asked.
    pub kubelet: Kubelet,
    /// For a sidecar: the pod that it is of.
    pub pod: OwnPod,
    /// How long a new pod's events wait for its metadata; then they ship without. Default: `10s`.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "schema::Duration"))]
    pub wait: Duration,
    /// Globs of the labels that documents carry. Default: `["*"]`.
    pub labels: Vec<Glob>,
    /// Globs of the annotations that documents carry. Default: `[]`.
    pub annotations: Vec<Glob>,
    /// Dots in their names become underscores: `app_kubernetes_io/name`. Default: `true`.
    pub dedot: bool,
    /// What pods may decide for themselves: `true`, `false`, or some of `skidder.io/exclude`,
    /// `skidder.io/exclude-containers`, `fluentbit.io/exclude`, `co.elastic.logs/enabled`, `co.elastic.logs/pipeline`,
    /// `skidder.io/multiline`, `skidder.io/json`, `skidder.io/dataset`, `skidder.io/pipeline`. Default: `true`.
    pub pod_annotations: PodAnnotations,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            enabled: Switch::Auto,
            kubelet: Kubelet::default(),
            pod: OwnPod::default(),
            wait: Duration::from_secs(10),
            // Of fixed text that parses; a test holds it.
            labels: "*".parse().into_iter().collect(),
            annotations: Vec::new(),
            dedot: true,
            pod_annotations: PodAnnotations::All,
        }
    }
}

/// `auto`, `true` or `false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// For files that are named as the kubelet names them.
    #[default]
    Auto,
    /// For all files.
    #[serde(rename = "true")]
    On,
    /// For none.
    #[serde(rename = "false")]
    Off,
}

/// `kubernetes.kubelet`: who is asked about the node's pods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Kubelet {
    /// Whether the kubelet is asked; if not, the file's path alone tells of the pod. Default: `true`.
    pub enabled: bool,
    /// Where the kubelet is; or a file that holds an answer of its `/pods`. Default: `https://${NODE_IP}:10250`
    /// where `$NODE_IP` is set, else none.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<KubeletUrl>"))]
    pub url: Option<KubeletUrl>,
    /// Read again when it changes; one that is missing is said once. Default:
    /// `/var/run/secrets/kubernetes.io/serviceaccount/token`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    pub token_file: Option<PathBuf>,
    /// Who signed the kubelet's certificate. Default: `/var/run/secrets/kubernetes.io/serviceaccount/ca.crt`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    pub ca_file: Option<PathBuf>,
    /// The name to verify, when the certificate names the node and not its IP. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub server_name: Option<String>,
    /// Takes any certificate. Default: `false`.
    pub insecure_skip_verify: bool,
    /// How often the kubelet is asked when nothing new shows up. Default: `60s`.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::positive")]
    #[cfg_attr(test, schemars(with = "schema::Duration"))]
    pub refresh: Duration,
}

/// Where Kubernetes mounts a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

impl Default for Kubelet {
    fn default() -> Self {
        Self {
            enabled: true,
            url: None,
            token_file: Some(format!("{SERVICE_ACCOUNT}/token").into()),
            ca_file: Some(format!("{SERVICE_ACCOUNT}/ca.crt").into()),
            server_name: None,
            insecure_skip_verify: false,
            refresh: Duration::from_secs(60),
        }
    }
}

/// `kubernetes.pod`: the pod that a sidecar is of, as the downward API tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct OwnPod {
    /// For a sidecar: the pod that all files are of which the kubelet has not named; `${POD_NAME}`. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub name: Option<String>,
    /// Its namespace; `${POD_NAMESPACE}`. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub namespace: Option<String>,
    /// Its uid; `${POD_UID}`. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub uid: Option<String>,
    /// Its address; `${POD_IP}`. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub ip: Option<String>,
    /// A folder, the mount of a `downwardAPI` volume, with the files `labels` and, if wanted, `annotations`; read
    /// again when they change. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    pub podinfo: Option<PathBuf>,
}

/// Where the kubelet is, or a file that holds an answer of its `/pods`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KubeletUrl {
    /// The kubelet.
    Http(HttpUrl),
    /// A recorded answer: for demonstrations and for looking at logs elsewhere.
    File(PathBuf),
}

impl FromStr for KubeletUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("://") {
            None => match text.rsplit_once(':') {
                Some((host, port)) if !host.contains('/') && port.parse::<u16>().is_ok() => {
                    Err(format!("`{text}` is neither a URL nor a file; write such as https://{text}"))
                }
                _ => Ok(Self::File(text.into())),
            },
            Some(("file", path)) => Ok(Self::File(path.into())),
            Some(_) => text.parse().map(Self::Http),
        }
    }
}

impl fmt::Display for KubeletUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(url) => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Serialize for KubeletUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a pod may decide for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodAnnotation {
    /// `skidder.io/exclude`
    Exclude,
    /// `skidder.io/exclude-containers`
    ExcludeContainers,
    /// `fluentbit.io/exclude`
    FluentBitExclude,
    /// `co.elastic.logs/enabled`
    ElasticEnabled,
    /// `co.elastic.logs/pipeline`
    ElasticPipeline,
    /// `skidder.io/multiline`
    Multiline,
    /// `skidder.io/json`
    Json,
    /// `skidder.io/dataset`
    Dataset,
    /// `skidder.io/pipeline`
    Pipeline,
}

impl PodAnnotation {
    /// All of them with their names.
    pub const ALL: [(Self, &str); 9] = [
        (Self::Exclude, "skidder.io/exclude"),
        (Self::ExcludeContainers, "skidder.io/exclude-containers"),
        (Self::FluentBitExclude, "fluentbit.io/exclude"),
        (Self::ElasticEnabled, "co.elastic.logs/enabled"),
        (Self::ElasticPipeline, "co.elastic.logs/pipeline"),
        (Self::Multiline, "skidder.io/multiline"),
        (Self::Json, "skidder.io/json"),
        (Self::Dataset, "skidder.io/dataset"),
        (Self::Pipeline, "skidder.io/pipeline"),
    ];

    /// The annotation's name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(annotation, _)| *annotation == self).map_or("", |(_, name)| name)
    }
}

impl<'de> Deserialize<'de> for PodAnnotation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().find(|(_, name)| *name == text);
        let names = Self::ALL.map(|(_, name)| name);
        let unknown = || format!("`{text}` is not an annotation of these; {}", instead(&text, &names));
        found.map(|(annotation, _)| *annotation).ok_or_else(|| serde::de::Error::custom(unknown()))
    }
}

/// `kubernetes.pod_annotations`: which annotations pods may set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PodAnnotations {
    /// All that there are.
    #[default]
    All,
    /// None.
    None,
    /// These.
    Only(Vec<PodAnnotation>),
}

impl PodAnnotations {
    /// Whether pods may set this one.
    pub fn allow(&self, annotation: PodAnnotation) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Only(allowed) => allowed.contains(&annotation),
        }
    }
}

impl Serialize for PodAnnotations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => true.serialize(serializer),
            Self::None => false.serialize(serializer),
            Self::Only(allowed) => serializer.collect_seq(allowed.iter().map(|annotation| annotation.name())),
        }
    }
}

impl<'de> Deserialize<'de> for PodAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AllOrSome;

        impl<'de> Visitor<'de> for AllOrSome {
            type Value = PodAnnotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false or a list of annotations")
            }

            fn visit_bool<E>(self, all: bool) -> Result<Self::Value, E> {
                Ok(if all { PodAnnotations::All } else { PodAnnotations::None })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut allowed = Vec::new();
                while let Some(annotation) = items.next_element()? {
                    allowed.push(annotation);
                }
                Ok(PodAnnotations::Only(allowed))
            }
        }

        deserializer.deserialize_any(AllOrSome)
    }
}

/// `events`: what becomes of each event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// A message that is a JSON object also goes, parsed, under `json`; `merge`: its keys into the document's
    /// root; `off`. Default: `nested`.
    pub json: Json,
    /// Fields that every document carries. Default: `{}`.
    pub add_fields: Fields,
    /// Events that are not shipped: those that any of these matches. Default: `[]`.
    pub drop: Vec<DropRule>,
    /// What is replaced in messages, one after the other. Default: `[]`.
    pub redact: Vec<Redaction>,
    /// Bytes per second and container, such as `5MiB/s`; what is more is dropped, counted, and said by one
    /// event. Default: `""`.
    #[serde(with = "optional_rate")]
    #[cfg_attr(test, schemars(with = "schema::Rate"))]
    pub rate_limit: Option<u64>,
}

/// What becomes of a message that is a JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Json {
    /// It also goes, parsed, under `json`.
    #[default]
    Nested,
    /// Its keys go into the document's root.
    Merge,
    /// It is text as any other.
    Off,
}

/// Which events are not shipped: those of the containers meant, whose message matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "WrittenDrop", into = "WrittenDrop")]
pub struct DropRule {
    /// The containers meant.
    pub selector: Selector,
    /// What is to be found in the message; `None`: any message.
    pub message: Option<Pattern>,
}

/// A [`DropRule`] as it is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct WrittenDrop {
    /// Glob of the pod's namespace. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<Glob>,
    /// Glob of the pod's name. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<Glob>,
    /// Glob of the container's name. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Glob>,
    /// Labels of the pod that must be there, with globs of their values. Default: any.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    labels: std::collections::BTreeMap<String, Glob>,
    /// A pattern that is found in the message. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Pattern>,
}

impl TryFrom<WrittenDrop> for DropRule {
    type Error = String;

    fn try_from(written: WrittenDrop) -> Result<Self, String> {
        let WrittenDrop { namespace, pod, container, labels, message } = written;
        let selector = Selector { namespace, pod, container, labels };
        if selector.is_empty() && message.is_none() {
            return Err("says nothing and would drop every event; name a namespace, pod, container, labels or message".into());
        }
        Ok(Self { selector, message })
    }
}

impl From<DropRule> for WrittenDrop {
    fn from(rule: DropRule) -> Self {
        let Selector { namespace, pod, container, labels } = rule.selector;
        Self { namespace, pod, container, labels, message: rule.message }
    }
}

/// What is replaced within messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// What is found, each time.
    pub pattern: Pattern,
    /// What stands in its place; `$1` is the pattern's first group, `$${name}` the group `name`. Default:
    /// `***`.
    #[serde(default = "Redaction::mask")]
    pub replacement: String,
}

impl Redaction {
    fn mask() -> String {
        super::secret::MASK.to_owned()
    }
}
