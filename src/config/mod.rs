//! Configuration: what a user may write, checked once.
//!
//! A [`Config`] is what all rooms' settings are made from. Its text goes through four steps, each of which
//! knows the line that it speaks of:
//!
//! ```text
//! text → tree (YAML with lines) → ${NAME} filled in → typed values with defaults → rules between keys
//! ```
//!
//! An option is written in two places: as a field here, with its default, and in the room that obeys it. A
//! `Config` in a wrong state cannot exist: whatever is wrong is a [`ConfigError`] with file, line and key.
//! Nothing here watches or applies anything.

mod agent;
mod cloud;
mod de;
mod enrich;
mod error;
mod fixture;
mod input;
mod interpolate;
mod output;
mod rules;
#[cfg(test)]
mod schema;
mod secret;
mod text;
mod tree;
pub mod units;

pub use agent::{Http, Level, Listen, Log, LogFormat, Shutdown, ShutdownMode};
pub use enrich::{
    DropRule, Events, Json, Kubelet, KubeletUrl, Kubernetes, OwnPod, PodAnnotation, PodAnnotations,
    Redaction, Switch,
};
pub use error::ConfigError;
pub use fixture::{Fixture, FixturePod, Fixtures};
pub use input::{
    Fields, FileBlock, Format, HeldFiles, Language, Languages, Multiline, PatternRule, Rule, Selector,
    StartAt,
};
pub use interpolate::Env;
pub use output::{
    Auth, Batch, ClientCertificate, Compression, DataStream, Destination, Elasticsearch, Output, Schema,
    Stdout, StdoutFormat, Tls,
};
pub use secret::{MASK, Secret, SecretSource};
pub use text::{
    DatasetName, Glob, HttpUrl, IndexPart, IndexPattern, NamespaceName, PathGlob, Pattern, TimePattern,
};

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use error::Fault;
use tree::Node;
use units::size;

/// Where the configuration is looked for when neither `--config` nor `$SKIDDER_CONFIG` says it.
pub const DEFAULT_FILE: &str = "/etc/skidder/skidder.yaml";

/// All that a user may configure. Serializes as the YAML that it could have been read from, secrets masked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `kubernetes.node.name` and `host.name` of documents. Default: `$NODE_NAME`, else the host's name.
    #[serde(default)]
    pub node_name: String,
    /// Checkpoints, cuts, spool, dead letters; one agent at a time, a second one waits and is not ready.
    /// Default: `/var/lib/skidder`.
    #[serde(default = "default::data_dir")]
    pub data_dir: PathBuf,
    /// What SIGTERM means.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// Memory for all that is read and not yet acknowledged; when it is spent, reading stops and the log files
    /// are the queue. `files[].max_line_bytes`, `multiline.max_bytes` and `batch.max_bytes` must fit in it.
    /// Default: `32MiB`.
    #[serde(
        default = "default::max_buffered_bytes",
        serialize_with = "size::serialize",
        deserialize_with = "size::positive"
    )]
    #[cfg_attr(test, schemars(with = "schema::Size"))]
    pub max_buffered_bytes: u64,
    /// What is read, at least one block.
    #[serde(default = "default::files")]
    pub files: Vec<FileBlock>,
    /// Unlinked files that are not read to their end yet.
    #[serde(default)]
    pub held_files: HeldFiles,
    /// Which lines are one event.
    #[serde(default)]
    pub multiline: Multiline,
    /// What is known of a file's pod.
    #[serde(default)]
    pub kubernetes: Kubernetes,
    /// What becomes of each event.
    #[serde(default)]
    pub events: Events,
    /// Where it goes.
    pub output: Output,
    /// The agent's own server.
    #[serde(default)]
    pub http: Http,
    /// The agent's own log.
    #[serde(default)]
    pub log: Log,
}

/// The defaults of [`Config`]'s own values.
mod default {
    use std::path::PathBuf;

