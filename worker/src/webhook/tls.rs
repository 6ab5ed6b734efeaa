//! Whom the webhook trusts.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::error::WebhookError;

/// The certificate authorities that may vouch for the endpoint.
#[derive(Debug, Clone)]
pub enum Authorities {
    /// Those that the operating system trusts.
    System,
    /// These alone.
    Only(Arc<RootCertStore>),
}

impl Authorities {
    /// Takes the certificates of a PEM file.
    ///
    /// # Errors
    ///
    /// There are none in it, or one cannot be used.
    pub fn from_pem(pem: &[u8]) -> Result<Self, WebhookError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| WebhookError("it is not PEM".into()))?;
            roots
                .add(certificate)
                .map_err(|_| WebhookError("a certificate in it cannot be used".into()))?;
        }
        if roots.is_empty() {
            return Err(WebhookError("there is no certificate in it".into()));
        }
        Ok(Self::Only(Arc::new(roots)))
    }

    /// What a client that trusts these is made of: TLS 1.2 and later, HTTP/2 preferred.
    pub(super) fn client_config(self) -> ClientConfig {
        let roots = match self {
            Self::Only(roots) => roots,
            Self::System => Arc::new(system()),
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has what TLS 1.2 and 1.3 need")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config
    }
}

/// The operating system's authorities. Stores often hold some that cannot be used.
fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            errors = ?found.errors,
            "this system trusts no certificate authority, so no https webhook can be reached: \
             install ca-certificates, or set webhook.ca"
        );
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        for pem in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----\nhello",
            "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
        ] {
            let error = Authorities::from_pem(pem.as_bytes()).unwrap_err();
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
}
