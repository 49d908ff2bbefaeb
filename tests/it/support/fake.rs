//! A scripted Elasticsearch: stores documents by id, and answers what a real one does not on demand.
//!
//! The same model answers over HTTP ([`Fake::serve`], [`Fake::serve_tls`]) and in memory (it is a [`Transport`]),
//! where a paused clock makes minutes pass at once.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hyper::body::Bytes;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use skidder::ship::elasticsearch::transport::{Answer, Body, Failure, Request, Transport};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::authority::Identity;

mod http;

/// What a bulk request meets.
#[derive(Clone)]
pub enum Behaviour {
    /// Stores and answers as Elasticsearch does.
    Accept,
    /// This status, these headers and this body; stores nothing.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// For each document (its number in the request, itself) the status and error of its item; `None` stores it.
    Items(ItemFault),
    /// The connection breaks before anything is stored.
    Reset,
    /// Stores everything, and the connection breaks before the answer.
    Lost,
    /// Stores everything, and never answers.
    Silent,
    /// Stores everything, and the answer ends in its middle.
    Cut,
    /// Stores everything, and the answer is something else.
    Garbage,
    /// Stores everything, and the answer has one item too few.
    Short,
    /// Stores everything, and the answer never ends.
    Endless,
    /// Accepts after a while.
    Slow(Duration),
    /// Meets this, and then the data stream rolls over.
    RollsOver(Box<Self>),
}

type ItemFault = Arc<dyn Fn(usize, &Value) -> Option<(u16, Value)> + Send + Sync>;

impl Behaviour {
    /// All by which everything is stored, and no answer says so.
    pub const LOST: [Self; 6] =
        [Self::Lost, Self::Silent, Self::Cut, Self::Garbage, Self::Short, Self::Endless];

    /// A status with an error of Elasticsearch's own.
    pub fn error(status: u16, kind: &str, reason: &str) -> Self {
        let body = json!({ "error": { "root_cause": [], "type": kind, "reason": reason }, "status": status });
        Self::Answer(status, Vec::new(), body.to_string())
    }

    /// Single documents fail.
    pub fn items(fault: impl Fn(usize, &Value) -> Option<(u16, Value)> + Send + Sync + 'static) -> Self {
        Self::Items(Arc::new(fault))
    }
}

/// An item's error.
pub fn item_error(status: u16, kind: &str, reason: &str) -> Option<(u16, Value)> {
    Some((status, json!({ "type": kind, "reason": reason })))
}

/// A bulk request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When, by tokio's clock.
    pub at: Instant,
    /// Path and query.
    pub path: String,
    /// The header `Authorization`, empty for none.
    pub authorization: String,
    /// The header `User-Agent`, empty for none.
    pub agent: String,
    /// Action lines and documents, unzipped.
    pub lines: Vec<(Value, Value)>,
    /// How long the body was, unzipped.
    pub bytes: usize,
}

impl Seen {
    /// The data stream or index in the path.
    pub fn target(&self) -> &str {
        self.path.split('/').nth(1).unwrap_or_default()
    }
}

type Rule = Box<dyn FnMut(&Seen) -> Behaviour + Send>;

/// What the fake knows.
#[derive(Default)]
pub struct Model {
    script: VecDeque<Behaviour>,
    rule: Option<Rule>,
    refused: Option<ItemFault>,
    /// All bulk requests, in order.
    pub seen: Vec<Seen>,
    /// Documents by index and id; a data stream's first index is called as itself.
    pub stored: BTreeMap<String, BTreeMap<String, Value>>,
    /// How often each data stream has rolled over.
    pub rollovers: BTreeMap<String, usize>,
    /// The status that look-ups are refused with.
    pub refuse_lookups: Option<u16>,
    /// How many documents were refused since they were stored already.
    pub conflicts: usize,
    /// Templates by kind and name (`/_index_template/x`).
    pub templates: BTreeMap<String, Value>,
    /// The path of each request that was no bulk request, with its method.
    pub others: Vec<String>,
    /// The status that requests for templates are refused with.
    pub refuse_templates: Option<u16>,
}

/// A handle on the model; clones share it.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<Model>>);

