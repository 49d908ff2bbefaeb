//! The way to the cluster over HTTP: which node, whose credentials, which certificates.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use tokio::time::{Instant, timeout};

use super::credentials::{Credentials, Stamp};
use super::nodes::{Nodes, shown};
use super::settings::{Settings, Tls};
use super::state::StateHandle;
use super::tls::{self, TlsError};
use super::transport::{Answer, Body, Failure, Method, Request, Transport};

/// How long connecting may take, TLS included: a dead host must not cost a whole request's time.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: less than the minute after which load balancers drop one in silence.
const IDLE: Duration = Duration::from_secs(50);
/// How long a dead node may take to say that it lives.
const PROBE: Duration = Duration::from_secs(5);
/// How often dead nodes are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The longest answer that is held. A thousand failures with long reasons are a megabyte.
const LONGEST_ANSWER: usize = 8 << 20;

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The settings name no node.
    #[error("output.elasticsearch.urls is empty; name at least one node")]
    NoUrl,
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The HTTP client refuses to be made.
    #[error("cannot set up the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// HTTP to the nodes of one cluster.
#[derive(Debug)]
pub struct Client {
    tls: Tls,
    timeout: Duration,
    agent: String,
    nodes: Mutex<Nodes>,
    credentials: Mutex<Credentials>,
    http: Mutex<Http>,
    state: StateHandle,
}

/// The HTTP client and the files that it was made from.
#[derive(Debug)]
struct Http {
    client: reqwest::Client,
    stamps: [Stamp; 3],
}

impl Client {
    /// Reads the certificates; the secret is read at the first request.
    ///
    /// # Errors
    /// [`ClientError`], naming the file or key.
    pub fn new(settings: &Settings, state: StateHandle) -> Result<Self, ClientError> {
        if settings.urls.is_empty() {
            return Err(ClientError::NoUrl);
        }
        if settings.tls.insecure_skip_verify {
            tracing::warn!(
                "insecure_skip_verify: anybody on the way can read and change what is sent; use tls.ca_file instead"
            );
        }
        let mut agent = format!("skidder/{}", env!("CARGO_PKG_VERSION"));
        if !settings.agent.is_empty() {
            agent = format!("{agent} ({})", settings.agent);
        }
        let stamps = tls::stamps(&settings.tls);
        Ok(Self {
            http: Mutex::new(Http { client: http_client(&settings.tls, &agent)?, stamps }),
            tls: settings.tls.clone(),
            timeout: settings.timeout,
            agent,
            nodes: Mutex::new(Nodes::new(settings.urls.clone())),
            credentials: Mutex::new(Credentials::new(settings.access.clone())),
            state,
        })
    }

    /// Asks dead nodes whether they live, for ever. Any answer will do but a gateway's that finds nobody.
    pub async fn watch_nodes(&self) -> Infallible {
        if lock(&self.nodes).len() < 2 {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let due = lock(&self.nodes).due(Instant::now());
            for index in due {
                let request = Request { method: Method::GET, path: "/".into(), body: Body::Empty };
                let answer = timeout(PROBE, self.send_to(index, &request)).await;
                match answer {
                    Ok(Ok(answer)) if !(502..=504).contains(&answer.status) => self.up(index),
                    _ => self.down(index),
                }
            }
        }
    }

