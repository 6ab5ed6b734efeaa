//! The secret of Standard Webhooks, and signatures made with it.

use std::fmt;

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose},
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::error::WebhookError;

/// What a secret may begin with.
const PREFIX: &str = "whsec_";

/// The bytes of a secret ("between 24 bytes and 64 bytes").
const BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret shared with the endpoint (Standard Webhooks, "Symmetric"). It is never shown.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Takes `whsec_` and the base64 of 24 to 64 bytes, or the base64 alone.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn parse(secret: &str) -> Result<Self, WebhookError> {
        let encoded = secret.strip_prefix(PREFIX).unwrap_or(secret);
        let key = BASE64
            .decode(encoded)
            .map_err(|_| WebhookError("it must be whsec_ and base64".into()))?;
        if !BYTES.contains(&key.len()) {
            return Err(WebhookError(format!(
                "it must be whsec_ and the base64 of 24 to 64 bytes, and has {}",
                key.len()
            )));
        }
        let mac = Hmac::new_from_slice(&key).expect("HMAC takes a key of any length");
        Ok(Self(mac))
    }

    /// The value of `webhook-signature` for a body sent as `id` at `timestamp`, in seconds since 1970.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        let signature = general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        format!("v1,{signature}")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the libraries of Standard Webhooks are tested with.
    #[test]
    fn the_test_vector_of_the_specification_is_signed_as_it_says() {
        for secret in [
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let key = SigningKey::parse(secret).unwrap();
            let signature = key.sign(
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                br#"{"test": 2432232314}"#,
            );
            assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        }
    }

    fn of(bytes: usize) -> Result<SigningKey, WebhookError> {
        let encoded = general_purpose::STANDARD.encode(vec![7; bytes]);
        SigningKey::parse(&format!("whsec_{encoded}"))
    }

    #[test]
    fn a_key_has_24_to_64_bytes() {
        for bytes in [24, 25, 64] {
            of(bytes).unwrap();
        }
        for bytes in [0, 23, 65] {
            assert!(of(bytes).unwrap_err().to_string().contains("24 to 64"));
        }
    }

    #[test]
    fn padding_may_be_left_out() {
        let padded = general_purpose::STANDARD.encode([7; 25]);
        SigningKey::parse(padded.trim_end_matches('=')).unwrap();
    }

    #[test]
    fn a_secret_is_shown_neither_in_errors_nor_by_debug() {
        let error = SigningKey::parse("whsec_my-password!").unwrap_err();
        assert!(!error.to_string().contains("my-password"));
        assert_eq!(format!("{:?}", of(24).unwrap()), "SigningKey");
    }
}
