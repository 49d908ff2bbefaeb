//! The agent's own HTTP: probes, metrics, the status page.
//!
//! Bounded in everything: connections, header bytes, and the time that any of them may take.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::exposition::{Exposition, Format};
use super::health::Health;
use super::status::Status;

/// Connections at a time; a further one waits in the kernel.
const CONNECTIONS: usize = 64;
/// The most bytes of a request's line and headers.
const HEADER_BYTES: usize = 16 * 1024;
/// How long a request's headers may take, and how long a connection may be idle.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// How long a connection is kept for further requests.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// How long the last answer of a connection may take.
const LAST_ANSWER_TIME: Duration = Duration::from_secs(10);
/// The pause after the system refused a connection, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The page: it fetches `/status` and shows it. Nothing in it comes from elsewhere.
const PAGE: &str = include_str!("page.html");
const PAGE_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";

/// What is served.
#[derive(Debug)]
pub struct Pages {
    /// `/metrics`
    pub exposition: Exposition,
    /// `/livez` and `/readyz`
    pub health: Arc<Health>,
    /// `/status` and `/`
    pub status: Arc<Status>,
}

/// An address that is listened to.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the address cannot be listened to.
#[derive(Debug, thiserror::Error)]
#[error("listening on http.listen {address}: {error}; set another address or port, port 0 picks a free one")]
pub struct HttpError {
    address: SocketAddr,
    #[source]
    error: io::Error,
}

impl Server {
    /// Listens. Any address of IPv6 (`[::]`) becomes any of IPv4 where there is no IPv6; port 0 becomes a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, HttpError> {
        let bound = match TcpListener::bind(address).await {
            Err(error) if address.is_ipv6() && address.ip().is_unspecified() && no_ipv6(&error) => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
            }
            bound => bound,
        };
        let listener = bound.map_err(|error| HttpError { address, error })?;
        let address = listener.local_addr().map_err(|error| HttpError { address, error })?;
        tracing::info!("listening http={address}");
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is done; answers under way are dropped then.
    pub async fn serve(self, pages: Arc<Pages>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let accepted = async {
                let place = Arc::clone(&free).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            tokio::select! {
                () = &mut shutdown => return,
                Some(_) = connections.join_next() => {}
                (place, accepted) = accepted => match accepted {
                    Ok((stream, _)) => {
                        let pages = Arc::clone(&pages);
                        connections.spawn(async move {
                            converse(stream, pages).await;
                            drop(place);
                        });
                    }
                    // Said by `process_open_fds` and the probes; a line for each would flood the log.
                    Err(_) => sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    // Without the protocol, or with it switched off for all interfaces.
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == io::ErrorKind::AddrNotAvailable
}

/// One connection, with all its requests.
async fn converse(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = pages.answer(request.method(), request.uri().path(), accept(&request));
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // How a connection ends is the other side's affair.
    if timeout(CONNECTION_TIME, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        let _ = timeout(LAST_ANSWER_TIME, connection).await;
    }
}

fn accept(request: &Request<Incoming>) -> &str {
    request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

impl Pages {
    fn answer(&self, method: &Method, path: &str, accept: &str) -> Response<Full<Bytes>> {
        let page: fn(&Self, &str) -> Response<Full<Bytes>> = match path {
            "/livez" => |pages, _| probe(&pages.health.silent(Instant::now())),
            "/readyz" => |pages, _| probe(&pages.health.missing()),
            "/metrics" => Self::metrics,
            "/status" => Self::status,
            "/" => |_, _| html(),
            _ => return text(StatusCode::NOT_FOUND, "not found: /livez /readyz /metrics /status /\n"),
        };
        match *method {
            Method::GET | Method::HEAD => page(self, accept),
            _ => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
        }
    }

    fn metrics(&self, accept: &str) -> Response<Full<Bytes>> {
        let format = Format::accepted(accept);
        let body = self.exposition.scrape(format, Timestamp::now());
        response(StatusCode::OK, format.content_type(), body)
    }

    fn status(&self, _: &str) -> Response<Full<Bytes>> {
        match serde_json::to_vec_pretty(&self.status.page()) {
            Ok(body) => response(StatusCode::OK, "application/json", body),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("writing the status: {error}\n")),
        }
    }
}

/// `ok`, or what is wrong, a line each.
fn probe(wrong: &[String]) -> Response<Full<Bytes>> {
    match wrong {
        [] => text(StatusCode::OK, "ok\n"),
        wrong => text(StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n"),
    }
}

fn html() -> Response<Full<Bytes>> {
    let mut response = response(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
