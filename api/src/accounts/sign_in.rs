//! Checking passwords.

use std::{net::IpAddr, sync::Arc, time::Instant};

use herald_acl::Username;
use herald_store::{Timestamp, User};
use tokio::runtime::Handle;

use super::{
    directory::Accounts,
    error::AccountError,
    known_browsers::BrowserMarks,
    passwords,
    throttle::{Attempt, AttemptSpeed, Throttle},
};

/// The result of comparing a password.
enum Verified {
    Right(User),
    Wrong,
    /// The account changed meanwhile.
    Changed,
}

impl Accounts {
    /// The user with this name and password, throttled: ten failures of one address on one account within five minutes are
    /// followed by [`AccountError::Throttled`], fewer while the address or the account is under suspicion. Parallel guesses
    /// exceed that by no more than the hashes computed at once. `None` does not tell whether the name, the password or the
    /// account's state is at fault.
    pub async fn login(
        &self,
        username: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<Option<User>, AccountError> {
        let attempt = Attempt::new(address, Username::parse(username).ok());
        self.verify_by(username, password, Some(&attempt)).await
    }

    /// The same for a browser. If it is known to the account, it is throttled by what was tried with it alone.
    pub(crate) async fn login_with(
        &self,
        username: &str,
        password: &str,
        address: IpAddr,
        marks: &BrowserMarks,
    ) -> Result<Option<User>, AccountError> {
        let account = Username::parse(username).ok();
        let user = match &account {
            Some(account) if !marks.is_empty() => self.store.user_by_name(account).await?,
            _ => None,
        };
        let browser = user.and_then(|user| marks.known_to(&user, Timestamp::now()));
        let attempt = match (account, browser) {
            (Some(account), Some(browser)) => Attempt::by_known_browser(address, account, browser),
            (account, _) => Attempt::new(address, account),
        };
        self.verify_by(username, password, Some(&attempt)).await
    }

    /// The user, if this is the password of `user`, who is signed in and comes from `address`: throttled by what was tried in
    /// this way alone, whatever strangers try.
    pub(crate) async fn confirm(
        &self,
        user: &User,
        password: &str,
        address: IpAddr,
    ) -> Result<Option<User>, AccountError> {
        let attempt = Attempt::again(address, user.username.clone());
        let name = user.username.as_str();
        self.verify_by(name, password, Some(&attempt)).await
    }

    /// The user with this name and password, not throttled. An unknown name, a disabled user and a wrong password
    /// take the same time, and all are `None`.
    pub async fn verify(
        &self,
        username: &str,
        password: &str,
    ) -> Result<Option<User>, AccountError> {
        self.verify_by(username, password, None).await
    }

    async fn verify_by(
        &self,
        username: &str,
        password: &str,
        attempt: Option<&Attempt>,
    ) -> Result<Option<User>, AccountError> {
        // Twice, as another sign-in may have hashed the same password anew meanwhile.
        for _ in 0..2 {
            match self.verify_once(username, password, attempt).await? {
                Verified::Right(user) => return Ok(Some(user)),
                Verified::Wrong => break,
                Verified::Changed => {}
            }
        }
        Ok(None)
    }

    async fn check_throttle(&self, attempt: &Attempt) -> Result<AttemptSpeed, AccountError> {
        let throttle = &self.shared.throttle;
        let refused = |retry_after| AccountError::Throttled { retry_after };
        // Whoever tries on costs the database nothing.
        throttle
            .check_own(attempt, Instant::now())
            .map_err(refused)?;
        if !throttle.learn(attempt, &self.store).await? {
            return Err(AccountError::Busy);
        }
        throttle.check(attempt, Instant::now()).map_err(refused)
    }

    /// Counts a failure, here and for the other servers of the database: before the turn ends, so that the next one finds it.
    fn failed(&self, attempt: &Attempt) -> impl FnOnce() + Send + use<> {
        let (shared, store, attempt) = (
            Arc::clone(&self.shared),
            self.store.clone(),
            attempt.clone(),
        );
        move || {
            shared.throttle.record_failure(&attempt, Instant::now());
            Handle::current().block_on(Throttle::tell_failure(&attempt, &store));
        }
    }

    async fn was_right(&self, attempt: &Attempt) {
        let (throttle, now) = (&self.shared.throttle, Instant::now());
        if throttle.record_success(attempt, now) {
            throttle.tell_success(attempt, now, &self.store).await;
        }
    }

    /// Reads the user only now that it is its turn: waiting, it would miss a change of the password.
    async fn verify_once(
        &self,
        username: &str,
        password: &str,
        attempt: Option<&Attempt>,
    ) -> Result<Verified, AccountError> {
        let turn = match attempt {
            Some(attempt) => {
                let speed = self.check_throttle(attempt).await?;
                let turn = self.shared.passwords.turn_of(attempt, speed).await?;
                // Others may have failed while this one waited.
                self.check_throttle(attempt).await?;
                turn
            }
            None => self.shared.passwords.turn().await?,
        };
        let user = match Username::parse(username) {
            Ok(username) => self.store.user_by_name(&username).await?,
            Err(_) => None,
        };
        let user = user.filter(|user| !user.disabled);
        let hash = user.as_ref().map(|user| user.password_hash.as_str());
        let failed = attempt.map(|attempt| self.failed(attempt));
        let on_failure = || {
            if let Some(failed) = failed {
                failed();
            }
        };
        if !turn.matches(password, hash, on_failure).await? {
            return Ok(Verified::Wrong);
        }
        let Some(checked) = user else {
            return Ok(Verified::Wrong);
        };
        // What changed while the hash was computed has ended the sessions that there were, and must not miss this one.
        let current = self.store.user_by_name(&checked.username).await?;
        let current = current.filter(|user| {
            user.id == checked.id && user.password_hash == checked.password_hash && !user.disabled
        });
        let Some(mut user) = current else {
            return Ok(Verified::Changed);
        };
        if let Some(attempt) = attempt {
            self.was_right(attempt).await;
        }
        if let Some(hash) = self.hash_anew(&user, password).await {
            user.password_hash = hash;
        }
        Ok(Verified::Right(user))
    }

    /// Hashes a password that was right with the parameters of today, if it was with others: when there is time, and
    /// without a sign-in failing for it. Returns the new hash.
    async fn hash_anew(&self, user: &User, password: &str) -> Option<String> {
        if !passwords::is_outdated(&user.password_hash) {
            return None;
        }
        let turn = self.shared.passwords.free_turn()?;
        let hashed = async {
            let hash = turn.hash(password).await?;
            let old = &user.password_hash;
            let written = self.store.rehash_password(&user.id, old, &hash).await?;
            Ok::<_, AccountError>(written.then_some(hash))
        };
        hashed.await.unwrap_or_else(|error| {
            tracing::warn!(user = %user.username, %error, "a password keeps its old hash for now");
            None
        })
    }
}
