//! The tests' own HTTP client.

use reqwest::Client;

/// A client that takes any certificate. A new one for each test: its connections live in the test's runtime.
pub fn client() -> Client {
    // Fails when another test has done it already, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().tls_danger_accept_invalid_certs(true).build().expect("HTTP client")
}
