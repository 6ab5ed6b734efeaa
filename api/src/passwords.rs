//! Argon2id, off the async threads and a few at a time.

use std::{sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes computed at once: bounds memory and leaves processors to everyone else.
const AT_ONCE: usize = 2;
/// How long a hash may wait for its turn.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// A hash of nothing anyone knows, with the parameters above: what a password of an unknown user is compared with.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many wait already.
    #[error("too many passwords are being checked")]
    Busy,
    /// The stored hash is not one, or Argon2 failed.
    #[error("Argon2: {0}")]
    Argon2(String),
}

/// Hashes and compares passwords.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
            .expect("constants within the limits of Argon2");
        Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// The PHC string of a password with a fresh salt.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, PasswordError> {
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        self.in_turn(move || {
            argon2
                .hash_password(password.as_bytes())
                .map(|hash| hash.to_string())
                .map_err(|error| PasswordError::Argon2(error.to_string()))
        })
        .await
    }

    /// Whether a password has this hash. `None` costs the same and never matches.
    pub(crate) async fn matches(
        &self,
        password: &str,
        hash: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let known = hash.is_some();
        let (argon2, password) = (self.argon2.clone(), password.to_owned());
        let hash = hash.unwrap_or(NOBODY).to_owned();
        self.in_turn(move || {
            let hash = PasswordHash::new(&hash)
                .map_err(|error| PasswordError::Argon2(error.to_string()))?;
            Ok(argon2.verify_password(password.as_bytes(), &hash).is_ok() && known)
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn: OwnedSemaphorePermit =
            match timeout(MAX_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
                Ok(Ok(turn)) => turn,
                Ok(Err(_)) | Err(_) => return Err(PasswordError::Busy),
            };
        // The turn goes with the work: a caller that gives up does not make room while its hash is still computed.
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(|error| PasswordError::Argon2(error.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(
            passwords
                .matches("correct horse", Some(&hash))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .matches("battery staple", Some(&hash))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn nobody_is_compared_with_the_same_parameters_and_never_matches() {
        let passwords = Passwords::new();
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let real = PasswordHash::new(&passwords.hash("anything").await.unwrap()).unwrap();
        assert_eq!(nobody.params, real.params);
        assert_eq!(nobody.algorithm, real.algorithm);
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
        assert!(!passwords.matches("anything", None).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_has_a_limit() {
        let passwords = Passwords::new();
        let _all = Arc::clone(&passwords.turns)
            .acquire_many_owned(AT_ONCE as u32)
            .await
            .unwrap();
        assert!(matches!(
            passwords.hash("anything").await,
            Err(PasswordError::Busy)
        ));
    }
}
