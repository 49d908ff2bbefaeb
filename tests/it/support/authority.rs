//! A certificate authority of a test's own.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// Issues certificates that only those who are given [`Authority::pem`] trust.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, both PEM.
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "skidder test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("key of the authority");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("certificate of the authority") }
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these host names and addresses.
    pub fn issue(&self, names: &[&str]) -> Identity {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).expect("names of a certificate");
        params.distinguished_name.push(DnType::CommonName, names[0].as_str());
        let key = KeyPair::generate().expect("key of a certificate");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}
