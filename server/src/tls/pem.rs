//! Certificates and keys out of PEM files (RFC 7468).
//!
//! The parsers' own errors are never passed on: they quote what they could not read, which may be a private key.

use std::{fs, path::Path};

use rustls::pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error, PemObject},
};

/// Why a file cannot be used, and what helps: a sentence that follows the file's name.
pub(super) type Why = String;

/// What a file is to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificates,
    Key,
}

/// The certificates in a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Why> {
    let pem = read(path, Kind::Certificates)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(nothing(&pem, Kind::Certificates)),
        Err(e) => Err(unreadable(&e, &pem, Kind::Certificates)),
    }
}

/// The first private key in a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Why> {
    let pem = read(path, Kind::Key)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|e| unreadable(&e, &pem, Kind::Key))
}

/// The bytes of a file, if they may be PEM.
fn read(path: &Path, kind: Kind) -> Result<Vec<u8>, Why> {
    let mut bytes = fs::read(path).map_err(|e| format!("it cannot be read: {e}"))?;
    // The byte order mark of some editors.
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("it is UTF-16; save it as UTF-8".into());
    }
    // A SEQUENCE, longer than 127 bytes.
    if matches!(bytes.as_slice(), [0x30, 0x80..=0x84, ..]) {
        let convert = match kind {
            Kind::Certificates => "openssl x509 -inform der -in FILE -out FILE.pem",
            Kind::Key => "openssl pkey -inform der -in FILE -out FILE.pem",
        };
        return Err(format!(
            "it is DER or PKCS #12, and PEM is needed; for DER: {convert}"
        ));
    }
    if is_encrypted(&bytes) && kind == Kind::Key {
        return Err(
            "the private key is encrypted, and nobody is there to type the passphrase; write it without one: \
             openssl pkey -in FILE -out FILE.plain"
                .into(),
        );
    }
    Ok(bytes)
}

fn is_encrypted(pem: &[u8]) -> bool {
    has(pem, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(pem, "Proc-Type: 4,ENCRYPTED")
}

fn has(pem: &[u8], text: &str) -> bool {
    pem.windows(text.len()).any(|part| part == text.as_bytes())
}

fn unreadable(error: &Error, pem: &[u8], kind: Kind) -> Why {
    if lines_are_lost(pem) {
        return "its line breaks are lost: the lines BEGIN and END of PEM stand alone".into();
    }
    match error {
        Error::NoItemsFound => nothing(pem, kind),
        Error::MissingSectionEnd { .. } => "it ends before the line END does; is it whole?".into(),
        Error::IllegalSectionStart { .. } => {
            "a line BEGIN of PEM is malformed; copy the file again".into()
        }
        Error::Base64Decode(_) => {
            "what stands between BEGIN and END is no base64; copy the file again".into()
        }
        _ => "it is no PEM file".into(),
    }
}

/// Whether a line holds more than the mark it begins with.
fn lines_are_lost(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    let broken = |line: &str| {
        let line = line.trim();
        let label = line
            .strip_prefix("-----BEGIN ")
            .and_then(|l| l.strip_suffix("-----"));
        let alone = label.is_some_and(|l| !l.contains('-') && l.len() < 64);
        line.contains("-----BEGIN ") && !alone
    };
    text.lines().any(broken)
}

/// What to say of a file that has nothing of its kind.
fn nothing(pem: &[u8], kind: Kind) -> Why {
    let key = has(pem, "PRIVATE KEY-----");
    match kind {
        _ if lines_are_lost(pem) => {
            "its line breaks are lost: the lines BEGIN and END of PEM stand alone".into()
        }
        Kind::Certificates if key => {
            "it holds a private key and no certificate; that belongs into tls.key".into()
        }
        Kind::Certificates if has(pem, "-----BEGIN CERTIFICATE REQUEST-----") => {
            "it is a request for a certificate; what is needed is the certificate that the authority made of it".into()
        }
        Kind::Certificates => "there is no certificate in it (-----BEGIN CERTIFICATE-----)".into(),
        Kind::Key if has(pem, "-----BEGIN CERTIFICATE-----") => {
            "it holds a certificate and no private key; that belongs into tls.cert".into()
        }
        Kind::Key => "there is no private key in it (-----BEGIN PRIVATE KEY-----)".into(),
    }
}
