//! Its HTTP, with answers that break off or never end.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, USER_AGENT};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Done, Fake, seen, unzip};

impl Fake {
    pub(super) async fn connection(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
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
        let behaviour = self.model().bulk(&seen(path, authorization, agent, &body));
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
