//! A cluster on loopback that takes every document and keeps none.

use std::convert::Infallible;
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use flate2::read::GzDecoder;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_ENCODING;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memchr_iter;
use tokio::net::TcpListener;

/// The cluster; it serves until the process ends.
pub struct Sink {
    address: SocketAddr,
    taken: Arc<Taken>,
}

#[derive(Default)]
struct Taken {
    documents: AtomicU64,
    /// Bytes of bodies as they came.
    wire: AtomicU64,
}

impl Sink {
    /// Serves on a port that is free.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let sink = Self { address: listener.local_addr().unwrap(), taken: Arc::default() };
        let taken = Arc::clone(&sink.taken);
        thread::spawn(move || {
            runtime.block_on(async {
                while let Ok((stream, _)) = listener.accept().await {
                    let taken = Arc::clone(&taken);
                    let service = service_fn(move |request| answer(request, Arc::clone(&taken)));
                    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
                }
            });
        });
        sink
    }

    /// What a configuration calls it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many documents came since the last [`Sink::take`].
    pub fn documents(&self) -> u64 {
        self.taken.documents.load(Ordering::SeqCst)
    }

    /// Documents and bytes that came, to count anew.
    pub fn take(&self) -> (u64, u64) {
        (self.taken.documents.swap(0, Ordering::SeqCst), self.taken.wire.swap(0, Ordering::SeqCst))
    }
}

async fn answer(request: Request<Incoming>, taken: Arc<Taken>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_bulk = request.uri().path().ends_with("/_bulk");
    let is_packed = request.headers().contains_key(CONTENT_ENCODING);
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if !is_bulk {
        return Ok(json(r#"{"version":{"number":"9.2.0"}}"#.into()));
    }
    taken.wire.fetch_add(body.len() as u64, Ordering::SeqCst);
    let lines = if is_packed { lines(GzDecoder::new(&body[..])) } else { lines(&body[..]) };
    // Each document has an action line before it.
    let documents = lines / 2;
    taken.documents.fetch_add(documents as u64, Ordering::SeqCst);
    let items = vec![r#"{"create":{"status":201}}"#; documents].join(",");
    Ok(json(format!(r#"{{"errors":false,"items":[{items}]}}"#)))
}

fn lines(mut body: impl Read) -> usize {
    let (mut block, mut count) = (vec![0; 256 * 1024], 0);
    loop {
        match body.read(&mut block).unwrap() {
            0 => return count,
            length => count += memchr_iter(b'\n', &block[..length]).count(),
        }
    }
}

fn json(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
        .headers_mut()
        .insert("x-elastic-product", hyper::header::HeaderValue::from_static("Elasticsearch"));
    response
}