    /// Sends to one node, without judging it.
    async fn send_to(&self, index: usize, request: &Request) -> Result<Answer, Failure> {
        let (name, url) = {
            let nodes = lock(&self.nodes);
            let base = nodes.url(index);
            let name = shown(base);
            let url = format!("{name}{}", request.path);
            (name, url)
        };
        let authorization =
            lock(&self.credentials).header().map_err(|error| Failure::Credentials(error.to_string()))?;
        let mut builder = self.http().request(request.method.clone(), url);
        if let Some(authorization) = authorization {
            builder = builder.header(AUTHORIZATION, authorization);
        }
        let builder = match &request.body {
            Body::Empty => builder,
            Body::Json(bytes) => builder.header(CONTENT_TYPE, "application/json").body(bytes.clone()),
            Body::Bulk { bytes, gzip } => {
                let builder = if *gzip { builder.header(CONTENT_ENCODING, "gzip") } else { builder };
                builder.header(CONTENT_TYPE, "application/x-ndjson").body(bytes.clone())
            }
        };
        let answer = async {
            let response = builder.send().await.map_err(|error| failure(&name, &error))?;
            read(response, &name).await
        };
        match timeout(self.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::NoAnswer(format!("{name} within {:?}", self.timeout))),
        }
    }

    /// The HTTP client, made anew when a certificate or key file changed.
    fn http(&self) -> reqwest::Client {
        let mut http = lock(&self.http);
        let stamps = tls::stamps(&self.tls);
        if stamps != http.stamps {
            match http_client(&self.tls, &self.agent) {
                Ok(client) => {
                    tracing::info!("certificate files changed: read again");
                    http.client = client;
                }
                Err(error) => {
                    tracing::warn!("certificate files changed, going on with the old ones: {error}")
                }
            }
            http.stamps = stamps;
        }
        http.client.clone()
    }

    fn up(&self, index: usize) {
        let mut nodes = lock(&self.nodes);
        if nodes.up(index) {
            // Of a single node the journal speaks.
            if nodes.len() > 1 {
                tracing::info!("{} answers again", shown(nodes.url(index)));
            }
            self.state.change(|state| state.dead_nodes = nodes.dead());
        }
    }

    fn down(&self, index: usize) {
        let mut nodes = lock(&self.nodes);
        if nodes.down(index, Instant::now()) && nodes.len() > 1 {
            tracing::warn!("{} is left out until it answers again", shown(nodes.url(index)));
        }
        self.state.change(|state| state.dead_nodes = nodes.dead());
    }
}

impl Transport for Client {
    /// Sends to the next node. One that cannot be reached is passed over for the next at once, as nothing was
    /// sent; one that fails otherwise is left out from now on.
    async fn send(&self, request: Request) -> Result<Answer, Failure> {
        loop {
            let index = lock(&self.nodes).pick();
            let answer = self.send_to(index, &request).await;
            match &answer {
                Ok(answer) if !(502..=504).contains(&answer.status) => self.up(index),
                Ok(_) | Err(Failure::NoAnswer(_)) => self.down(index),
                Err(Failure::Connect(_)) => {
                    self.down(index);
                    if lock(&self.nodes).has_other(index) {
                        continue;
                    }
                }
                Err(Failure::TooLong(_) | Failure::Credentials(_)) => {}
            }
            return answer;
        }
    }

    fn credentials_changed(&self) -> bool {
        lock(&self.credentials).changed()
    }
}

fn http_client(tls: &Tls, agent: &str) -> Result<reqwest::Client, ClientError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // Elasticsearch speaks HTTP/1.1. A proxy is taken from the environment by reqwest itself, and names are
    // resolved anew for each new connection.
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(tls)?)
        .default_headers(headers)
        .user_agent(agent)
        .http1_only()
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .tcp_keepalive(Duration::from_secs(30))
        .build()?;
    Ok(client)
}

/// Reads the answer up to [`LONGEST_ANSWER`].
async fn read(mut response: reqwest::Response, name: &str) -> Result<Answer, Failure> {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(seconds);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(name, &error))? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Err(Failure::TooLong(LONGEST_ANSWER));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, retry_after, body: Bytes::from(body) })
}

/// `Retry-After` in seconds; its other form, a date, is not what Elasticsearch or its gateways send.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn failure(name: &str, error: &reqwest::Error) -> Failure {
    let text = format!("{name}: {}", root_cause(error));
    if error.is_connect() { Failure::Connect(text) } else { Failure::NoAnswer(text) }
}

/// The innermost words: reqwest's own only repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// No code panics while it holds one of these locks; should it ever, what is behind them is still whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
