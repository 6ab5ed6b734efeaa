//! The operator's certificate and key. What is wrong with them is said before anybody connects, each with what helps.

use std::path::Path;

use rustls::{crypto::ring, sign::CertifiedKey};
use time::OffsetDateTime;

use super::{
    facts::{Facts, is_p521},
    pem::{self, Why},
};
use crate::config::ConfigError;

/// What can be served with.
const KINDS: &str = "take one of RSA with 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519";

/// Reads `tls.cert` and `tls.key`.
pub(super) fn load(certificate: &Path, key: &Path) -> Result<CertifiedKey, ConfigError> {
    let error = |name: &str, path: &Path, why: Why| {
        ConfigError(format!("{name}: '{}': {why}", path.display()))
    };
    let chain =
        pem::certificates(certificate).map_err(|why| error("tls.cert", certificate, why))?;
    let facts: Option<Vec<Facts>> = chain.iter().map(Facts::of).collect();
    let facts = facts
        .ok_or_else(|| "a certificate in it cannot be read (X.509 version 3 is needed)".into());
    let checked = facts.and_then(|facts| check(&facts, OffsetDateTime::now_utc()));
    checked.map_err(|why| error("tls.cert", certificate, why))?;

    let key_der = pem::key(key).map_err(|why| error("tls.key", key, why))?;
    let p521 = is_p521(key_der.secret_der());
    let signing = ring::default_provider()
        .key_provider
        .load_private_key(key_der);
    let signing = signing.map_err(|_| {
        let what = match p521 {
            true => "keys on the curve P-521 cannot be served with",
            false => "a private key of its kind cannot be served with, or it is damaged",
        };
        error("tls.key", key, format!("{what}; {KINDS}"))
    })?;
    let certified = CertifiedKey::new(chain, signing);
    certified.keys_match().map_err(|_| {
        let certificate = certificate.display();
        let why = format!(
            "it is not the key of '{certificate}'; take the one that its request was made with"
        );
        error("tls.key", key, why)
    })?;
    Ok(certified)
}

/// Checks a chain at the time `now`.
fn check(chain: &[Facts], now: OffsetDateTime) -> Result<(), Why> {
    let date = |at: OffsetDateTime| at.date().to_string();
    if let Some(wrong) = chain.windows(2).position(|pair| match pair {
        [one, next] => one.issuer != next.subject,
        _ => false,
    }) {
        let issuer = chain.get(wrong).map(|one| &one.issuer);
        let is_issuer =
            |(at, other): (usize, &Facts)| at != wrong && Some(&other.subject) == issuer;
        if chain.iter().enumerate().any(is_issuer) || is_chain_backwards(chain) {
            return Err(
                "its certificates are in the wrong order: the server's own is the first, and each is followed by that of \
                 its issuer"
                    .into(),
            );
        }
    }
    for (n, facts) in (1..).zip(chain) {
        let what = match n {
            1 => "the certificate".to_owned(),
            n => format!("the certificate number {n} in it"),
        };
        if now > facts.ends {
            let ended = date(facts.ends);
            return Err(format!("{what} has expired on {ended}; get a new one"));
        }
        if now < facts.begins {
            let begins = date(facts.begins);
            return Err(format!(
                "{what} is not valid before {begins}; wait for that day, or set the clock of this machine right"
            ));
        }
    }
    if chain.first().is_some_and(|first| first.p521) {
        return Err(format!(
            "keys on the curve P-521 cannot be served with; {KINDS}"
        ));
    }
    Ok(())
}

