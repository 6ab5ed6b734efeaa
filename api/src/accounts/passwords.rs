//! Argon2id, off the async threads and a few at a time.

use std::{net::IpAddr, sync::Arc, time::Duration};

use argon2::PasswordHash;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use crate::{
    accounts::{
        password_memory::{Memory, is_of_today},
        throttle::{AccountKey, Attempt, AttemptSpeed},
    },
    limits::keyed_semaphore::{KeyedPermit, KeyedSemaphore, TooManyWait},
};

/// Hashes computed at once: bounds memory and leaves processors to everyone else.
const AT_ONCE: usize = 2;
/// How long a hash may wait for its turn: less than the 10 s that an MQTT client has to connect.
const MAX_WAIT: Duration = Duration::from_secs(8);
/// How many may wait: about as many as are hashed in that time.
const MAX_WAITING: usize = 1000;
/// Of one address on one account one at a time is hashed or queues among those of the address.
const AT_ONCE_OF_ACCOUNT: usize = 1;
/// Of one address so many at a time are hashed or queue among all; and as many whose password was right of late, so that
/// those who guess from there do not hold them up.
const AT_ONCE_OF_ADDRESS: usize = AT_ONCE;
/// A hash of no password, with the parameters of today: what the password of an unknown user is compared with.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdA$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password was neither hashed nor compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many wait already.
    #[error("too many passwords are being checked")]
    Busy,
    /// The stored hash cannot be read, or Argon2 failed.
    #[error("Argon2: {0}")]
    Argon2(String),
}

/// Gives turns to hash or compare a password.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    waiting: Semaphore,
    of_account: Arc<KeyedSemaphore<AccountKey>>,
    of_address: Arc<KeyedSemaphore<AddressKey>>,
    memory: Arc<Memory>,
}

/// An address, and whether the password was right of late.
type AddressKey = (IpAddr, bool);

/// The right to compute one hash now.
pub(crate) struct Turn {
    _permit: OwnedSemaphorePermit,
    _keyed: Option<(KeyedPermit<AccountKey>, KeyedPermit<AddressKey>)>,
    memory: Arc<Memory>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Semaphore::new(MAX_WAITING),
            of_account: KeyedSemaphore::new(AT_ONCE_OF_ACCOUNT, MAX_WAITING),
            of_address: KeyedSemaphore::new(AT_ONCE_OF_ADDRESS, 2 * MAX_WAITING),
            memory: Arc::default(),
        }
    }

    /// Waits for the turn of a sign-in. However many come from one address, or for one account from there, others wait for
    /// no more than one or two of them.
    pub(crate) async fn turn_of(
        &self,
        attempt: &Attempt,
        speed: AttemptSpeed,
    ) -> Result<Turn, PasswordError> {
        let mine = async {
            let account = self.of_account.acquire(attempt.account_key()).await;
            let account = account.map_err(|TooManyWait| PasswordError::Busy)?;
            let key = (attempt.address(), speed == AttemptSpeed::Trusted);
            let address = self.of_address.acquire(key).await;
            let address = address.map_err(|TooManyWait| PasswordError::Busy)?;
            if let AttemptSpeed::Slow(pause) = speed {
                sleep(pause).await;
            }
            let turn = self.turn().await?;
            Ok(Turn {
                _keyed: Some((account, address)),
                ..turn
            })
        };
        timeout(MAX_WAIT, mine)
            .await
            .unwrap_or(Err(PasswordError::Busy))
    }

    /// Waits for a turn; first come, first served.
    pub(crate) async fn turn(&self) -> Result<Turn, PasswordError> {
        let _waiting = self
            .waiting
            .try_acquire()
            .map_err(|_| PasswordError::Busy)?;
        match timeout(MAX_WAIT, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn {
                _permit: permit,
                _keyed: None,
                memory: Arc::clone(&self.memory),
            }),
            Ok(Err(_)) | Err(_) => Err(PasswordError::Busy),
        }
    }

    /// A turn, if one is free and nobody waits for it.
    pub(crate) fn free_turn(&self) -> Option<Turn> {
        let permit = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        Some(Turn {
            _permit: permit,
            _keyed: None,
            memory: Arc::clone(&self.memory),
        })
    }
}

impl Turn {
    /// The PHC string of a password with a fresh salt.
    pub(crate) async fn hash(self, password: &str) -> Result<String, PasswordError> {
        let password = password.to_owned();
        self.compute(move |memory| memory.hash(&password).map_err(PasswordError::Argon2))
            .await
    }

    /// Whether a password has this hash. `None` costs the same and never matches. A mismatch is reported before the
    /// turn ends, even if the caller has given up.
    pub(crate) async fn matches(
        self,
        password: &str,
        hash: Option<&str>,
        on_mismatch: impl FnOnce() + Send + 'static,
    ) -> Result<bool, PasswordError> {
        let known = hash.is_some();
        let password = password.to_owned();
        let hash = hash.unwrap_or(NOBODY).to_owned();
        self.compute(move |memory| {
            let matches = memory.matches(&password, &hash);
            let matches = matches.map_err(PasswordError::Argon2)? && known;
            if !matches {
                on_mismatch();
            }
            Ok(matches)
        })
        .await
    }

    async fn compute<T: Send + 'static>(
        self,
        work: impl FnOnce(&Memory) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        // The work holds the turn: a caller that gives up does not free it while the hash is still computed.
        tokio::task::spawn_blocking(move || {
            let turn = self;
            work(&turn.memory)
        })
        .await
        .map_err(failed)?
    }
}

