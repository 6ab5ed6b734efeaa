//! Certificates: the operator's own, or those of a local certificate authority made on first start.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use time::{Duration as Days, OffsetDateTime};

use crate::{
    config::{Config, TlsMode},
    data_dir,
};

/// The names that the local certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long the local authority is valid.
const CA_DAYS: i64 = 3650;

/// How long a local certificate is valid: as long as browsers accept.
const CERTIFICATE_DAYS: i64 = 397;

/// A local certificate this old is replaced at the next start.
const RENEW_AFTER: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Where the local authority's files are.
pub(crate) struct LocalCa {
    pub(crate) ca: PathBuf,
    ca_key: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl LocalCa {
    /// In `data_dir/tls`.
    pub(crate) fn in_data_dir(data_dir: &Path) -> Self {
        let dir = data_dir.join("tls");
        Self {
            ca: dir.join("ca.pem"),
            ca_key: dir.join("ca.key"),
            certificate: dir.join("server.pem"),
            key: dir.join("server.key"),
        }
    }

    /// Makes what is missing or old.
    fn ensure(&self) -> anyhow::Result<()> {
        if let Some(dir) = self.ca.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let ca_key = if self.ca.is_file() && self.ca_key.is_file() {
            let pem = fs::read_to_string(&self.ca_key)
                .with_context(|| format!("cannot read {}", self.ca_key.display()))?;
            KeyPair::from_pem(&pem).with_context(|| {
                format!(
                    "{} is not a private key; restore it, or remove {} to make a new authority",
                    self.ca_key.display(),
                    self.ca.display()
                )
            })?
        } else {
            let key = KeyPair::generate()?;
            let ca = ca_params().self_signed(&key)?;
            data_dir::write(&self.ca_key, &key.serialize_pem(), true)?;
            data_dir::write(&self.ca, &ca.pem(), false)?;
            // Whatever there is was signed by another authority.
            let _ = fs::remove_file(&self.certificate);
            key
        };
        if self.is_current() {
            return Ok(());
        }
        let key = KeyPair::generate()?;
        let certificate = params(&NAMES)?.signed_by(&key, &Issuer::new(ca_params(), ca_key))?;
        data_dir::write(&self.key, &key.serialize_pem(), true)?;
        data_dir::write(&self.certificate, &certificate.pem(), false)
    }

    fn is_current(&self) -> bool {
        let made = fs::metadata(&self.certificate).and_then(|m| m.modified());
        let young = made.is_ok_and(|at| at.elapsed().is_ok_and(|age| age < RENEW_AFTER));
        young && self.key.is_file()
    }
}

/// The authority is the same for the same key: its certificate needs not be read to sign with it.
fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Herald local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, CA_DAYS);
    params
}

fn params(names: &[&str]) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Herald");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, CERTIFICATE_DAYS);
    Ok(params)
}

/// From yesterday, for clients whose clock is a little behind.
fn valid_for(params: &mut CertificateParams, days: i64) {
    let yesterday = OffsetDateTime::now_utc() - Days::days(1);
    params.not_before = yesterday;
    params.not_after = yesterday + Days::days(days);
}

/// What the listeners serve with, for the given application protocols; `None` if TLS is off.
pub(crate) fn server_config(config: &Config) -> anyhow::Result<Option<ServerConfig>> {
    let local = LocalCa::in_data_dir(&config.data_dir);
    let (certificate, key) = match config.tls.mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Files => (&config.tls.cert, &config.tls.key),
        TlsMode::Auto => {
            local.ensure()?;
            (&local.certificate, &local.key)
        }
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .with_context(|| format!("{} holds no PEM certificates", certificate.display()))?;
    let key_der = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("{} holds no PEM private key", key.display()))?;
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| {
            format!(
                "{} and {} do not belong together",
                certificate.display(),
                key.display()
            )
        })?;
    Ok(Some(server))
}
