//! One hash with the parameters of today, in memory that is used again: 19 MiB that are given back to the allocator after each
//! hash stay in the process, and grow with what happens beside them.

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, PasswordVerifier as _, Version,
    password_hash::phc::{Output, ParamsString, Salt},
};
use parking_lot::Mutex;

/// OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of a new salt (RFC 9106, section 3.1) and of a hash.
const SALT: usize = 16;
const HASH: usize = Params::DEFAULT_OUTPUT_LEN;

/// The memory of those hashes that were computed at once, for the next ones.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Vec<Vec<Block>>>);

impl Memory {
    /// The PHC string of a password with a fresh salt.
    pub(crate) fn hash(&self, password: &str) -> Result<String, String> {
        let salt = Salt::new(&rand::random::<[u8; SALT]>()).map_err(text)?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(argon2().params()).map_err(text)?,
            hash: Some(self.compute(password, &salt)?),
            salt: Some(salt),
        };
        Ok(hash.to_string())
    }

    /// Whether a password has this hash, whatever its parameters.
    pub(crate) fn matches(&self, password: &str, hash: &str) -> Result<bool, String> {
        let hash = PasswordHash::new(hash).map_err(text)?;
        let expected = hash.hash.filter(|hash| hash.as_bytes().len() == HASH);
        if let (true, Some(salt), Some(expected)) = (is_of_today(&hash), hash.salt, expected) {
            // Compared in constant time.
            return Ok(self.compute(password, &salt)? == expected);
        }
        // Other parameters, which are rare, need memory of another size.
        Ok(argon2().verify_password(password.as_bytes(), &hash).is_ok())
    }

    fn compute(&self, password: &str, salt: &Salt) -> Result<Output, String> {
        let argon2 = argon2();
        let mut blocks = self.0.lock().pop().unwrap_or_default();
        blocks.resize(argon2.params().block_count(), Block::new());
        let mut hash = [0; HASH];
        let computed = argon2.hash_password_into_with_memory(
            password.as_bytes(),
            salt,
            &mut hash,
            &mut blocks[..],
        );
        self.0.lock().push(blocks);
        computed.map_err(text)?;
        Output::new(&hash).map_err(text)
    }
}

/// Whether a hash was made with the parameters of today.
pub(crate) fn is_of_today(hash: &PasswordHash) -> bool {
    let today = ParamsString::try_from(argon2().params());
    hash.algorithm == ARGON2ID_IDENT
        && hash.version == Some(Version::V0x13.into())
        && today.is_ok_and(|today| today == hash.params)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .expect("constants within the limits of Argon2");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    #[test]
    fn a_hash_is_one_of_the_crate_and_the_other_way_round() {
        let memory = Memory::default();
        let own = memory.hash("correct horse").unwrap();
        let parsed = PasswordHash::new(&own).unwrap();
        let verify = |password: &[u8]| Argon2::default().verify_password(password, &parsed);
        assert!(verify(b"correct horse").is_ok());
        assert!(verify(b"battery staple").is_err());
        let theirs = argon2().hash_password(b"correct horse").unwrap();
        assert!(is_of_today(&theirs));
        assert!(
            memory
                .matches("correct horse", &theirs.to_string())
                .unwrap()
        );
        assert!(
            !memory
                .matches("battery staple", &theirs.to_string())
                .unwrap()
        );
        assert_ne!(own, memory.hash("correct horse").unwrap());
    }

    #[test]
    fn hashes_one_after_another_share_their_memory() {
        let memory = Memory::default();
        let hash = memory.hash("correct horse").unwrap();
        let first = memory.0.lock()[0].as_ptr();
        for _ in 0..3 {
            assert!(!memory.matches("battery staple", &hash).unwrap());
        }
        let kept = memory.0.lock();
        assert_eq!((kept.len(), kept[0].as_ptr()), (1, first));
    }
}
