//! TLS by rustls with ring: whom we trust, and who we are to a proxy that asks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::credentials::Stamp;
use super::settings::Tls;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file cannot be read or holds nothing of what it should.
    #[error("cannot use {what} in {}: {why}", path.display())]
    File {
        /// What it should hold.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// One of the two files of a client certificate is missing in the configuration.
    #[error("a client certificate needs both cert_file and key_file")]
    Half,
    /// rustls refuses what it was given, such as a key that does not fit its certificate.
    #[error("cannot set up TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// The stamps of all files of `tls`, to see when one changes.
pub fn stamps(tls: &Tls) -> [Stamp; 3] {
    [&tls.ca_file, &tls.cert_file, &tls.key_file]
        .map(|path| path.as_deref().map(Stamp::of).unwrap_or_default())
}

/// Reads the files and makes a configuration for TLS 1.2 and 1.3.
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn client_config(tls: &Tls) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match &tls.ca_file {
        Some(path) if !tls.insecure_skip_verify => builder.with_root_certificates(roots(path)?),
        _ => {
            let trust = if tls.insecure_skip_verify { Trust::Anyone } else { Trust::System(OnceLock::new()) };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier { provider, trust }))
        }
    };
    match (&tls.cert_file, &tls.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert_file), Some(key_file)) => {
            let chain = certificates("a client certificate", cert_file)?;
            let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| TlsError::File {
                what: "a private key",
                path: key_file.clone(),
                why: error.to_string(),
            })?;
            Ok(builder.with_client_auth_cert(chain, key)?)
        }
        _ => Err(TlsError::Half),
    }
}

fn roots(ca_file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("a CA certificate", ca_file)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |why: String| TlsError::File { what, path: path.to_path_buf(), why };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|why| error(why.to_string()))?.collect();
    let certificates = certificates.map_err(|why| error(why.to_string()))?;
    if certificates.is_empty() {
        return Err(error("there is no certificate in it".into()));
    }
    Ok(certificates)
}

/// Whose certificates are taken, where no `ca_file` says it.
#[derive(Debug)]
enum Trust {
    /// `insecure_skip_verify`: anybody's, but still only signatures that fit them.
    Anyone,
    /// Those that the system's authorities signed. There are a hundred and more, so they are read when the first
    /// certificate comes: where nothing is sent by TLS none does. `None`: the system has none.
    System(OnceLock<Option<Arc<WebPkiServerVerifier>>>),
}

#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

impl Verifier {
    fn of_system(&self) -> Option<Arc<WebPkiServerVerifier>> {
        let mut roots = RootCertStore::empty();
        // One odd certificate among the system's is no reason to trust none of them.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::clone(&self.provider);
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let system = match &self.trust {
            Trust::Anyone => return Ok(ServerCertVerified::assertion()),
            Trust::System(system) => system.get_or_init(|| self.of_system()),
        };
        let none = || rustls::Error::General("the system has no certificate authorities".to_owned());
        system.as_ref().ok_or_else(none)?.verify_server_cert(certificate, chain, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_named_when_they_are_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let tls = Tls { ca_file: Some(path.clone()), ..Tls::default() };
        assert!(client_config(&tls).unwrap_err().to_string().contains("ca.pem"));
        fs::write(&path, "no pem at all").unwrap();
        assert!(client_config(&tls).unwrap_err().to_string().contains("no certificate in it"));
        let half = Tls { cert_file: Some(path), ..Tls::default() };
        assert!(matches!(client_config(&half), Err(TlsError::Half)));
    }

    #[test]
    fn a_ca_and_a_client_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name));
        fs::write(&cert, own.cert.pem()).unwrap();
        fs::write(&key, own.signing_key.serialize_pem()).unwrap();
        let tls = Tls {
            ca_file: Some(cert.clone()),
            cert_file: Some(cert),
            key_file: Some(key.clone()),
            insecure_skip_verify: false,
        };
        client_config(&tls).unwrap();
        let before = stamps(&tls);
        assert_eq!(before, stamps(&tls));
        fs::write(&key, "changed").unwrap();
        assert_ne!(before, stamps(&tls));
        assert!(client_config(&tls).is_err());
        assert!(client_config(&Tls { insecure_skip_verify: true, ..Tls::default() }).is_ok());
    }
}