    pub fn data_dir() -> PathBuf {
        "/var/lib/skidder".into()
    }

    pub fn max_buffered_bytes() -> u64 {
        32 << 20
    }

    pub fn files() -> Vec<super::FileBlock> {
        vec![super::FileBlock::default()]
    }
}

impl Config {
    /// Reads the configuration from `path`, else `$SKIDDER_CONFIG`, else [`DEFAULT_FILE`], and looks whether the
    /// output's secrets can be read.
    pub fn load(path: Option<&Path>, env: &Env<'_>) -> Result<Self, ConfigError> {
        let path = Self::file(path, env);
        let text = read(&path, THE_CONFIGURATION, NAME_IT)?;
        Draft::parse(&text, &path.display().to_string())?.finish(env, Secrets::Read)
    }

    /// As [`Config::load`], for what does not speak to the output: its secrets need not be there.
    pub fn load_without_secrets(path: Option<&Path>, env: &Env<'_>) -> Result<Self, ConfigError> {
        let path = Self::file(path, env);
        let text = read(&path, THE_CONFIGURATION, NAME_IT)?;
        Self::parse(&text, &path.display().to_string(), env)
    }

    /// The file that [`Config::load`] reads.
    pub fn file(path: Option<&Path>, env: &Env<'_>) -> PathBuf {
        let named = || env("SKIDDER_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from);
        path.map(Path::to_path_buf).or_else(named).unwrap_or_else(|| DEFAULT_FILE.into())
    }

    /// As [`Config::load`], with standard output in place of what the file says of the output (its
    /// `output.stdout.format` is kept). Without a file at [`DEFAULT_FILE`], all keys have their defaults.
    pub fn load_for_stdout(path: Option<&Path>, env: &Env<'_>) -> Result<Self, ConfigError> {
        let found = Self::file(path, env);
        let named = found != Path::new(DEFAULT_FILE);
        let text =
            if named || found.exists() { read(&found, THE_CONFIGURATION, NAME_IT)? } else { String::new() };
        let mut draft = Draft::parse(&text, &found.display().to_string())?;
        let shown = draft.write_to_stdout(env).map_err(|fault| fault.in_file(&draft.file))?;
        let mut config = draft.finish(env, Secrets::Ignore)?;
        if let Output::Stdout(stdout) = &mut config.output {
            *stdout.shown = shown;
        }
        Ok(config)
    }

    /// Reads a configuration from its text; `file` is how errors name it. Secrets in files are not looked at.
    pub fn parse(text: &str, file: &str, env: &Env<'_>) -> Result<Self, ConfigError> {
        Draft::parse(text, file)?.finish(env, Secrets::Ignore)
    }

    /// All defaults, with this output.
    pub fn with_output(output: Output, env: &Env<'_>) -> Result<Self, ConfigError> {
        let stdout = Self::parse("output: { stdout: {} }", "the defaults", env)?;
        Ok(Self { output, ..stdout })
    }

    /// The effective configuration as YAML, secrets masked: but for them, it reads back as the same.
    pub fn to_yaml(&self) -> String {
        // JSON is YAML, and the tree keeps the order of the keys. Both can only fail on what serde cannot write
        // as JSON, such as a map whose keys are no text; there is none.
        let escaped = Node::parse(&self.to_json()).and_then(|mut root| {
            root.try_map_scalars("", &mut |text| Ok(text.replace("${", "$${")))?;
            Ok(root)
        });
        escaped.map(|root| root.to_string()).unwrap_or_default()
    }

    /// The effective configuration as JSON, secrets masked.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Sixteen hex digits that change with the configuration, and are the same on every node that has it: they
    /// leave out `node_name` and `kubernetes.kubelet.url`, which name the node. Nothing of a secret is in them.
    pub fn hash(&self) -> String {
        let mut shared = self.clone();
        shared.node_name.clear();
        shared.kubernetes.kubelet.url = None;
        format!("{:016x}", xxhash_rust::xxh3::xxh3_64(shared.to_json().as_bytes()))
    }
}

/// Whether the files of the output's secrets are looked at.
#[derive(Clone, Copy)]
enum Secrets {
    Read,
    Ignore,
}

/// A configuration on its way from text to [`Config`].
struct Draft {
    file: String,
    root: Node,
}

impl Draft {
    fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        // A byte order mark is a habit of editors, not YAML's.
        let root = Node::parse(text.trim_start_matches('\u{feff}')).map_err(|fault| fault.in_file(file))?;
        Ok(Self { file: file.to_owned(), root })
    }

