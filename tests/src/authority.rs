//! A certificate authority of the test's own, and the certificate that several servers have.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

use crate::herald::Herald;

/// The authority, and a certificate for servers of loopback, in files that go when this is dropped.
pub struct Authority(TempDir);

impl Authority {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // OpenSSL goes by names, and by what a key is for.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "the authority of a test");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "localhost");
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let made = Self(TempDir::with_prefix("herald-").unwrap());
        fs::write(made.ca(), issuer.pem()).unwrap();
        fs::write(made.certificate(), certificate.pem()).unwrap();
        fs::write(made.key(), key.serialize_pem()).unwrap();
        made
    }

    /// What clients trust.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The certificate of the servers.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    /// What makes a server have that certificate.
    #[must_use]
    pub fn settings(&self) -> [(&'static str, String); 3] {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [
            ("HERALD_TLS__MODE", "files".into()),
            ("HERALD_TLS__CERT", text(&self.certificate())),
            ("HERALD_TLS__KEY", text(&self.key())),
        ]
    }

    /// Has the clients of this server, which has yet to begin with these settings, trust the authority.
    pub fn vouch_for(&self, herald: &Herald) {
        let ca = herald.ca();
        fs::create_dir_all(ca.parent().unwrap()).unwrap();
        fs::copy(self.ca(), ca).unwrap();
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
