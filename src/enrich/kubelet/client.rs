//! One GET of `/pods`, read as a stream.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use reqwest::{Response, StatusCode, Url, redirect};
use tokio::sync::mpsc;

use super::super::pods::Pods;
use super::error::KubeletError;
use super::{Ask, KubeletSettings, tls};

/// How long a connection may take; the whole request has [`KubeletSettings::timeout`].
const CONNECT: Duration = Duration::from_secs(5);

/// How many chunks of an answer wait for the parser, each as large as one read from the socket.
const CHUNKS: usize = 4;

/// How much of an unexpected answer is shown.
const SHOWN: usize = 512;

/// The kubelet, as far as it is known.
pub(super) struct Client {
    settings: KubeletSettings,
    /// Made for the first request, and again after TLS failed: the CA file may have been renewed.
    http: Option<Http>,
}

#[derive(Clone)]
struct Http {
    client: reqwest::Client,
    url: Url,
}

impl Client {
    pub(super) fn new(settings: KubeletSettings) -> Self {
        Self { settings, http: None }
    }

    fn http(&mut self) -> Result<Http, KubeletError> {
        if let Some(http) = &self.http {
            return Ok(http.clone());
        }
        let http = connect(&self.settings)?;
        self.http = Some(http.clone());
        Ok(http)
    }

    async fn get(&self, http: &Http, token: Option<&str>) -> Result<Response, KubeletError> {
        let mut request = http.client.get(http.url.clone());
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await.map_err(|error| self.failed(http, &error))
    }

    fn failed(&self, http: &Http, error: &reqwest::Error) -> KubeletError {
        KubeletError::request(http.url.as_str(), self.settings.timeout, error)
    }

    /// Asks; when the token is refused and the file holds another meanwhile, once more with that.
    async fn pods(&self, http: &Http) -> Result<Pods, KubeletError> {
        let token = self.token();
        let mut response = self.get(http, token.as_deref().ok()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let fresh = self.token();
            if fresh.is_ok() && fresh != token {
                response = self.get(http, fresh.as_deref().ok()).await?;
            }
        }
        let url = http.url.to_string();
        match response.status() {
            StatusCode::OK => self.parse(http, response).await,
            StatusCode::UNAUTHORIZED => {
                let sent =
                    "it may be expired or of another cluster; see kubernetes.kubelet.token_file".to_owned();
                Err(KubeletError::Unauthorized { url, token: token.err().unwrap_or(sent) })
            }
            StatusCode::FORBIDDEN => Err(KubeletError::Forbidden { url, answer: beginning(response).await }),
            status => {
                Err(KubeletError::Status { url, status: status.as_u16(), answer: beginning(response).await })
            }
        }
    }

    /// The token, read for each request: a file of some hundred bytes in memory, and the kubelet renews it
    /// while we run. An error says in words why there is none.
    fn token(&self) -> Result<String, String> {
        let Some(path) = &self.settings.token_file else { return Err("none is configured".to_owned()) };
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let token = text.trim();
        // What cannot stand in a header would fail the request in a way that hides the cause.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{}: holds no token", path.display()));
        }
        Ok(token.to_owned())
    }

    /// Parses the answer while it arrives, on a thread that may block; no more than a few chunks wait for it.
    async fn parse(&self, http: &Http, mut response: Response) -> Result<Pods, KubeletError> {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let parsing =
            tokio::task::spawn_blocking(move || Pods::parse(Chunks { receiver, current: None, read: 0 }));
        let arrived = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    // The parser has given up: it says why.
                    if sender.send(chunk).await.is_err() {
                        break Ok(());
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(self.failed(http, &error)),
            }
        };
        drop(sender);
        let parsed = parsing.await;
        arrived?;
        let url = http.url.to_string();
        match parsed {
            Ok(Ok(pods)) => Ok(pods),
            Ok(Err(source)) => Err(KubeletError::Answer { url, source }),
            Err(stopped) => Err(KubeletError::Cut { url, reason: stopped.to_string() }),
        }
    }
}

impl Ask for Client {
    async fn ask(&mut self) -> Result<Pods, KubeletError> {
        let http = self.http()?;
        let answer = self.pods(&http).await;
        if matches!(answer, Err(KubeletError::Tls { .. })) {
            self.http = None;
        }
        answer
    }
}

/// The HTTP client and what it asks.
fn connect(settings: &KubeletSettings) -> Result<Http, KubeletError> {
    let url = pods_url(&settings.url).ok_or_else(|| KubeletError::Url { url: settings.url.clone() })?;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .http1_only()
        .connect_timeout(CONNECT.min(settings.timeout))
        .timeout(settings.timeout);
    let ca = match &settings.ca_file {
        // Nothing to verify: the read-only port, or by the user's wish.
        _ if url.scheme() == "http" || settings.insecure_skip_verify => None,
        Some(path) => Some(read_ca(path)?),
        None => {
            let reason = "is not set".to_owned();
            return Err(KubeletError::Ca { path: String::new(), reason });
        }
    };
    let path = settings.ca_file.as_deref().map_or(String::new(), |path| path.display().to_string());
    let tls = tls::client_config(ca.as_deref(), &settings.server_name)
        .map_err(|error| KubeletError::ca(&path, &error))?;
    builder = builder.tls_backend_preconfigured(tls);
    let client = builder.build().map_err(|error| KubeletError::Setup(error.to_string()))?;
    Ok(Http { client, url })
}

fn read_ca(path: &Path) -> Result<Vec<u8>, KubeletError> {
    fs::read(path)
        .map_err(|error| KubeletError::Ca { path: path.display().to_string(), reason: error.to_string() })
}

/// `/pods` below what was given.
fn pods_url(base: &str) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    let path = url.path().trim_end_matches('/');
    let path = format!("{}/pods", path.strip_suffix("/pods").unwrap_or(path));
    url.set_path(&path);
    Some(url)
}

/// The beginning of an answer, for an error.
async fn beginning(mut response: Response) -> String {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        text.extend_from_slice(&chunk[..chunk.len().min(SHOWN - text.len())]);
        if text.len() >= SHOWN {
            break;
        }
    }
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// An answer's chunks as a reader that blocks until the next arrives.
struct Chunks<B> {
    receiver: mpsc::Receiver<B>,
    current: Option<B>,
    /// How much of `current` is read.
    read: usize,
}

impl<B: AsRef<[u8]>> Read for Chunks<B> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let rest = self.current.as_ref().map_or(&[][..], |chunk| &chunk.as_ref()[self.read..]);
            if !rest.is_empty() {
                let count = rest.len().min(out.len());
                out[..count].copy_from_slice(&rest[..count]);
                self.read += count;
                return Ok(count);
            }
            self.current = self.receiver.blocking_recv();
            self.read = 0;
            if self.current.is_none() {
                return Ok(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_for_pods_below_any_url() {
        for (base, expected) in [
            ("https://10.0.0.1:10250", Some("https://10.0.0.1:10250/pods")),
            ("https://[fd00::1]:10250/", Some("https://[fd00::1]:10250/pods")),
            ("http://node-1:10255/pods", Some("http://node-1:10255/pods")),
            ("https://proxy/nodes/a/", Some("https://proxy/nodes/a/pods")),
            ("10.0.0.1:10250", None),
            ("ftp://10.0.0.1", None),
            ("https://fd00::1:10250", None),
            ("", None),
        ] {
            assert_eq!(pods_url(base).as_ref().map(Url::as_str), expected, "{base}");
        }
    }
}