impl Fake {
    /// An empty cluster that accepts everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The model.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap()
    }

    /// The next bulk requests meet these, one each, before the rule.
    pub fn script(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.model().script.extend(behaviours);
    }

    /// Decides about each bulk request that finds no script.
    pub fn rule(&self, rule: impl FnMut(&Seen) -> Behaviour + Send + 'static) {
        self.model().rule = Some(Box::new(rule));
    }

    /// Whatever the script says, a document for which this gives a status and an error is not stored.
    pub fn refuse(&self, fault: impl Fn(usize, &Value) -> Option<(u16, Value)> + Send + Sync + 'static) {
        self.model().refused = Some(Arc::new(fault));
    }

    /// The documents stored in an index or data stream.
    pub fn documents(&self, index: &str) -> Vec<Value> {
        let model = self.model();
        let indices = model.backing(index);
        indices
            .iter()
            .filter_map(|index| model.stored.get(index))
            .flat_map(|stored| stored.values().cloned())
            .collect()
    }

    /// The data stream goes on in a new index, where ids begin anew.
    pub fn roll_over(&self, stream: &str) {
        self.model().roll_over(stream);
    }

    /// How many bulk requests came.
    pub fn requests(&self) -> usize {
        self.model().seen.len()
    }

    /// Serves HTTP on loopback until the runtime ends; gives the URL.
    pub async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(fake.clone().connection(stream));
            }
        });
        format!("http://{address}")
    }

    /// Serves HTTPS with a certificate of its own, which is written to `ca_file`; gives the URL.
    pub async fn serve_tls(&self, ca_file: &Path) -> String {
        let own =
            rcgen::generate_simple_self_signed(["localhost", "elasticsearch"].map(str::to_owned)).unwrap();
        std::fs::write(ca_file, own.cert.pem()).unwrap();
        let identity = Identity { certificate: own.cert.pem(), key: own.signing_key.serialize_pem() };
        self.serve_as(&identity, rustls::DEFAULT_VERSIONS, None).await
    }

    /// Serves HTTPS with this certificate for `localhost`, in these versions of TLS, for clients whom `authority`
    /// (PEM) has certified, where there is one.
    pub async fn serve_as(
        &self,
        identity: &Identity,
        versions: &[&'static rustls::SupportedProtocolVersion],
        authority: Option<&str>,
    ) -> String {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).unwrap();
        let builder = match authority {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let config = builder.with_single_cert(chain, key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, fake) = (acceptor.clone(), fake.clone());
                tokio::spawn(async move {
                    // A client that does not trust us goes away.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        fake.connection(stream).await;
                    }
                });
            }
        });
        format!("https://localhost:{port}")
    }
}

/// In memory: no socket, so that a paused clock only jumps when everything waits for it.
impl Transport for Fake {
    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        let Body::Bulk { bytes, gzip } = &request.body else {
            let body = if let Body::Json(body) = &request.body { body.clone() } else { Bytes::new() };
            return Ok(self.model().other(request.method.as_str(), &request.path, &body));
        };
        let body = if *gzip { unzip(bytes) } else { bytes.to_vec() };
        let done = self.model().bulk(&seen(request.path, String::new(), String::new(), &body));
        match done {
            Done::Answer(status, headers, body) => {
                let retry_after = headers.iter().find(|(name, _)| *name == "retry-after");
                let retry_after = retry_after.map(|(_, value)| Duration::from_secs(value.parse().unwrap()));
                Ok(Answer { status, retry_after, body: body.into() })
            }
            Done::Reset | Done::Lost => Err(Failure::NoAnswer("fake: reset".into())),
            Done::Silent => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Err(Failure::NoAnswer("fake: timeout".into()))
            }
            Done::Cut(body) => Ok(Answer::new(200, Bytes::from(body).slice(..10))),
            Done::Endless => Err(Failure::TooLong(1)),
            Done::Slow(pause, body) => {
                tokio::time::sleep(pause).await;
                Ok(Answer::new(200, body))
            }
        }
    }
}