fn is_chain_backwards(chain: &[Facts]) -> bool {
    chain.windows(2).all(|pair| match pair {
        [one, next] => one.subject == next.issuer,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    };
    use time::Duration;

    use super::*;

    /// A folder with `cert.pem` and `key.pem`.
    struct Files(tempfile::TempDir);

    impl Files {
        fn with(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            fs::write(files.certificate(), certificate).unwrap();
            fs::write(files.key(), key).unwrap();
            files
        }

        fn certificate(&self) -> PathBuf {
            self.0.path().join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.0.path().join("key.pem")
        }

        fn load(&self) -> Result<CertifiedKey, ConfigError> {
            load(&self.certificate(), &self.key())
        }

        fn refused(&self) -> String {
            self.load().unwrap_err().to_string()
        }
    }

    fn params(name: &str, begins: i64, ends: i64) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = OffsetDateTime::now_utc() + Duration::days(begins);
        params.not_after = OffsetDateTime::now_utc() + Duration::days(ends);
        params
    }

    fn new_key() -> KeyPair {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
    }

    /// A certificate that is valid on those days from now, and its key, in PEM.
    fn own(begins: i64, ends: i64) -> (String, String) {
        let key = new_key();
        let certificate = params("own", begins, ends).self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    /// A certificate of an intermediate authority, that authority's, and the key of the first.
    fn chain() -> (String, String, String) {
        let (root_key, middle_key, key) = (new_key(), new_key(), new_key());
        let authority = |name: &str| {
            let mut params = params(name, -1, 100);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root = Issuer::new(authority("root"), root_key);
        let middle = authority("middle").signed_by(&middle_key, &root).unwrap();
        let issuer = Issuer::new(authority("middle"), middle_key);
        let leaf = params("leaf", -1, 100).signed_by(&key, &issuer).unwrap();
        (leaf.pem(), middle.pem(), key.serialize_pem())
    }

    #[test]
    fn a_certificate_and_its_key_are_taken_with_a_byte_order_mark_too() {
        let (certificate, key) = own(-1, 100);
        Files::with(&certificate, &key).load().unwrap();
        let marked = |text: &str| format!("\u{feff}{text}").replace('\n', "\r\n");
        Files::with(marked(&certificate), marked(&key))
            .load()
            .unwrap();
        // Both in one file.
        let both = format!("{key}{certificate}");
        Files::with(&both, &both).load().unwrap();
        let (leaf, middle, key) = chain();
        Files::with(format!("{leaf}{middle}"), key).load().unwrap();
    }

    fn der(pem: &str) -> Vec<u8> {
        use base64::Engine as _;
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        base64::engine::general_purpose::STANDARD
            .decode(lines)
            .unwrap()
    }

    fn one_line(pem: &str) -> String {
        pem.replace('\n', "")
    }

    /// `files` are refused with one line that begins with the setting, says `what`, and has no part of `keys`.
    fn expect_refused(files: &Files, setting: &str, what: &str, keys: &[&str]) {
        let error = files.refused();
        assert!(
            error.starts_with(&format!("{setting}: ")) && error.contains(what),
            "{what}: {error}"
        );
        assert!(!error.contains('\n'), "{error}");
        for key in keys {
            assert!(!error.contains(&key[40..60]), "{error}");
        }
    }

    #[test]
    fn each_fault_of_a_certificate_has_a_sentence_of_its_own_that_says_what_helps() {
        let (certificate, key) = own(-1, 100);
        let (leaf, middle, leaf_key) = chain();
        let (old, old_key) = own(-100, -1);
        let (early, early_key) = own(2, 100);
        for (files, what) in [
            (Files::with(&old, &old_key), "has expired on"),
            (Files::with(&early, &early_key), "is not valid before"),
            (
                Files::with(format!("{middle}{leaf}"), &leaf_key),
                "in the wrong order",
            ),
            (Files::with(P521.0, P521.1), "P-521"),
            (
                Files::with(der(&certificate), &key),
                "openssl x509 -inform der",
            ),
            (Files::with(b"\xff\xfeM", &key), "UTF-16"),
            (
                Files::with(one_line(&certificate), &key),
                "line breaks are lost",
            ),
            (Files::with(&key, &key), "belongs into tls.key"),
            (Files::with("", &key), "there is no certificate in it"),
        ] {
            expect_refused(&files, "tls.cert", what, &[&key, &leaf_key, &old_key]);
        }
        let nowhere = load(Path::new("/nowhere/cert.pem"), Path::new("key.pem"));
        let error = nowhere.unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }

    #[test]
    fn each_fault_of_a_key_has_a_sentence_of_its_own_that_says_what_helps() {
        let (certificate, key) = own(-1, 100);
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let escaped = key.trim().replace('\n', "\\n");
        for (files, what) in [
            (
                Files::with(&certificate, own(-1, 100).1),
                "it is not the key of",
            ),
            (Files::with(&certificate, encrypted), "openssl pkey -in"),
            (Files::with(&certificate, P521.1), "P-521"),
            (
                Files::with(&certificate, der(&key)),
                "openssl pkey -inform der",
            ),
            (
                Files::with(&certificate, one_line(&key)),
                "line breaks are lost",
            ),
            (Files::with(&certificate, &escaped), "line breaks are lost"),
            (Files::with(&certificate, &key[..80]), "is it whole?"),
            (
                Files::with(&certificate, key.replace("M", "!")),
                "no base64",
            ),
            (
                Files::with(&certificate, &certificate),
                "belongs into tls.cert",
            ),
            (
                Files::with(&certificate, ""),
                "there is no private key in it",
            ),
        ] {
            expect_refused(&files, "tls.key", what, &[&key]);
        }
    }

    /// Of `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-521 -nodes -days 36500`.
    const P521: (&str, &str) = (
        include_str!("tests/p521.crt"),
        include_str!("tests/p521.key"),
    );
}