    /// Puts `output: { stdout: … }` in place of the output. Returns whose documents are shown then: of an
    /// Elasticsearch what makes its documents, for how it is reached may not even be known here.
    fn write_to_stdout(&mut self, env: &Env<'_>) -> Result<Elasticsearch, Fault> {
        let output = self.root.keep_only("output", "stdout");
        let elasticsearch = output.as_ref().and_then(|output| output.get("elasticsearch"));
        let Some(mut shown) = elasticsearch.map(|entry| entry.value.clone()).filter(Node::is_mapping) else {
            return Ok(Elasticsearch::default());
        };
        shown.retain(&Elasticsearch::OF_DOCUMENTS);
        shown.try_map_scalars("output.elasticsearch", &mut |text| interpolate::fill(text, env))?;
        Elasticsearch::deserialize(&shown).map_err(|fault| fault.under("output.elasticsearch"))
    }

    fn finish(mut self, env: &Env<'_>, secrets: Secrets) -> Result<Config, ConfigError> {
        let config = self.check(env, secrets).map_err(|fault| fault.in_file(&self.file))?;
        obey_environment(config, env)
    }

    fn check(&mut self, env: &Env<'_>, secrets: Secrets) -> Result<Config, Fault> {
        self.root.try_map_scalars("", &mut |text| interpolate::fill(text, env))?;
        if self.root.get("output").is_none_or(|output| output.value.is_null()) && self.root.is_mapping() {
            // It may be there under a misspelt name: what is wrong with the other keys is said first.
            let mut others = self.root.clone();
            others.keep_only("output", "stdout");
            Config::deserialize(&others)?;
            let line = "output: { elasticsearch: { urls: [\"https://elasticsearch:9200\"] } }";
            return Err(Fault::new(format!("is missing; add the line `{line}`")).under("output"));
        }
        let mut config = Config::deserialize(&self.root)?;
        if config.node_name.is_empty() {
            config.node_name = env("NODE_NAME").filter(|name| !name.is_empty()).unwrap_or_else(host_name);
        }
        let kubelet = &mut config.kubernetes.kubelet;
        if kubelet.url.is_none() && env("NODE_IP").is_some_and(|address| !address.is_empty()) {
            let url = interpolate::fill("https://${NODE_IP}:10250", env)?;
            let wrong = |why| Fault::new(format!("the environment's NODE_IP makes no URL: {why}"));
            kubelet.url = Some(url.parse().map_err(wrong)?);
        }
        rules::check(&config, &self.root)?;
        if matches!(secrets, Secrets::Read) {
            rules::check_secrets(&config, &self.root)?;
        }
        Ok(config)
    }
}

/// `$SKIDDER_LOG` comes before `log.level`.
fn obey_environment(mut config: Config, env: &Env<'_>) -> Result<Config, ConfigError> {
    if let Some(level) = env("SKIDDER_LOG").filter(|level| !level.is_empty()) {
        let word = Node::word(&level);
        config.log.level =
            Level::deserialize(&word).map_err(|fault| Fault::new(fault.message).in_file("$SKIDDER_LOG"))?;
    }
    Ok(config)
}

