//! What a certificate says of itself.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{EndEntityCert, Error, KeyUsage};

/// The object identifier of the curve P-521 (RFC 5480), in DER.
const P521: &[u8] = b"\x06\x05\x2b\x81\x04\x00\x23";

/// A certificate, as far as it matters to who serves with it.
pub(super) struct Facts {
    /// Its subject and issuer, in DER.
    pub(super) subject: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) begins: OffsetDateTime,
    pub(super) ends: OffsetDateTime,
    /// Its key is on the curve P-521.
    pub(super) p521: bool,
}

impl Facts {
    /// `None` if it is no certificate that TLS clients would read (X.509 version 3).
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = EndEntityCert::try_from(certificate).ok()?;
        let (begins, ends) = validity(&parsed)?;
        let key = parsed.subject_public_key_info();
        Some(Self {
            subject: parsed.subject().to_vec(),
            issuer: parsed.issuer().to_vec(),
            begins,
            ends,
            p521: is_p521(&key),
        })
    }
}

/// Whether a key in DER, public or private, is on the curve P-521.
pub(super) fn is_p521(key: &[u8]) -> bool {
    key.windows(P521.len()).any(|part| part == P521)
}

/// From when to when it is valid: `webpki` says so when it refuses a time before and one after.
fn validity(certificate: &EndEntityCert<'_>) -> Option<(OffsetDateTime, OffsetDateTime)> {
    let refused = |at: u64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        let usage = KeyUsage::server_auth();
        certificate
            .verify_for_usage(&[], &[], &[], at, usage, None, None)
            .err()
    };
    let date = |time: UnixTime| {
        OffsetDateTime::from_unix_timestamp(i64::try_from(time.as_secs()).ok()?).ok()
    };
    let begins = match refused(0) {
        Some(Error::CertNotValidYet { not_before, .. }) => not_before,
        _ => UnixTime::since_unix_epoch(Duration::ZERO),
    };
    // The longest that X.509 knows is the end of the year 9999.
    let ends = match refused(u64::MAX / 2) {
        Some(Error::CertExpired { not_after, .. }) => not_after,
        _ => return None,
    };
    Some((date(begins)?, date(ends)?))
}
