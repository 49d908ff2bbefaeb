//! Something between the agent and a real cluster that loses answers: what was asked is done, and the agent does not
//! hear of it.

use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::elasticsearch::Elasticsearch;
use super::http;

/// What becomes of the answers to bulk requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// They arrive.
    Arrive,
    /// The connection breaks in their place.
    Break,
    /// They never come.
    Never,
}

/// The way to a cluster.
#[derive(Clone)]
pub struct Between(Arc<State>);

struct State {
    url: String,
    cluster: String,
    client: reqwest::Client,
    fate: Mutex<Fate>,
}

struct Fate {
    answers: Answers,
    lost: usize,
}

impl Between {
    /// Forwards to `cluster` until the runtime ends.
    pub async fn serve(cluster: &Elasticsearch) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let new = Self(Arc::new(State {
            url: format!("http://{}", listener.local_addr().unwrap()),
            cluster: cluster.url().to_owned(),
            client: http::client(),
            fate: Mutex::new(Fate { answers: Answers::Arrive, lost: 0 }),
        }));
        let serving = new.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let between = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| between.clone().forward(request));
                    // An error here is a connection that was to break.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        new
    }

    /// Where the agent finds it.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// What becomes of the answers to bulk requests from now on.
    pub fn answers(&self, answers: Answers) {
        self.0.fate.lock().unwrap().answers = answers;
    }

    /// How many bulk requests were carried out without the agent's hearing of it.
    pub fn lost(&self) -> usize {
        self.0.fate.lock().unwrap().lost
    }

    async fn forward(
        self,
        request: hyper::Request<Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, std::io::Error> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
        let is_bulk = parts.uri.path().ends_with("/_bulk");
        for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        let url = format!("{}{}", self.0.cluster, parts.uri);
        let sent = self.0.client.request(parts.method, url).headers(parts.headers).body(body).send().await;
        let answer = sent.map_err(std::io::Error::other)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(std::io::Error::other)?;
        let answers = {
            let mut fate = self.0.fate.lock().unwrap();
            fate.lost += usize::from(is_bulk && fate.answers != Answers::Arrive);
            if is_bulk { fate.answers } else { Answers::Arrive }
        };
        match answers {
            Answers::Arrive => Ok(hyper::Response::builder().status(status).body(Full::new(body)).unwrap()),
            Answers::Break => Err(std::io::Error::other("the answer is lost")),
            Answers::Never => std::future::pending().await,
        }
    }
}
