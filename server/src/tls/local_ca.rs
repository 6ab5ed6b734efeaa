//! The local certificate authority, and the certificate that it makes for this server.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    crypto::ring,
    pki_types::{PrivateKeyDer, UnixTime},
    sign::CertifiedKey,
};
use time::{Duration as Days, OffsetDateTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::{facts::Facts, pem};
use crate::data_dir;

/// The names that the local certificate is for.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How long the local authority is valid.
const CA_DAYS: i64 = 3650;

/// How long a local certificate is valid: as long as browsers accept.
const CERTIFICATE_DAYS: i64 = 397;

/// A local certificate this old is replaced at the next start.
const RENEW_AFTER_DAYS: i64 = 90;

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
    pub(super) fn ensure(&self) -> anyhow::Result<()> {
        if let Some(dir) = self.ca.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        }
        let now = OffsetDateTime::now_utc();
        let ca_key = if self.ca.is_file() && self.ca_key.is_file() && !self.has_expired(now)? {
            self.read_key()?
        } else {
            let key = KeyPair::generate()?;
            let ca = ca_params(now).self_signed(&key)?;
            data_dir::write(&self.ca_key, &key.serialize_pem(), true)?;
            data_dir::write(&self.ca, &ca.pem(), false)?;
            // Whatever there is was signed by another authority.
            let _ = fs::remove_file(&self.certificate);
            key
        };
        if self.is_current(now) {
            return Ok(());
        }
        let key = KeyPair::generate()?;
        let issuer = Issuer::new(ca_params(now), ca_key);
        let certificate = params(&NAMES, now)?.signed_by(&key, &issuer)?;
        data_dir::write(&self.key, &key.serialize_pem(), true)?;
        data_dir::write(&self.certificate, &certificate.pem(), false)
    }

    /// Whether the authority is of no use any more, which is logged.
    fn has_expired(&self, now: OffsetDateTime) -> anyhow::Result<bool> {
        let facts = pem::certificates(&self.ca).ok();
        let facts = facts.and_then(|all| Facts::of(all.first()?));
        let facts = facts.ok_or_else(|| {
            let ca = self.ca.display();
            anyhow!("{ca} holds no certificate; restore it, or remove it to make a new authority")
        })?;
        let expired = now > facts.ends;
        if expired {
            tracing::warn!(
                ca = %self.ca.display(),
                ended = %facts.ends.date(),
                "the local certificate authority has expired, and a new one is made; clients have to trust that, see: \
                 herald ca"
            );
        }
        Ok(expired)
    }

    fn read_key(&self) -> anyhow::Result<KeyPair> {
        // Not what the parser says, which may quote the key.
        let key = pem::key(&self.ca_key).ok();
        let key = key.and_then(|der| KeyPair::try_from(&der).ok());
        key.ok_or_else(|| {
            anyhow!(
                "{} holds no private key; restore it, or remove {} to make a new authority",
                self.ca_key.display(),
                self.ca.display()
            )
        })
    }

    /// Whether the server's certificate is young by its own word, of this authority, and there is its key.
    fn is_current(&self, now: OffsetDateTime) -> bool {
        let current = || {
            let chain = pem::certificates(&self.certificate).ok()?;
            let certificate = chain.first()?;
            let age = now - Facts::of(certificate)?.begins;
            let cas = pem::certificates(&self.ca).ok()?;
            let anchors = [anchor_from_trusted_cert(cas.first()?).ok()?];
            let parsed = EndEntityCert::try_from(certificate).ok()?;
            let algorithms = ring::default_provider().signature_verification_algorithms;
            let verified = parsed.verify_for_usage(
                algorithms.all,
                &anchors,
                &[],
                UnixTime::now(),
                KeyUsage::server_auth(),
                None,
                None,
            );
            let young = age < Days::days(RENEW_AFTER_DAYS);
            Some(young && verified.is_ok() && self.load().is_ok())
        };
        current().unwrap_or(false)
    }

    /// The certificate and key of this server.
    pub(super) fn load(&self) -> anyhow::Result<CertifiedKey> {
        let of = |path: &Path, why: String| anyhow!("{}: {why}", path.display());
        let chain = pem::certificates(&self.certificate).map_err(|e| of(&self.certificate, e))?;
        let key: PrivateKeyDer<'_> = pem::key(&self.key).map_err(|e| of(&self.key, e))?;
        let key = ring::default_provider().key_provider.load_private_key(key);
        let key = key.map_err(|_| of(&self.key, "it cannot be used".into()))?;
        let certified = CertifiedKey::new(chain, key);
        certified
            .keys_match()
            .map_err(|_| of(&self.key, "it is not the key of the certificate".into()))?;
        Ok(certified)
    }
}

