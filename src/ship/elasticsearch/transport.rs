//! A request and its answer, apart from how they travel: the cores see this, tests script it.

use std::future::Future;
use std::time::Duration;

use hyper::body::Bytes;
pub use reqwest::Method;

/// What is asked of the cluster.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: Method,
    /// Path and query, beginning with `/`, percent-encoded; a URL's own prefix is put before it.
    pub path: String,
    /// What is sent, and what it is.
    pub body: Body,
}

/// The body of a [`Request`].
#[derive(Clone, Debug)]
pub enum Body {
    /// None.
    Empty,
    /// One JSON value.
    Json(Bytes),
    /// Bulk lines.
    Bulk {
        /// As they go over the wire.
        bytes: Bytes,
        /// Whether `bytes` are gzip.
        gzip: bool,
    },
}

/// What came back, whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Retry-After`, when it was there.
    pub retry_after: Option<Duration>,
    /// All of the body.
    pub body: Bytes,
}

impl Answer {
    /// An answer without headers.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self { status, retry_after: None, body: body.into() }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The request never reached the cluster: nothing of it can have been stored.
    #[error("could not connect to {0}")]
    Connect(String),
    /// It was sent, and no whole answer came: it may have been carried out.
    #[error("no answer from {0}")]
    NoAnswer(String),
    /// The answer is longer than we are willing to hold: it was carried out, and we cannot know how.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
    /// Our own credentials cannot be read; nothing was sent.
    #[error("{0}")]
    Credentials(String),
}

/// A way to the cluster. Tries once; who calls decides about trying again.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and waits for the whole answer.
    fn send(&self, request: Request) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// Whether the credentials may have become others since the last request.
    fn credentials_changed(&self) -> bool {
        false
    }
}

/// Writes `text` so that it can stand in a path or a query, and nothing in it can end it.
pub(super) fn percent_encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.extend(['%', HEX[usize::from(byte >> 4)] as char, HEX[usize::from(byte & 15)] as char]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_a_path() {
        assert_eq!(percent_encoded("logs-shop.cart-default"), "logs-shop.cart-default");
        assert_eq!(percent_encoded("a/../b?c=<ü>"), "a%2F..%2Fb%3Fc%3D%3C%C3%BC%3E");
    }
}
