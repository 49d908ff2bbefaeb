//! A scripted Elasticsearch: stores documents by id, and answers what a real one does not on demand.
//!
//! The same model answers over HTTP ([`Fake::serve`], [`Fake::serve_tls`]) and in memory (it is a [`Transport`]),
//! where a paused clock makes minutes pass at once.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, USER_AGENT};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use skidder::ship::elasticsearch::transport::{Answer, Body, Failure, Request, Transport};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::Instant;

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
}

type ItemFault = Arc<dyn Fn(usize, &Value) -> Option<(u16, Value)> + Send + Sync>;

impl Behaviour {
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
    /// All bulk requests, in order.
    pub seen: Vec<Seen>,
    /// Documents by index and id.
    pub stored: BTreeMap<String, BTreeMap<String, Value>>,
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

    /// The documents stored in an index or data stream.
    pub fn documents(&self, index: &str) -> Vec<Value> {
        self.model().stored.get(index).map(|stored| stored.values().cloned().collect()).unwrap_or_default()
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
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(ca_file, own.cert.pem()).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
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

    async fn connection(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let service = service_fn(move |request| self.clone().http(request));
        // An error here is one that the script asked for, or the client's going.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    async fn http(
        self,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Scripted>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let header = |name| {
            parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        let (gzip, authorization, agent) =
            (header(CONTENT_ENCODING) == "gzip", header(AUTHORIZATION), header(USER_AGENT));
        let path = parts.uri.path_and_query().unwrap().to_string();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        if !path.contains("/_bulk") {
            let answer = self.model().other(parts.method.as_str(), &path, &body);
            return Ok(response(answer.status, &[], Scripted::Whole(Some(answer.body))));
        }
        let body = if gzip { unzip(&body) } else { body.to_vec() };
        let behaviour = self.model().bulk(seen(path, authorization, agent, &body));
        Ok(match behaviour {
            Done::Answer(status, headers, body) => {
                response(status, &headers, Scripted::Whole(Some(body.into())))
            }
            Done::Reset | Done::Lost => {
                return Err(std::io::Error::other("the script breaks the connection"));
            }
            Done::Silent => std::future::pending().await,
            Done::Cut(body) => response(200, &[], Scripted::Cut(Some(Bytes::from(body).slice(..10)))),
            Done::Endless => response(200, &[], Scripted::Endless),
            Done::Slow(pause, body) => {
                tokio::time::sleep(pause).await;
                response(200, &[], Scripted::Whole(Some(body.into())))
            }
        })
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
        let done = self.model().bulk(seen(request.path, String::new(), String::new(), &body));
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
    fn bulk(&mut self, seen: Seen) -> Done {
        let mut rule = self.rule.take();
        let behaviour = self.script.pop_front().or_else(|| rule.as_mut().map(|rule| rule(&seen)));
        self.rule = rule;
        let target = seen.target().to_owned();
        let lines = seen.lines.clone();
        self.seen.push(seen);
        let none = |_: usize, _: &Value| None;
        match behaviour.unwrap_or(Behaviour::Accept) {
            Behaviour::Accept => Done::Answer(200, Vec::new(), self.store(&target, &lines, none)),
            Behaviour::Items(fault) => Done::Answer(
                200,
                Vec::new(),
                self.store(&target, &lines, |index, document| fault(index, document)),
            ),
            Behaviour::Answer(status, headers, body) => Done::Answer(status, headers, body),
            Behaviour::Reset => Done::Reset,
            Behaviour::Lost => {
                self.store(&target, &lines, none);
                Done::Lost
            }
            Behaviour::Silent => {
                self.store(&target, &lines, none);
                Done::Silent
            }
            Behaviour::Cut => Done::Cut(self.store(&target, &lines, none)),
            Behaviour::Garbage => {
                self.store(&target, &lines, none);
                Done::Answer(200, Vec::new(), "<html>a captive portal</html>".into())
            }
            Behaviour::Short => {
                let answer = self.store(&target, &lines, none);
                let mut answer: Value = serde_json::from_str(&answer).unwrap();
                answer["items"].as_array_mut().unwrap().pop();
                Done::Answer(200, Vec::new(), answer.to_string())
            }
            Behaviour::Endless => {
                self.store(&target, &lines, none);
                Done::Endless
            }
            Behaviour::Slow(pause) => Done::Slow(pause, self.store(&target, &lines, none)),
        }
    }

    /// Stores what has no fault, and answers as asked by `filter_path`.
    fn store(
        &mut self,
        target: &str,
        lines: &[(Value, Value)],
        fault: impl Fn(usize, &Value) -> Option<(u16, Value)>,
    ) -> String {
        let mut errors = false;
        let mut items = Vec::new();
        for (index, (action, document)) in lines.iter().enumerate() {
            let (status, error) = match fault(index, document) {
                Some((status, error)) => (status, Some(error)),
                None => self.create(target, action, document),
            };
            errors |= status >= 300;
            items.push(match error {
                Some(error) => json!({ "create": { "status": status, "error": error } }),
                None => json!({ "create": { "status": status } }),
            });
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

    /// Everything that is no bulk request: templates, and nothing else.
    fn other(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.others.push(format!("{method} {path}"));
        let kind = path.split('/').nth(1).unwrap_or_default();
        if !kind.ends_with("_template") {
            return Answer::new(404, r#"{"error":"no handler found"}"#);
        }
        if let Some(status) = self.refuse_templates {
            let body = json!({ "error": { "type": "security_exception", "reason": "unauthorized" } });
            return Answer::new(status, body.to_string());
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

fn response(status: u16, headers: &[(&'static str, String)], body: Scripted) -> hyper::Response<Scripted> {
    let mut response = hyper::Response::builder().status(status).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    response.body(body).unwrap()
}

/// A body that may break off or never end.
enum Scripted {
    Whole(Option<Bytes>),
    Cut(Option<Bytes>),
    Endless,
}

impl HttpBody for Scripted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let frame = match self.get_mut() {
            Self::Whole(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Cut(bytes) => Some(
                bytes
                    .take()
                    .map(Frame::data)
                    .ok_or_else(|| std::io::Error::other("the script cuts the answer")),
            ),
            Self::Endless => Some(Ok(Frame::data(Bytes::from(vec![b' '; 1 << 16])))),
        };
        Poll::Ready(frame)
    }
}
