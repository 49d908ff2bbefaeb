//! Where it goes: `output`.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cloud;
#[cfg(test)]
use super::schema;
use super::secret::{Secret, SecretSource};
use super::text::{DatasetName, HttpUrl, IndexPattern, NamespaceName, optional};
use super::units::{count, duration, optional_duration, size};

/// `output`: exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Elasticsearch or OpenSearch.
    Elasticsearch(Box<Elasticsearch>),
    /// Standard output.
    Stdout(Stdout),
}

/// `output.stdout`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Stdout {
    /// `json` (documents, one a line), `pretty`, `bulk` (the bulk body), `raw` (the message alone). Default:
    /// `json`.
    pub format: StdoutFormat,
    /// Whose documents are shown: the output that standard output stands in for, all defaults for none.
    #[serde(skip)]
    pub shown: Box<Elasticsearch>,
}

/// How events look on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum StdoutFormat {
    /// For reading: time, pod, container, message.
    Pretty,
    /// The document that would be shipped, one a line.
    #[default]
    Json,
    /// The body of the bulk request.
    Bulk,
    /// The joined message alone.
    Raw,
}

/// `output.elasticsearch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "WrittenElasticsearch", into = "WrittenElasticsearch")]
pub struct Elasticsearch {
    /// The cluster's nodes, at least one; tried in turn.
    pub urls: Vec<HttpUrl>,
    /// Who we are.
    pub auth: Auth,
    /// Whom we trust.
    pub tls: Tls,
    /// Which data stream or index.
    pub destination: Destination,
    /// What documents look like. Default: `ecs`.
    pub schema: Schema,
    /// The ingest pipeline.
    pub pipeline: Option<String>,
    /// Whether documents carry ids of ours, so that none is stored twice. Default: true.
    pub document_ids: bool,
    /// How bodies travel. Default: `gzip`.
    pub compression: Compression,
    /// When a batch is full.
    pub batch: Batch,
    /// How many requests may wait for their answer at a time. Default: 2.
    pub in_flight: NonZeroU32,
    /// How long a request may take. Default: 60 s.
    pub timeout: Duration,
    /// Whether the index template is installed at start, where the credentials allow it. Default: true.
    pub setup: bool,
}

impl Default for Elasticsearch {
    fn default() -> Self {
        Self {
            // Of fixed text that parses; a test holds it.
            urls: "https://elasticsearch:9200".parse().into_iter().collect(),
            auth: Auth::None,
            tls: Tls::default(),
            destination: Destination::DataStream { name: DataStream::default(), retention: None },
            schema: Schema::Ecs,
            pipeline: None,
            document_ids: true,
            compression: Compression::Gzip,
            batch: Batch::default(),
            in_flight: const { NonZeroU32::new(2).unwrap() },
            timeout: Duration::from_secs(60),
            setup: true,
        }
    }
}

impl Elasticsearch {
    /// The keys that decide on documents, their ids and where they belong, and not on how they get there.
    pub(super) const OF_DOCUMENTS: [&str; 5] = ["data_stream", "index", "schema", "pipeline", "document_ids"];

    /// The files that must be there before anything is read: the key within `output.elasticsearch`, and the path.
    pub fn files(&self) -> Vec<(&'static str, &Path)> {
        let mut files = Vec::new();
        match &self.auth {
            Auth::ApiKey(SecretSource::File(path)) => files.push(("api_key_file", path.as_path())),
            Auth::Basic { password: SecretSource::File(path), .. } => {
                files.push(("password_file", path.as_path()))
            }
            _ => {}
        }
        files.extend(self.tls.ca_file.as_deref().map(|path| ("tls.ca_file", path)));
        if let Some(client) = &self.tls.client {
            files.push(("tls.cert_file", &client.cert_file));
            files.push(("tls.key_file", &client.key_file));
        }
        files
    }
}

/// Who we are to Elasticsearch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Nobody in particular.
    #[default]
    None,
    /// An API key: as Elasticsearch encoded it, or `id:key`.
    ApiKey(SecretSource),
    /// A user.
    Basic {
        /// The user's name.
        username: String,
        /// The user's password.
        password: SecretSource,
    },
}

/// `output.elasticsearch.tls`: whom we trust, and who we are to TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "WrittenTls", into = "WrittenTls")]
pub struct Tls {
    /// The authority that signed the server's certificate; `None`: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub client: Option<ClientCertificate>,
    /// Whether the server's certificate is not verified. Default: false.
    pub insecure_skip_verify: bool,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and those between it and its authority.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// A [`Tls`] as it is written.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct WrittenTls {
    /// Who signed the server's certificate. Default: those that the system trusts.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    ca_file: Option<PathBuf>,
    /// Our own certificate.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    cert_file: Option<PathBuf>,
    /// And its key.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    key_file: Option<PathBuf>,
    /// Takes any certificate. Default: `false`.
    insecure_skip_verify: bool,
}