/// Whether a stored hash was made with other parameters than those of today. What cannot be read is not: it matches no
/// password.
pub(crate) fn is_outdated(hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| !is_of_today(&hash))
}

fn failed(error: impl ToString) -> PasswordError {
    PasswordError::Argon2(error.to_string())
}

#[cfg(test)]
mod tests {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
    use futures_util::FutureExt as _;

    use super::*;

    async fn hash(password: &str) -> String {
        let turn = Passwords::new().turn().await.unwrap();
        turn.hash(password).await.unwrap()
    }

    async fn matches(password: &str, hash: Option<&str>) -> bool {
        let turn = Passwords::new().turn().await.unwrap();
        turn.matches(password, hash, || ()).await.unwrap()
    }

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let hash = hash("correct horse").await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(matches("correct horse", Some(&hash)).await);
        assert!(!matches("battery staple", Some(&hash)).await);
    }

    #[tokio::test]
    async fn nobody_is_compared_with_the_same_parameters_and_never_matches() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let real = PasswordHash::new(&hash("anything").await).unwrap();
        assert_eq!(nobody.params, real.params);
        assert_eq!(nobody.algorithm, real.algorithm);
        assert_eq!(nobody.hash.unwrap().len(), real.hash.unwrap().len());
        assert!(!matches("anything", None).await);
    }

    #[tokio::test]
    async fn a_hash_with_other_parameters_matches_and_is_outdated() {
        let params = Params::new(8, 1, 1, None).unwrap();
        let weak = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let weak = weak.hash_password(b"correct horse").unwrap().to_string();
        assert!(matches("correct horse", Some(&weak)).await);
        assert!(!matches("battery staple", Some(&weak)).await);
        assert!(is_outdated(&weak));
        assert!(!is_outdated(&hash("correct horse").await));
        assert!(!is_outdated("not a hash"));
    }

    #[tokio::test]
    async fn a_mismatch_is_reported_within_the_turn_even_if_the_caller_has_given_up() {
        let passwords = Passwords::new();
        let turns = Arc::clone(&passwords.turns);
        let (report, reported) = tokio::sync::oneshot::channel();
        let turn = passwords.turn().await.unwrap();
        let given_up = turn
            .matches("anything", None, move || {
                report.send(turns.available_permits()).unwrap();
            })
            .now_or_never();
        assert!(given_up.is_none());
        assert_eq!(reported.await.unwrap(), AT_ONCE - 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_has_a_limit() {
        let passwords = Passwords::new();
        let _all = Arc::clone(&passwords.turns)
            .acquire_many_owned(AT_ONCE as u32)
            .await
            .unwrap();
        let start = tokio::time::Instant::now();
        assert!(matches!(passwords.turn().await, Err(PasswordError::Busy)));
        assert_eq!(start.elapsed().as_secs(), MAX_WAIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_with_very_many_right_passwords_keeps_nobody_out() {
        let passwords = Passwords::new();
        let attempt = |name: &str| {
            let name = herald_acl::Username::parse(name).ok();
            Attempt::new([192, 0, 2, 1].into(), name)
        };
        let alice = attempt("alice");
        let first = passwords
            .turn_of(&alice, AttemptSpeed::Usual)
            .await
            .unwrap();
        let mut more: Vec<_> = (1..MAX_WAITING)
            .map(|_| Box::pin(passwords.turn_of(&alice, AttemptSpeed::Usual)))
            .collect();
        for turn in &mut more {
            assert!(turn.now_or_never().is_none());
        }
        let one_more = passwords.turn_of(&alice, AttemptSpeed::Usual).await;
        assert!(matches!(one_more, Err(PasswordError::Busy)));
        let bob = passwords
            .turn_of(&attempt("bob"), AttemptSpeed::Usual)
            .now_or_never();
        assert!(bob.is_some_and(|turn| turn.is_ok()));
        drop(first);
        let next = (&mut more[0]).now_or_never();
        assert!(next.is_some_and(|turn| turn.is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_right_of_late_does_not_wait_for_those_who_guess_at_the_same_address() {
        let passwords = Passwords::new();
        let attempt = |name: &str| {
            let name = herald_acl::Username::parse(name).ok();
            Attempt::new([192, 0, 2, 1].into(), name)
        };
        let slow = AttemptSpeed::Slow(Duration::from_secs(1));
        let guesses: Vec<_> = (0..20).map(|n| attempt(&format!("u{n}"))).collect();
        let mut guessing: Vec<_> = guesses
            .iter()
            .map(|guess| Box::pin(passwords.turn_of(guess, slow)))
            .collect();
        for guess in &mut guessing {
            assert!(guess.now_or_never().is_none());
        }
        let alice = attempt("alice");
        let alice = passwords
            .turn_of(&alice, AttemptSpeed::Trusted)
            .now_or_never();
        assert!(alice.is_some_and(|turn| turn.is_ok()));
        // One after another, each at its cost.
        let start = tokio::time::Instant::now();
        for guess in guessing.drain(..6) {
            drop(guess.await.unwrap());
        }
        assert!(start.elapsed() >= Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_wait_for_a_turn() {
        let passwords = Passwords::new();
        let _all = Arc::clone(&passwords.turns)
            .acquire_many_owned(AT_ONCE as u32)
            .await
            .unwrap();
        let mut waiting: Vec<_> = (0..MAX_WAITING)
            .map(|_| Box::pin(passwords.turn()))
            .collect();
        for turn in &mut waiting {
            assert!(turn.now_or_never().is_none());
        }
        let one_more = passwords.turn().now_or_never();
        assert!(matches!(one_more, Some(Err(PasswordError::Busy))));
    }
}
