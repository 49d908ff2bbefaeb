//! A kubelet that does what a test tells it: over TLS with a certificate of its own, or in the clear.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use skidder::enrich::KubeletSettings;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::authority::{Authority, Identity};

/// What the kubelet was asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts from 0.
    pub number: usize,
    /// Such as `/pods`.
    pub path: String,
    /// The bearer token; empty for none.
    pub token: String,
}

/// What it does then.
pub enum Reply {
    /// A status and a text.
    Text(u16, String),
    /// 200 and pieces, each made when it is sent.
    Pieces(Box<dyn Iterator<Item = Vec<u8>> + Send>),
    /// The beginning of an answer, and a closed connection.
    Cut(String),
    /// 302 to another URL.
    Redirect(String),
    /// Nothing, for ever.
    Silence,
}

/// The pods that a kubelet lists; a story changes them while it is asked.
#[derive(Clone, Default)]
pub struct PodList(Arc<Mutex<BTreeMap<String, Value>>>);

impl PodList {
    /// Lists a pod, in place of what it said of that uid.
    pub fn set(&self, pod: &Listed<'_>) {
        self.0.lock().unwrap().insert(pod.uid.to_owned(), pod.json());
    }

    /// Changes what is said of a pod.
    pub fn change(&self, uid: &str, change: impl FnOnce(&mut Value)) {
        change(self.0.lock().unwrap().get_mut(uid).expect("a pod that is listed"));
    }

    /// Lists a pod no more.
    pub fn remove(&self, uid: &str) {
        self.0.lock().unwrap().remove(uid);
    }

    /// The answer, with its items in another order each time.
    pub fn reply(&self) -> Reply {
        let mut items: Vec<Value> = self.0.lock().unwrap().values().cloned().collect();
        fastrand::shuffle(&mut items);
        Reply::Text(200, json!({ "kind": "PodList", "apiVersion": "v1", "items": items }).to_string())
    }
}

/// A Deployment's pod of one container.
#[derive(Clone, Copy)]
pub struct Listed<'a> {
    /// Its name, `<deployment>-5d8f7c9b6d-<any>`.
    pub name: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// Its container's id; empty while it is not known.
    pub id: &'a str,
    /// How often that was restarted.
    pub restarts: u32,
}

impl Listed<'_> {
    fn json(&self) -> Value {
        let replicaset = self.name.rsplit_once('-').map_or(self.name, |(replicaset, _)| replicaset);
        let mut status = json!({ "name": "web", "restartCount": self.restarts, "image": "", "imageID": "" });
        let mut address = Value::Null;
        if !self.id.is_empty() {
            status["containerID"] = json!(format!("containerd://{}", self.id));
            status["imageID"] = json!("registry.example.com/web@sha256:0123abcd");
            address = json!("10.0.0.7");
        }
        json!({
            "metadata": {
                "name": self.name, "namespace": "shop", "uid": self.uid,
                "labels": { "app": "web", "pod-template-hash": "5d8f7c9b6d" },
                "annotations": {},
                "ownerReferences": [{ "kind": "ReplicaSet", "name": replicaset, "controller": true }],
            },
            "spec": {
                "nodeName": "node-1",
                "containers": [{ "name": "web", "image": "registry.example.com/web:1.4" }],
            },
            "status": { "podIP": address.as_str().unwrap_or_default(), "containerStatuses": [status] },
        })
    }
}

/// Answers on a port of its own until it is dropped.
pub struct Kubelet {
    /// Where it listens.
    pub address: SocketAddr,
    /// PEM of the authority that signed its certificate; empty without TLS.
    pub authority: String,
    /// PEM of its certificate; empty without TLS.
    pub certificate: String,
    asked: Arc<Mutex<Vec<Request>>>,
    _serving: Serving,
}

/// The task that listens; ends when dropped.
struct Serving(tokio::task::JoinHandle<()>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Kubelet {
    /// Listens on `127.0.0.1` with a certificate for these names.
    pub async fn with_names(
        names: &[&str],
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listening("127.0.0.1:0", names, script).await
    }

    /// Listens there with a certificate for these names.
    pub async fn listening(
        listen: &str,
        names: &[&str],
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new();
        let identity = authority.issue(names);
        let kubelet = Self::serve(listen, Some(acceptor(&identity)), script).await;
        Self { authority: authority.pem(), certificate: identity.certificate, ..kubelet }
    }

    /// Listens in the clear, as the read-only port does.
    pub async fn in_the_clear(
        listen: &str,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(listen, None, script).await
    }

    async fn serve(
        listen: &str,
        acceptor: Option<TlsAcceptor>,
        script: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(script);
        let log = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (acceptor, log, script) = (acceptor.clone(), Arc::clone(&log), Arc::clone(&script));
                tokio::spawn(async move {
                    // A client that goes away, or refuses the certificate, is part of the stories.
                    let _ = match acceptor {
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => answer(stream, &log, &*script).await,
                            Err(refused) => Err(refused),
                        },
                        None => answer(stream, &log, &*script).await,
                    };
                });
            }
        });
        Self {
            address,
            authority: String::new(),
            certificate: String::new(),
            asked,
            _serving: Serving(serving),
        }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    /// Settings that reach it, with nothing but its address.
    pub fn settings(&self) -> KubeletSettings {
        let scheme = if self.certificate.is_empty() { "http" } else { "https" };
        KubeletSettings {
            url: format!("{scheme}://{}", self.address),
            token_file: None,
            ca_file: None,
            server_name: String::new(),
            insecure_skip_verify: false,
            refresh: Duration::from_secs(60),
            wait: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            memory: None,
        }
    }
}

/// One request of a connection, and the reply.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    log: &Mutex<Vec<Request>>,
    script: &(impl Fn(&Request) -> Reply + Send + Sync),
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or_default();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let request = {
        let mut log = log.lock().unwrap();
        let request = Request { number: log.len(), path, token: token.to_owned() };
        log.push(request.clone());
        request
    };
    match script(&request) {
        Reply::Text(status, text) => {
            let head =
                format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(text.as_bytes()).await?;
        }
        Reply::Pieces(pieces) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            for piece in pieces {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                stream.write_all(&piece).await?;
                stream.write_all(b"\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Reply::Cut(text) => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", text.len() + 1_000);
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(text.as_bytes()).await?;
        }
        Reply::Redirect(url) => {
            let head = format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
        }
        Reply::Silence => std::future::pending().await,
    }
    stream.shutdown().await
}

/// Serves TLS with this certificate.
fn acceptor(identity: &Identity) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
