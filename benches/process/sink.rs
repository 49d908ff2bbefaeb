//! A cluster on loopback that takes every document and keeps none, in the clear or by TLS.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::{memchr_iter, memmem};
use skidder::event::time;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

/// The cluster; it serves until the process ends.
pub struct Sink {
    address: SocketAddr,
    scheme: &'static str,
    taken: Arc<Mutex<Taken>>,
}

/// What came since the last [`Sink::take`].
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub documents: u64,
    pub requests: u64,
    /// Bytes of bodies as they came.
    pub wire: u64,
    /// When the last request came.
    pub last: Option<Instant>,
    /// How long after their own time documents came, where [`Sink::watch_times`] was asked for.
    pub delays: Vec<Duration>,
    watches_times: bool,
}

impl Sink {
    /// Serves in the clear, on a port that is free.
    pub fn start() -> Self {
        Self::serve("http", None)
    }

    /// Serves TLS with a certificate of its own, which is written to `ca_file`.
    pub fn start_tls(ca_file: &Path) -> Self {
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
        Self::serve("https", Some(tokio_rustls::TlsAcceptor::from(Arc::new(config))))
    }

    fn serve(scheme: &'static str, tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let sink = Self { address: listener.local_addr().unwrap(), scheme, taken: Arc::default() };
        let taken = Arc::clone(&sink.taken);
        thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    let taken = Arc::clone(&taken);
                    match tls.clone() {
                        None => drop(tokio::spawn(connection(stream, taken))),
                        Some(tls) => drop(tokio::spawn(async move {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, taken).await;
                            }
                        })),
                    }
                }
            });
        });
        sink
    }

    /// What a configuration calls it.
    pub fn url(&self) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}", self.scheme, self.port())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What came since the last [`Sink::take`].
    pub fn taken(&self) -> Taken {
        self.taken.lock().unwrap().clone()
    }

    /// The same, to count anew.
    pub fn take(&self) -> Taken {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    /// Counts anew, and compares each document's `@timestamp` with the clock.
    pub fn watch_times(&self) {
        *self.taken.lock().unwrap() = Taken { watches_times: true, ..Taken::default() };
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, taken: Arc<Mutex<Taken>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&taken)));
    // An error is the client's going.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    taken: Arc<Mutex<Taken>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_bulk = request.uri().path().ends_with("/_bulk");
    let is_packed = request.headers().contains_key(CONTENT_ENCODING);
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if !is_bulk {
        return Ok(json(r#"{"version":{"number":"9.2.0"}}"#.into()));
    }
    let (wire, mut body) = (body.len() as u64, body);
    if is_packed {
        let mut plain = Vec::new();
        GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
        body = plain.into();
    }
    // Each document has an action line before it.
    let documents = memchr_iter(b'\n', &body).count() / 2;
    let mut taken = taken.lock().unwrap();
    taken.documents += documents as u64;
    taken.requests += 1;
    taken.wire += wire;
    taken.last = Some(Instant::now());
    if taken.watches_times {
        taken.delays.extend(delays(&body));
    }
    let items = vec![r#"{"create":{"status":201}}"#; documents].join(",");
    Ok(json(format!(r#"{{"errors":false,"items":[{items}]}}"#)))
}

/// How old each document is by now.
fn delays(body: &[u8]) -> Vec<Duration> {
    const KEY: &[u8] = br#"{"@timestamp":""#;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let age = |at| {
        let text = &body[at + KEY.len()..];
        let written = time::nanos(&text[..text.iter().position(|byte| *byte == b'"')?])?;
        Some(now.saturating_sub(Duration::from_nanos(written.try_into().ok()?)))
    };
    memmem::find_iter(body, KEY).filter_map(age).collect()
}

fn json(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response
}