/// How the configuration's file is called, and where its name comes from.
const THE_CONFIGURATION: &str = "the configuration";
const NAME_IT: &str = "name the file with --config or $SKIDDER_CONFIG";

fn read(path: &Path, what: &str, missing: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let todo = match error.kind() {
            io::ErrorKind::NotFound => missing,
            io::ErrorKind::PermissionDenied => "let this user read it",
            io::ErrorKind::InvalidData => "save it as UTF-8",
            _ => "name a file that can be read",
        };
        let message = format!("cannot read {what} ({}); {todo}", plain_words(&error));
        Fault::new(message).in_file(&path.display().to_string())
    })
}

/// The operating system's words without its number.
fn plain_words(error: &io::Error) -> String {
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What the host calls itself.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(_name: &str) -> Option<String> {
        None
    }

    fn on_a_node(name: &str) -> Option<String> {
        match name {
            "NODE_NAME" => Some("node-7".into()),
            "NODE_IP" => Some("fd00::7".into()),
            _ => None,
        }
    }

    fn parse(text: &str) -> Config {
        Config::parse(text, "test.yaml", &bare).unwrap()
    }

    #[test]
    fn the_least_configuration_has_all_defaults() {
        let config = parse("output: stdout");
        assert_eq!(config, parse("output: { stdout: }"));
        assert_eq!(config, parse("output:\n  stdout: {}\n"));
        assert_eq!(config, Config::with_output(Output::Stdout(Stdout::default()), &bare).unwrap());
        assert_eq!(config.files[0].include[0].as_str(), "/var/log/containers/*.log");
        assert_eq!(config.kubernetes.labels[0].as_str(), "*");
        assert!(!config.node_name.is_empty());
        let Output::Elasticsearch(output) = parse("output: elasticsearch").output else { panic!() };
        assert_eq!(*output, Elasticsearch::default());
        assert_eq!(output.urls[0].as_str(), "https://elasticsearch:9200");
    }

    #[test]
    fn the_node_is_known_from_the_environment() {
        let config = Config::parse("output: stdout", "test.yaml", &on_a_node).unwrap();
        assert_eq!(config.node_name, "node-7");
        assert_eq!(config.kubernetes.kubelet.url.unwrap().to_string(), "https://[fd00::7]:10250");
        let text = "node_name: n-${NODE_NAME}\nkubernetes: { kubelet: { url: 'https://${NODE_IP}:1' } }\noutput: stdout";
        let config = Config::parse(text, "test.yaml", &on_a_node).unwrap();
        assert_eq!(config.node_name, "n-node-7");
        assert_eq!(config.kubernetes.kubelet.url.unwrap().to_string(), "https://[fd00::7]:1");
        assert_eq!(parse("output: stdout").kubernetes.kubelet.url, None);
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        let text = r#"
            shutdown: { mode: drain, timeout: 90s }
            files:
              - { include: ["/a b/**/*.log"], exclude: ['*-x'], format: plain, time: "%Y-%m-%d %H:%M:%S", dataset: x.y }
              - { add_fields: { a: [1, 2.5, true, null, "x", { b: c }], "007": 007 } }
            multiline:
              languages: [java, go]
              patterns:
                - { name: dated, match: { labels: { app.kubernetes.io/name: "c*" } } }
                - { name: banner, start: '^\[BEGIN "x"\\', continue: '^\s' }
            kubernetes: { enabled: false, pod_annotations: [skidder.io/json], labels: [], wait: 0s }
            events:
              json: off
              drop: [{ pod: "x*", message: "^GET /healthz" }]
              redact: [{ pattern: '\d{16}', replacement: "$0 ${1:-}$${x}" }]
              rate_limit: 5MiB/s
            output:
              elasticsearch:
                username: skidder
                password_file: /run/password
                tls: { ca_file: /ca.pem, cert_file: /c.pem, key_file: /k.pem }
                data_stream: { namespace: prod }
                retention: 30d
                in_flight: 4
            http: { listen: "127.0.0.1:0" }
            log: { level: debug, format: json }"#;
        let env = |name: &str| Some(format!("<{name}>"));
        let text = text.replace("${1:-}", "${ONE}");
        let config =
            Config::parse(&text, "test.yaml", &|name| Some(name).filter(|n| *n == "ONE").and_then(env))
                .unwrap();
        let shown = config.to_yaml();
        let again = parse(&shown);
        assert_eq!(again, config, "{shown}");
        assert_eq!(again.hash(), config.hash());
        assert_eq!(parse(&config.to_json().replace("${", "$${")), config);
        assert_eq!(config.events.redact[0].replacement, "$0 <ONE>${x}");
        let odd = &config.files[1].add_fields;
        assert_eq!(
            serde_json::to_string(odd).unwrap(),
            r#"{"007":"007","a":[1,2.5,true,null,"x",{"b":"c"}]}"#
        );
    }

    #[test]
    fn secrets_are_never_shown() {
        let text = "output: { elasticsearch: { api_key: s3cr3t-key } }";
        let config = parse(text);
        for shown in [config.to_yaml(), config.to_json(), format!("{config:?}"), config.hash()] {
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        assert!(config.to_yaml().contains("api_key: \"***\""));
        let other = parse("output: { elasticsearch: { api_key: another } }");
        assert_ne!(config, other);
        assert_eq!(config.hash(), other.hash());
        let wrong = "output: { elasticsearch: { urls: ['https://u:s3cr3t@es:9200'] } }";
        let error = Config::parse(wrong, "test.yaml", &bare).unwrap_err();
        assert!(!format!("{error:?}{error}").contains("s3cr3t"), "{error}");
    }

    #[test]
    fn standard_output_takes_the_place_of_the_output() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skidder.yaml");
        let load = |text: &str| {
            std::fs::write(&file, text).unwrap();
            Config::load_for_stdout(Some(&file), &bare)
        };
        let stdout = |format| Output::Stdout(Stdout { format, ..Stdout::default() });
        let no_secret = "output: { elasticsearch: { api_key_file: /nowhere } }\ndata_dir: /x";
        assert!(Config::load(Some(&file), &bare).is_err());
        let config = load(no_secret).unwrap();
        assert_eq!((config.output, config.data_dir), (stdout(StdoutFormat::Json), "/x".into()));
        assert!(Config::load(Some(&file), &bare).unwrap_err().message.contains("/nowhere"));
        let other =
            load("output: { elasticsearch: { schema: fluentd, index: 'app-%Y', api_key: '${NO_KEY}' } }")
                .unwrap();
        let Output::Stdout(Stdout { shown, .. }) = other.output else { panic!("{:?}", other.output) };
        assert!(matches!((shown.schema, &shown.destination), (Schema::Fluentd, Destination::Index(_))));
        let wrong = load("output:\n  elasticsearch:\n    schema: fluent").unwrap_err();
        assert_eq!((wrong.line, wrong.key.as_str()), (Some(3), "output.elasticsearch.schema"), "{wrong}");
        assert_eq!(load("output: { stdout: { format: raw } }").unwrap().output, stdout(StdoutFormat::Raw));
        assert_eq!(load("").unwrap().output, stdout(StdoutFormat::Json));
        assert_eq!(load("data_dri: /x").unwrap_err().line, Some(1));
        // A file that was named must be there.
        assert!(Config::load_for_stdout(Some(&folder.path().join("none.yaml")), &bare).is_err());
    }

    #[test]
    fn the_hash_is_the_same_on_every_node() {
        let text = "output: stdout";
        let (here, there) = (parse(text), Config::parse(text, "other.yaml", &on_a_node).unwrap());
        assert_ne!(here, there);
        assert_eq!(here.hash(), there.hash());
        assert_ne!(here.hash(), parse("output: stdout\ndata_dir: /elsewhere").hash());
    }
}
