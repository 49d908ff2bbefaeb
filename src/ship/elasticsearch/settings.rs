//! What a user decides about Elasticsearch, checked before it comes here.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::backing::Memory;

/// All that the output needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The nodes, at least one. A path is a prefix of every request (`https://gateway/es`). Credentials in a
    /// URL are not looked at: they belong in `access`.
    pub urls: Vec<Url>,
    /// Who we are.
    pub access: Access,
    /// Whom we trust, and how we show ourselves to a proxy that asks for a certificate.
    pub tls: Tls,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How many bulk requests may be under way at most; the output uses fewer while the cluster is busy.
    pub in_flight: usize,
    /// How long one request may take, from connecting to the answer's last byte.
    pub timeout: Duration,
    /// Whether the template is installed before a data stream's first document.
    pub setup: bool,
    /// The longest wait before the first template is asked for, so that a thousand agents starting at once
    /// spread out.
    pub setup_jitter: Duration,
    /// Whether documents have ids of ours: only then can one be looked up before it is sent again.
    pub document_ids: bool,
    /// How long data streams keep documents, as Elasticsearch writes it (`30d`); `None` leaves it to the
    /// cluster.
    pub retention: Option<String>,
    /// Where `dead-letters/` lies; `None`: what is refused for good is dropped and counted.
    pub data_dir: Option<PathBuf>,
    /// How large the dead letters may grow, in bytes; what comes after that is dropped and counted.
    pub dead_letter_bytes: u64,
    /// How many bytes of bodies may wait for targets that may not be written to; above it the state says so
    /// (see [`super::State::is_full`]) and the reader stops reading for them.
    pub held_bytes: usize,
    /// What an earlier run left behind, and where what is learned is kept.
    pub memory: Memory,
    /// Added to `User-Agent: skidder/<version>`, such as the node's name; empty for none.
    pub agent: String,
}

impl Settings {
    /// What most users have, for these nodes.
    pub fn new(urls: Vec<Url>) -> Self {
        Self {
            urls,
            access: Access::None,
            tls: Tls::default(),
            compression: Compression::Gzip,
            in_flight: 2,
            timeout: Duration::from_secs(60),
            setup: true,
            setup_jitter: Duration::from_secs(1),
            document_ids: true,
            retention: None,
            data_dir: None,
            dead_letter_bytes: 256 << 20,
            held_bytes: 8 << 20,
            memory: Memory::default(),
            agent: String::new(),
        }
    }
}

/// How a request shows who sends it.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// It does not.
    #[default]
    None,
    /// An API key: encoded as Elasticsearch gives it, or `id:key`.
    ApiKey(SecretSource),
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: SecretSource,
    },
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The configuration itself.
    Value(Secret),
    /// A file, read again when it changes. Spaces and newlines at its end do not count.
    File(PathBuf),
}

/// A text that is shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself: for the header of a request and nothing else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// TLS to Elasticsearch. Files are read again when they change.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// PEM file of the authorities that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate and its chain; goes with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// Whether any certificate is taken: for trying things out only.
    pub insecure_skip_verify: bool,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip, level 1.
    Gzip,
    /// Not at all: less processor, ten times the network.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let access =
            Access::Basic { user: "skidder".into(), password: SecretSource::Value(Secret::new("hunter2")) };
        let mut settings = Settings::new(Vec::new());
        settings.access = access;
        let shown = format!("{settings:?}");
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
    }
}