impl TryFrom<WrittenTls> for Tls {
    type Error = &'static str;

    fn try_from(written: WrittenTls) -> Result<Self, &'static str> {
        let WrittenTls { ca_file, cert_file, key_file, insecure_skip_verify } = written;
        let client = match (cert_file, key_file) {
            (Some(cert_file), Some(key_file)) => Some(ClientCertificate { cert_file, key_file }),
            (None, None) => None,
            (Some(_), None) => return Err("cert_file is of no use without its key; add key_file"),
            (None, Some(_)) => return Err("key_file is of no use without its certificate; add cert_file"),
        };
        Ok(Self { ca_file, client, insecure_skip_verify })
    }
}

impl From<Tls> for WrittenTls {
    fn from(tls: Tls) -> Self {
        let (cert_file, key_file) = tls.client.map(|client| (client.cert_file, client.key_file)).unzip();
        Self { ca_file: tls.ca_file, cert_file, key_file, insecure_skip_verify: tls.insecure_skip_verify }
    }
}

/// Where documents are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Destination {
    /// `logs-<dataset>-<namespace>`.
    DataStream {
        /// Its name.
        name: DataStream,
        /// How long Elasticsearch keeps documents; `None`: as the cluster has it.
        retention: Option<Duration>,
    },
    /// An index whose name is made for each event.
    Index(IndexPattern),
}

/// `output.elasticsearch.data_stream`: the name's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DataStream {
    /// The data stream is `logs-<dataset>-<namespace>`. Default: `kubernetes.container_logs`.
    pub dataset: DatasetName,
    /// Default: `default`.
    pub namespace: NamespaceName,
}

/// What documents look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Schema {
    /// Elastic Common Schema with Filebeat's names.
    #[default]
    Ecs,
    /// What the usual Fluentd DaemonSet writes.
    Fluentd,
}

/// How bodies travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Compressed.
    #[default]
    Gzip,
    /// As they are.
    None,
}

/// `output.elasticsearch.batch`: when a batch is full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// A body's size before compression. Default: `5MiB`.
    #[serde(serialize_with = "size::serialize", deserialize_with = "size::positive")]
    #[cfg_attr(test, schemars(with = "schema::Size"))]
    pub max_bytes: u64,
    /// How long an event may wait for others. Default: `1s`.
    #[serde(with = "duration")]
    #[cfg_attr(test, schemars(with = "schema::Duration"))]
    pub max_wait: Duration,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_bytes: 5 << 20, max_wait: Duration::from_secs(1) }
    }
}

/// An [`Elasticsearch`] as it is written: keys of which some exclude others.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
struct WrittenElasticsearch {
    /// The cluster's nodes, tried in turn; without user or password in them. Default:
    /// `["https://elasticsearch:9200"]`.
    urls: Vec<HttpUrl>,
    /// In place of `urls`: a deployment's id, from Elastic Cloud's console.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    cloud_id: Option<String>,
    /// An API key, as Elasticsearch encoded it or `id:key`.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Secret>"))]
    api_key: Option<Secret>,
    /// The same from a file, read again when it changes.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    api_key_file: Option<PathBuf>,
    /// In place of an API key.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    username: Option<String>,
    /// The user's password.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Secret>"))]
    password: Option<Secret>,
    /// The same from a file, read again when it changes.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<PathBuf>"))]
    password_file: Option<PathBuf>,
    tls: Tls,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_stream: Option<DataStream>,
    /// Instead of `data_stream`: an index whose name is made for each event, from strftime of its time (UTC),
    /// `{namespace}` and `{labels.<name>}` of its pod.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<IndexPattern>"))]
    index: Option<IndexPattern>,
    /// Names of fields: `ecs` (as Filebeat's), or `fluentd` (as the usual Fluentd DaemonSet's). Default: `ecs`.
    schema: Schema,
    /// An ingest pipeline. Default: `""`.
    #[serde(with = "optional")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pipeline: Option<String>,
    /// Ids that keep an event sent twice from being stored twice; `false`: Elasticsearch makes them, a little
    /// cheaper there. Default: `true`.
    document_ids: bool,
    /// Or `none`. Default: `gzip`.
    compression: Compression,
    batch: Batch,
    /// Requests under way at a time. Default: `2`.
    #[serde(deserialize_with = "count")]
    #[cfg_attr(test, schemars(with = "NonZeroU32"))]
    in_flight: NonZeroU32,
    /// Of a request. Default: `60s`.
    #[serde(serialize_with = "duration::serialize", deserialize_with = "duration::positive")]
    #[cfg_attr(test, schemars(with = "schema::Duration"))]
    timeout: Duration,
    /// Installs the index template at start where the credentials allow it. Default: `true`.
    setup: bool,
    /// Such as `30d`: the data stream's own lifecycle, in the template. Default: `""`.
    #[serde(with = "optional_duration")]
    #[cfg_attr(test, schemars(with = "schema::OptionalDuration"))]
    retention: Option<Duration>,
}

