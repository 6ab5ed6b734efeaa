//! Random secrets, and the form of them that may be stored.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// 256 random bits as base64url without padding: 43 characters.
pub(crate) fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// The SHA-256 of a secret in hex: what the database keeps of it. A secret of 256 random bits needs no salt and no
/// slow hash.
pub(crate) fn hash(secret: &str) -> String {
    format!("{:x}", Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_holds_256_bits_and_is_never_the_same() {
        assert_eq!(random().len(), 43);
        assert_ne!(random(), random());
    }

    #[test]
    fn the_hash_is_sha_256_in_hex() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