/// A behaviour after the model did its part.
enum Done {
    Answer(u16, Vec<(&'static str, String)>, String),
    Reset,
    Lost,
    Silent,
    Cut(String),
    Endless,
    Slow(Duration, String),
}

impl Model {
    fn roll_over(&mut self, stream: &str) {
        *self.rollovers.entry(stream.to_owned()).or_default() += 1;
    }

    /// The backing indices of a data stream, the one that is written to last.
    fn backing(&self, stream: &str) -> Vec<String> {
        let rollovers = self.rollovers.get(stream).copied().unwrap_or_default();
        let younger = (2..rollovers + 2).map(|number| format!("{stream}-{number:06}"));
        std::iter::once(stream.to_owned()).chain(younger).collect()
    }

    fn bulk(&mut self, seen: &Seen) -> Done {
        let mut rule = self.rule.take();
        let behaviour = self.script.pop_front().or_else(|| rule.as_mut().map(|rule| rule(seen)));
        self.rule = rule;
        let behaviour = behaviour.unwrap_or(Behaviour::Accept);
        self.seen.push(seen.clone());
        self.meet(behaviour, seen)
    }

    fn meet(&mut self, behaviour: Behaviour, seen: &Seen) -> Done {
        let none = |_: usize, _: &Value| None;
        match behaviour {
            Behaviour::Accept => Done::Answer(200, Vec::new(), self.store(seen, none)),
            Behaviour::Items(fault) => {
                Done::Answer(200, Vec::new(), self.store(seen, |index, document| fault(index, document)))
            }
            Behaviour::Answer(status, headers, body) => Done::Answer(status, headers, body),
            Behaviour::Reset => Done::Reset,
            Behaviour::Lost => {
                self.store(seen, none);
                Done::Lost
            }
            Behaviour::Silent => {
                self.store(seen, none);
                Done::Silent
            }
            Behaviour::Cut => Done::Cut(self.store(seen, none)),
            Behaviour::Garbage => {
                self.store(seen, none);
                Done::Answer(200, Vec::new(), "<html>a captive portal</html>".into())
            }
            Behaviour::Short => {
                let answer = self.store(seen, none);
                let mut answer: Value = serde_json::from_str(&answer).unwrap();
                answer["items"].as_array_mut().unwrap().pop();
                Done::Answer(200, Vec::new(), answer.to_string())
            }
            Behaviour::Endless => {
                self.store(seen, none);
                Done::Endless
            }
            Behaviour::RollsOver(behaviour) => {
                let done = self.meet(*behaviour, seen);
                self.roll_over(seen.target());
                done
            }
            Behaviour::Slow(pause) => Done::Slow(pause, self.store(seen, none)),
        }
    }

    /// Stores what has no fault, and answers as asked by `filter_path`.
    fn store(&mut self, seen: &Seen, fault: impl Fn(usize, &Value) -> Option<(u16, Value)>) -> String {
        let mut errors = false;
        let mut items = Vec::new();
        let refused = self.refused.clone();
        let target = self.backing(seen.target()).pop().unwrap();
        for (index, (action, document)) in seen.lines.iter().enumerate() {
            let refused = refused.as_ref().and_then(|refused| refused(index, document));
            let (status, error) = match refused.or_else(|| fault(index, document)) {
                Some((status, error)) => (status, Some(error)),
                None => self.create(&target, action, document),
            };
            errors |= status >= 300;
            let mut item = json!({ "status": status });
            if let Some(error) = error {
                item["error"] = error;
            }
            if seen.path.contains("items.*._index") {
                item["_index"] = json!(target);
            }
            items.push(json!({ "create": item }));
        }
        json!({ "errors": errors, "items": items }).to_string()
    }

    fn create(&mut self, target: &str, action: &Value, document: &Value) -> (u16, Option<Value>) {
        let stored = self.stored.entry(target.to_owned()).or_default();
        let id =
            action["create"]["_id"].as_str().map_or_else(|| format!("made-{}", stored.len()), str::to_owned);
        if stored.contains_key(&id) {
            self.conflicts += 1;
            let reason = format!("[{id}]: version conflict, document already exists (current version [1])");
            return (409, Some(json!({ "type": "version_conflict_engine_exception", "reason": reason })));
        }
        stored.insert(id, document.clone());
        (201, None)
    }

    /// Everything that is no bulk request: templates and look-ups, nothing else.
    fn other(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.others.push(format!("{method} {path}"));
        if let Some(stream) = path.strip_prefix("/_resolve/index/") {
            return self.resolve(stream);
        }
        if let Some((index, _)) = path.split_once("/_mget") {
            return self.get(index.trim_start_matches('/'), body);
        }
        let kind = path.split('/').nth(1).unwrap_or_default();
        if !kind.ends_with("_template") {
            return Answer::new(404, r#"{"error":"no handler found"}"#);
        }
        if let Some(status) = self.refuse_templates {
            return refused(status);
        }
        if method == "PUT" {
            self.templates.insert(path.to_owned(), serde_json::from_slice(body).unwrap());
            return Answer::new(200, r#"{"acknowledged":true}"#);
        }
        let kind = kind.trim_start_matches('_');
        self.templates.get(path).map_or_else(
            || Answer::new(404, "{}"),
            |template| Answer::new(200, json!({ format!("{kind}s"): [{ (kind): template }] }).to_string()),
        )
    }
}

impl Model {
    fn resolve(&self, stream: &str) -> Answer {
        if let Some(status) = self.refuse_lookups {
            return refused(status);
        }
        let backing = self.backing(stream);
        if !backing.iter().any(|index| self.stored.contains_key(index)) {
            return Answer::new(404, json!({ "error": { "type": "index_not_found_exception" } }).to_string());
        }
        let stream = json!({ "name": stream, "backing_indices": backing, "timestamp_field": "@timestamp" });
        Answer::new(200, json!({ "indices": [], "aliases": [], "data_streams": [stream] }).to_string())
    }

    fn get(&self, index: &str, body: &[u8]) -> Answer {
        if let Some(status) = self.refuse_lookups {
            return refused(status);
        }
        let wanted: Value = serde_json::from_slice(body).unwrap();
        let stored = self.stored.get(index);
        let found = |id: &Value| stored.is_some_and(|stored| stored.contains_key(id.as_str().unwrap()));
        let documents: Vec<Value> =
            wanted["ids"].as_array().unwrap().iter().map(|id| json!({ "found": found(id) })).collect();
        Answer::new(200, json!({ "docs": documents }).to_string())
    }
}

fn refused(status: u16) -> Answer {
    let error = json!({ "type": "security_exception", "reason": "unauthorized" });
    Answer::new(status, json!({ "error": error }).to_string())
}

fn seen(path: String, authorization: String, agent: String, body: &[u8]) -> Seen {
    assert!(body.ends_with(b"\n"), "a bulk body ends with a newline");
    let mut values = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(line)))
    });
    let mut lines = Vec::new();
    while let (Some(action), Some(document)) = (values.next(), values.next()) {
        lines.push((action, document));
    }
    Seen { at: Instant::now(), path, authorization, agent, lines, bytes: body.len() }
}

fn unzip(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut out).unwrap();
    out
}