impl Default for WrittenElasticsearch {
    fn default() -> Self {
        // The data stream is not "written" by default: beside an index it would be one destination too many.
        let mut written = Self::from(Elasticsearch::default());
        written.data_stream = None;
        written
    }
}

impl WrittenElasticsearch {
    fn auth(&mut self) -> Result<Auth, &'static str> {
        let one_of = |here: Option<Secret>, file: Option<PathBuf>, both| match (here, file) {
            (Some(_), Some(_)) => Err(both),
            (here, file) => Ok(here.map(SecretSource::Here).or(file.map(SecretSource::File))),
        };
        let key = one_of(
            self.api_key.take(),
            self.api_key_file.take(),
            "api_key and api_key_file exclude each other; keep one",
        )?;
        let password = one_of(
            self.password.take(),
            self.password_file.take(),
            "password and password_file exclude each other; keep one",
        )?;
        match (key, self.username.take(), password) {
            (None, None, None) => Ok(Auth::None),
            (Some(key), None, None) => Ok(Auth::ApiKey(key)),
            (None, Some(username), Some(password)) => Ok(Auth::Basic { username, password }),
            (None, Some(_), None) => Err("username is of no use without its password; add password_file"),
            (None, None, Some(_)) => Err("a password is of no use without its user; add username"),
            (Some(_), ..) => Err("an API key and a user exclude each other; keep one"),
        }
    }
}

impl TryFrom<WrittenElasticsearch> for Elasticsearch {
    type Error = &'static str;

    fn try_from(mut written: WrittenElasticsearch) -> Result<Self, &'static str> {
        if let Some(cloud_id) = written.cloud_id.take() {
            if written.urls != Elasticsearch::default().urls {
                return Err("urls and cloud_id exclude each other; keep one");
            }
            written.urls = vec![cloud::url(&cloud_id)?];
        }
        if written.urls.is_empty() {
            return Err("urls is an empty list; write such as [\"https://elasticsearch:9200\"]");
        }
        let destination = match (written.index.take(), written.data_stream.take(), written.retention) {
            (Some(_), Some(_), _) => return Err("index and data_stream exclude each other; keep one"),
            (Some(_), None, Some(_)) => return Err("retention is a data stream's; remove it, or index"),
            (Some(index), None, None) => Destination::Index(index),
            (None, name, retention) => Destination::DataStream { name: name.unwrap_or_default(), retention },
        };
        Ok(Self {
            auth: written.auth()?,
            destination,
            urls: written.urls,
            tls: written.tls,
            schema: written.schema,
            pipeline: written.pipeline,
            document_ids: written.document_ids,
            compression: written.compression,
            batch: written.batch,
            in_flight: written.in_flight,
            timeout: written.timeout,
            setup: written.setup,
        })
    }
}

impl From<Elasticsearch> for WrittenElasticsearch {
    fn from(output: Elasticsearch) -> Self {
        let split = |source| match source {
            SecretSource::Here(secret) => (Some(secret), None),
            SecretSource::File(path) => (None, Some(path)),
        };
        let ((api_key, api_key_file), username, (password, password_file)) = match output.auth {
            Auth::None => ((None, None), None, (None, None)),
            Auth::ApiKey(key) => (split(key), None, (None, None)),
            Auth::Basic { username, password } => ((None, None), Some(username), split(password)),
        };
        let (data_stream, index, retention) = match output.destination {
            Destination::DataStream { name, retention } => (Some(name), None, retention),
            Destination::Index(index) => (None, Some(index), None),
        };
        Self {
            urls: output.urls,
            cloud_id: None,
            api_key,
            api_key_file,
            username,
            password,
            password_file,
            tls: output.tls,
            data_stream,
            index,
            schema: output.schema,
            pipeline: output.pipeline,
            document_ids: output.document_ids,
            compression: output.compression,
            batch: output.batch,
            in_flight: output.in_flight,
            timeout: output.timeout,
            setup: output.setup,
            retention,
        }
    }
}
