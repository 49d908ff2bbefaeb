//! Why the kubelet said nothing, each with what to change.

use std::error::Error;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use super::super::pods::PodsError;
use super::tls::TlsError;

/// What went wrong when the kubelet was asked.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// The URL is none.
    #[error(
        "kubernetes.kubelet.url: {url:?} is no http or https URL of a kubelet, such as https://10.0.0.1:10250"
    )]
    Url {
        /// What was given.
        url: String,
    },
    /// No certificates to verify the kubelet's with.
    #[error(
        "kubernetes.kubelet.ca_file: {path}: {reason}; name the cluster's CA or the kubelet's own certificate, \
         or set insecure_skip_verify"
    )]
    Ca {
        /// The file.
        path: String,
        /// Why it does not serve.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("kubernetes.kubelet: set up TLS: {0}")]
    Setup(String),
    /// 401.
    #[error("ask {url}: 401, the token is not accepted: {token}")]
    Unauthorized {
        /// What was asked.
        url: String,
        /// What was sent, in words.
        token: String,
    },
    /// 403, with the kubelet's own words.
    #[error(
        "ask {url}: 403, {answer}; allow it in the ClusterRole of the service account: \
         `- {{apiGroups: [\"\"], resources: [\"nodes/pods\"], verbs: [\"get\"]}}` \
         (before Kubernetes 1.33 `nodes/proxy` in place of `nodes/pods`)"
    )]
    Forbidden {
        /// What was asked.
        url: String,
        /// The answer's text.
        answer: String,
    },
    /// The TLS handshake failed.
    #[error("connect to {url}: {reason}")]
    Tls {
        /// What was asked.
        url: String,
        /// Why, and what to do about it.
        reason: String,
    },
    /// No answer in time.
    #[error("ask {url}: no answer within {timeout:?}; is the kubelet overloaded, or a firewall between?")]
    Timeout {
        /// What was asked.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// Nobody there.
    #[error("connect to {url}: {reason}; is it the node's address and the kubelet's port?")]
    Connect {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// Any other status.
    #[error("ask {url}: {status}, {answer}")]
    Status {
        /// What was asked.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of the answer's text.
        answer: String,
    },
    /// The answer broke off.
    #[error("ask {url}: the answer broke off: {reason}")]
    Cut {
        /// What was asked.
        url: String,
        /// Why.
        reason: String,
    },
    /// The answer is no list of pods.
    #[error("ask {url}: {source}")]
    Answer {
        /// What was asked.
        url: String,
        /// Why.
        source: PodsError,
    },
}

impl KubeletError {
    /// The value of the label `result` of `skidder_kubelet_requests_total`.
    pub fn result(&self) -> &'static str {
        match self {
            Self::Unauthorized { .. } => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::Tls { .. } | Self::Ca { .. } | Self::Setup(_) => "tls",
            Self::Timeout { .. } => "timeout",
            Self::Url { .. }
            | Self::Connect { .. }
            | Self::Status { .. }
            | Self::Cut { .. }
            | Self::Answer { .. } => "error",
        }
    }

    /// What tells this trouble from others: its words, without what differs from answer to answer.
    pub(super) fn trouble(&self) -> String {
        match self {
            Self::Status { status, .. } => status.to_string(),
            Self::Cut { .. } => "cut".to_owned(),
            Self::Answer { .. } => "answer".to_owned(),
            other => other.to_string(),
        }
    }

    /// A certificate file that does not serve.
    pub(super) fn ca(path: &str, error: &TlsError) -> Self {
        match error {
            TlsError::NoCertificate | TlsError::Pem(_) => {
                Self::Ca { path: path.to_owned(), reason: error.to_string() }
            }
            _ => Self::Setup(error.to_string()),
        }
    }

    /// A request that got no answer, or not all of it.
    pub(super) fn request(url: &str, timeout: Duration, error: &reqwest::Error) -> Self {
        let url = url.to_owned();
        if error.is_timeout() {
            return Self::Timeout { url, timeout };
        }
        if let Some(reason) = cause::<rustls::Error>(error).map(tls_reason) {
            return Self::Tls { url, reason };
        }
        let reason = root(error).to_string();
        if error.is_connect() { Self::Connect { url, reason } } else { Self::Cut { url, reason } }
    }
}

/// What a refused certificate means for the configuration.
fn tls_reason(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext {
            expected,
            presented,
        }) => {
            format!(
                "its certificate is for {}, not for {}; set kubernetes.kubelet.server_name to the name that it has",
                if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") },
                expected.to_str(),
            )
        }
        // A bad signature: one of the file has the signer's name, but not its key.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "its certificate is not signed by any in kubernetes.kubelet.ca_file; a kubelet without a serving \
             certificate of the cluster makes its own: name that (/var/lib/kubelet/pki/kubelet.crt), with \
             server_name, or set insecure_skip_verify"
                .to_owned()
        }
        other => format!("TLS failed: {other}"),
    }
}

/// The first error of this type in the chain of causes, also behind an [`io::Error`].
fn cause<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The innermost cause, which says most.
fn root<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
