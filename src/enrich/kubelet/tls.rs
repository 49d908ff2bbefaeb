//! Whom to believe to be the kubelet.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file holds no certificate.
    #[error("it holds no certificate in PEM")]
    NoCertificate,
    /// The file is no PEM.
    #[error("it is no PEM: {0}")]
    Pem(rustls::pki_types::pem::Error),
    /// The name to verify is neither a host's name nor an address.
    #[error("server_name {0:?} is neither a host's name nor an address")]
    Name(String),
    /// Rustls refuses.
    #[error(transparent)]
    Rustls(#[from] Error),
    /// Rustls refuses the certificates.
    #[error(transparent)]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

/// TLS for the kubelet.
///
/// `ca` is PEM: certificates that sign the kubelet's, or the kubelet's own. `None` believes anyone. `name` is
/// verified in place of the URL's host, unless it is empty.
///
/// # Errors
///
/// When `ca` holds no certificate, or `name` is no name.
pub fn client_config(ca: Option<&[u8]>, name: &str) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let trust = match ca {
        Some(pem) => trust_these(pem, name, &provider)?,
        None => Trust::Anyone,
    };
    let verifier = Arc::new(KubeletVerifier { trust, provider: Arc::clone(&provider) });
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn trust_these(pem: &[u8], name: &str, provider: &Arc<CryptoProvider>) -> Result<Trust, TlsError> {
    let given: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(TlsError::Pem)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(given.iter().cloned());
    if roots.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let name = match name {
        "" => None,
        name => Some(ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?),
    };
    let chain = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
    Ok(Trust::These { given, chain, name })
}

#[derive(Debug)]
enum Trust {
    /// `insecure_skip_verify`.
    Anyone,
    These {
        /// The certificates of `ca_file`. The kubelet's own may be among them: it signs nothing, but it is
        /// believed for what it is.
        given: Vec<CertificateDer<'static>>,
        /// Believes what they have signed.
        chain: Arc<WebPkiServerVerifier>,
        /// Verified in place of the URL's host: a certificate that a kubelet made for itself names the node,
        /// but is reached by an address.
        name: Option<ServerName<'static>>,
    },
}

#[derive(Debug)]
struct KubeletVerifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for KubeletVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::These { given, chain, name } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        let name = name.as_ref().unwrap_or(server_name);
        if given.contains(end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
            return Ok(ServerCertVerified::assertion());
        }
        chain.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_certificates_and_a_name() {
        let recorded = include_bytes!("../../../tests/data/kubelet/kubelet-serving.crt");
        assert!(client_config(Some(recorded), "lab-node").is_ok());
        assert!(client_config(None, "").is_ok());
        assert!(matches!(client_config(Some(b"nothing"), ""), Err(TlsError::NoCertificate)));
        assert!(matches!(client_config(Some(recorded), "a b"), Err(TlsError::Name(_))));
    }

    /// The certificate that a real kubelet made for itself: signed by an authority that it threw away, naming
    /// the host alone.
    #[test]
    fn believes_a_kubelets_own_certificate_by_its_hosts_name() {
        let recorded = include_bytes!("../../../tests/data/kubelet/kubelet-serving.crt");
        let certificate = CertificateDer::from_pem_slice(recorded).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verify = |name| {
            let trust = trust_these(recorded, name, &provider).unwrap();
            let verifier = KubeletVerifier { trust, provider: Arc::clone(&provider) };
            let address = ServerName::try_from("192.0.2.2").unwrap();
            verifier.verify_server_cert(&certificate, &[], &address, &[], UnixTime::now())
        };
        assert!(verify("lab-node").is_ok());
        let refused = verify("").unwrap_err().to_string();
        assert!(refused.contains("lab-node"), "says what the certificate names: {refused}");
        assert!(verify("other-node").is_err());
    }
}