/// The authority is the same for the same key: its certificate needs not be read to sign with it.
fn ca_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Herald local CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for(&mut params, CA_DAYS, now);
    params
}

fn params(names: &[&str], now: OffsetDateTime) -> anyhow::Result<CertificateParams> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Herald");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    valid_for(&mut params, CERTIFICATE_DAYS, now);
    Ok(params)
}

/// From yesterday, for clients whose clock is a little behind.
fn valid_for(params: &mut CertificateParams, days: i64, now: OffsetDateTime) {
    let yesterday = now - Days::days(1);
    params.not_before = yesterday;
    params.not_after = yesterday + Days::days(days);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An authority whose files are in a folder of their own.
    fn local() -> (tempfile::TempDir, LocalCa) {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalCa::in_data_dir(folder.path());
        fs::create_dir(folder.path().join("tls")).unwrap();
        (folder, local)
    }

    /// Writes an authority and a certificate of its own, as they were made so long ago.
    fn made(local: &LocalCa, days_ago: i64) {
        let then = OffsetDateTime::now_utc() - Days::days(days_ago);
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let ca = ca_params(then).self_signed(&ca_key).unwrap();
        fs::write(&local.ca, ca.pem()).unwrap();
        fs::write(&local.ca_key, ca_key.serialize_pem()).unwrap();
        let issuer = Issuer::new(ca_params(then), ca_key);
        let certificate = params(&NAMES, then)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        fs::write(&local.certificate, certificate.pem()).unwrap();
        fs::write(&local.key, key.serialize_pem()).unwrap();
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_certificate_is_renewed_by_its_own_age_and_not_by_that_of_its_file() {
        for (days, renewed) in [(1, false), (80, false), (100, true), (500, true)] {
            let (_folder, local) = local();
            made(&local, days);
            let before = (read(&local.ca), read(&local.certificate));
            local.ensure().unwrap();
            assert_eq!(read(&local.ca), before.0, "{days}");
            assert_eq!(read(&local.certificate) != before.1, renewed, "{days}");
            local.load().unwrap();
        }
    }

    #[test]
    fn an_authority_that_has_expired_is_made_anew() {
        let (_folder, local) = local();
        made(&local, CA_DAYS + 1);
        let before = read(&local.ca);
        local.ensure().unwrap();
        assert_ne!(read(&local.ca), before);
        assert!(local.is_current(OffsetDateTime::now_utc()));
    }

    #[test]
    fn a_certificate_of_another_authority_or_without_its_key_is_made_anew() {
        let (_folder, mine) = local();
        made(&mine, 1);
        let (_other_folder, other) = local();
        made(&other, 1);
        fs::copy(&other.certificate, &mine.certificate).unwrap();
        mine.ensure().unwrap();
        assert_ne!(read(&mine.certificate), read(&other.certificate));
        fs::copy(&other.key, &mine.key).unwrap();
        mine.ensure().unwrap();
        mine.load().unwrap();
    }

    #[test]
    fn a_key_that_cannot_be_read_is_not_quoted() {
        let (_folder, local) = local();
        made(&local, 1);
        let key = read(&local.ca_key).replace('\n', "");
        fs::write(&local.ca_key, &key).unwrap();
        let error = format!("{:#}", local.ensure().unwrap_err());
        assert!(error.contains("holds no private key"), "{error}");
        assert!(!error.contains(&key[40..60]), "{error}");
    }
}
