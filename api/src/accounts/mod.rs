//! Who is who: passwords and access tokens, for every way in (HTTP, MQTT, the command line).

pub(crate) mod device;
pub(crate) mod password_memory;
pub(crate) mod passwords;
pub(crate) mod secret;
pub(crate) mod throttle;

use std::{
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use herald_acl::{Role, Username};
use herald_store::{
    AuditEntry, CreateToken, CreateUser, NewToken, Scopes, Store, StoreError, Timestamp, Token,
    TokenOrigin, UpdateUser, User, UserId, UserUpdate,
};
use parking_lot::Mutex;

use crate::accounts::{
    device::Devices,
    passwords::{PasswordError, Passwords},
    throttle::{Attempt, Pace, Throttle},
};

/// What every access token starts with, so that people and secret scanners recognise one.
pub const TOKEN_PREFIX: &str = "hrld_";
/// The name and the password of the account that [`Accounts::seed`] creates.
const DEFAULT_ADMIN: &str = "admin";
/// The shortest new password, in characters.
const PASSWORD_CHARS: usize = 8;
/// The longest new password, in bytes.
const PASSWORD_BYTES: usize = 1024;
/// Lengths of token names, in characters.
const TOKEN_NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=64;
/// How exactly it is known when a token was last used.
const LAST_USE: Duration = Duration::from_secs(5 * 60);

/// Why an operation on an account failed. Wrong credentials are not errors: they answer `None`.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Too many passwords wait to be checked; trying again in a second makes sense.
    #[error("too many passwords are being checked, try again")]
    Busy,
    /// Too many failed sign-ins by this address or for this account.
    #[error("too many failed sign-ins, wait {} s", retry_after.as_secs())]
    Throttled {
        /// How long to wait before the next try.
        retry_after: Duration,
    },
    /// The username belongs to someone.
    #[error("the username is taken")]
    Taken,
    /// A new password is too short or too long.
    #[error(
        "a password has {PASSWORD_CHARS} characters at least and {PASSWORD_BYTES} bytes at most"
    )]
    PasswordLength,
    /// A new password starts with [`TOKEN_PREFIX`]: MQTT, where both come in one field, would take it for a token.
    #[error("a password cannot start with {}, as access tokens do", TOKEN_PREFIX)]
    PasswordLooksLikeToken,
    /// A token name is empty, too long or has control characters.
    #[error(
        "a token name has {} to {} characters, none of them a control character",
        TOKEN_NAME_CHARS.start(),
        TOKEN_NAME_CHARS.end()
    )]
    TokenName,
    /// A token without a scope would be good for nothing.
    #[error("a token needs at least one scope")]
    NoScope,
    /// The user has as many tokens as allowed.
    #[error("you have too many tokens; revoke some that are not used")]
    TooManyTokens,
    /// A token was to be made by one that was made by one, and so on.
    #[error("a token that was made by a token that was made by others can make no more")]
    TokenDepth,
    /// The session or the token that asked for a token has ended meanwhile.
    #[error("the session or the token has ended")]
    Ended,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored password hash is broken, or Argon2 failed.
    #[error("hashing a password failed: {0}")]
    Hashing(String),
}

impl From<PasswordError> for AccountError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            PasswordError::Argon2(reason) => Self::Hashing(reason),
        }
    }
}

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The HTTP API.
    Api,
    /// An MQTT connection.
    Mqtt,
}

/// A new token, with the only copy of its text.
pub struct IssuedToken {
    /// What the database knows of it.
    pub token: Token,
    /// The text that its owner presents: [`TOKEN_PREFIX`] and 43 characters of base64url.
    pub secret: String,
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedToken")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// What is to change of an account; `None` stays as it is.
#[derive(Default)]
pub(crate) struct AccountUpdate<'a> {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
    pub(crate) password: Option<&'a str>,
    /// The hash of the secret of the browser session that a new password does not end.
    pub(crate) keep_session: Option<&'a str>,
    /// Nothing is changed if the hash of the password is another one by now.
    pub(crate) expected_hash: Option<&'a str>,
}

/// A new token.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// What it is good for; nothing is an error.
    pub scopes: Scopes,
    /// How long it lasts; `None`: for ever.
    pub ttl: Option<Duration>,
    /// When it ends at the latest; `None`: whenever.
    pub not_after: Option<Timestamp>,
    /// What it ends with.
    pub origin: TokenOrigin,
}

/// Checks passwords and tokens, and creates accounts. A clone is the same: there is one in a process, as it holds the
/// counters of failed sign-ins.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    shared: Arc<Shared>,
}

struct Shared {
    passwords: Passwords,
    throttle: Throttle,
    /// The last password hash of the seeded account that was looked at, and whether its password was the seeded one.
    seeded: Mutex<Option<(String, bool)>>,
}

/// What came of comparing a password.
enum Verified {
    Right(User),
    Wrong,
    /// The account changed meanwhile.
    Changed,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// Accounts kept in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let shared = Shared {
            passwords: Passwords::new(),
            throttle: Throttle::default(),
            seeded: Mutex::default(),
        };
        Self {
            store,
            shared: Arc::new(shared),
        }
    }

    /// The same, for one change that is recorded as `entry`.
    #[must_use]
    pub fn audited(&self, entry: AuditEntry) -> Self {
        Self {
            store: self.store.audited(entry),
            shared: Arc::clone(&self.shared),
        }
    }

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
        devices: &Devices,
    ) -> Result<Option<User>, AccountError> {
        let account = Username::parse(username).ok();
        let user = match &account {
            Some(account) if !devices.is_empty() => self.store.user_by_name(account).await?,
            _ => None,
        };
        let device = user.and_then(|user| devices.known_to(&user, Timestamp::now()));
        let attempt = match (account, device) {
            (Some(account), Some(device)) => Attempt::by_device(address, account, device),
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
    /// take the same time and answer the same.
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

    fn check_throttle(&self, attempt: &Attempt) -> Result<Pace, AccountError> {
        self.shared
            .throttle
            .check(attempt, Instant::now())
            .map_err(|retry_after| AccountError::Throttled { retry_after })
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
                let pace = self.check_throttle(attempt)?;
                let turn = self.shared.passwords.turn_of(attempt, pace).await?;
                // Others may have failed while this one waited.
                self.check_throttle(attempt)?;
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
        let (shared, failed) = (Arc::clone(&self.shared), attempt.cloned());
        let on_failure = move || {
            if let Some(failed) = failed {
                shared.throttle.record_failure(&failed, Instant::now());
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
            self.shared.throttle.record_success(attempt, Instant::now());
        }
        if let Some(hash) = self.hash_anew(&user, password).await {
            user.password_hash = hash;
        }
        Ok(Verified::Right(user))
    }

    /// Hashes a password that was right with the parameters of today, if it was with others: when there is time, and
    /// without a sign-in failing for it. Answers the new hash.
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

    /// Creates an account. Errors: [`AccountError::Taken`], [`AccountError::PasswordLength`],
    /// [`AccountError::PasswordLooksLikeToken`].
    pub async fn create_user(
        &self,
        username: Username,
        password: &str,
        role: Role,
    ) -> Result<User, AccountError> {
        check_new_password(password)?;
        self.create_unchecked(username, password, role).await
    }

    /// Replaces a user's password and ends the user's browser sessions. Answers whether there is such a user. Errors:
    /// [`AccountError::PasswordLength`], [`AccountError::PasswordLooksLikeToken`].
    pub async fn set_password(&self, user: &UserId, password: &str) -> Result<bool, AccountError> {
        let update = AccountUpdate {
            password: Some(password),
            ..AccountUpdate::default()
        };
        let updated = self.update(user, update).await?;
        Ok(matches!(updated, UpdateUser::Updated(_)))
    }

    /// Changes an account. Errors: [`AccountError::PasswordLength`], [`AccountError::PasswordLooksLikeToken`].
    pub(crate) async fn update(
        &self,
        user: &UserId,
        update: AccountUpdate<'_>,
    ) -> Result<UpdateUser, AccountError> {
        let password_hash = match update.password {
            Some(password) => {
                check_new_password(password)?;
                Some(self.shared.passwords.turn().await?.hash(password).await?)
            }
            None => None,
        };
        let update = UserUpdate {
            role: update.role,
            disabled: update.disabled,
            password_hash,
            keep_session: update.keep_session.map(str::to_owned),
            expected_hash: update.expected_hash.map(str::to_owned),
        };
        Ok(self
            .store
            .update_user(user, update, Timestamp::now())
            .await?)
    }

    /// Replaces the password of `user`, who has just shown to know it, and ends the user's browser sessions except
    /// `keep_session`. Returns the user as it is now, or `None` if it was not the user's password any more. Errors:
    /// [`AccountError::PasswordLength`], [`AccountError::PasswordLooksLikeToken`].
    pub(crate) async fn change_password(
        &self,
        user: &User,
        new: &str,
        keep_session: Option<&str>,
    ) -> Result<Option<User>, AccountError> {
        let update = AccountUpdate {
            password: Some(new),
            keep_session,
            expected_hash: Some(&user.password_hash),
            ..AccountUpdate::default()
        };
        match self.update(&user.id, update).await? {
            UpdateUser::Updated(user) => Ok(Some(user)),
            _ => Ok(None),
        }
    }

    /// Creates the administrator `admin` with the password `admin` if there is no account at all, and answers
    /// whether it did.
    pub async fn seed(&self) -> Result<bool, AccountError> {
        if self.store.count_users().await? > 0 {
            return Ok(false);
        }
        let username = Username::parse(DEFAULT_ADMIN).expect("a valid name");
        match self
            .create_unchecked(username, DEFAULT_ADMIN, Role::Admin)
            .await
        {
            Ok(_) => Ok(true),
            Err(AccountError::Taken) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the seeded account still has its seeded password. Costs a read, and a hash after each change of it.
    pub async fn default_password_stands(&self) -> Result<bool, AccountError> {
        let name = Username::parse(DEFAULT_ADMIN).expect("a valid name");
        let admin = self.store.user_by_name(&name).await?;
        let Some(admin) = admin.filter(|admin| !admin.disabled) else {
            return Ok(false);
        };
        let known = self.shared.seeded.lock().clone();
        if let Some((hash, stands)) = known
            && hash == admin.password_hash
        {
            return Ok(stands);
        }
        let turn = self.shared.passwords.turn().await?;
        let hash = Some(admin.password_hash.as_str());
        let stands = turn.matches(DEFAULT_ADMIN, hash, || ()).await?;
        *self.shared.seeded.lock() = Some((admin.password_hash, stands));
        Ok(stands)
    }

    async fn create_unchecked(
        &self,
        username: Username,
        password: &str,
        role: Role,
    ) -> Result<User, AccountError> {
        let hash = self.shared.passwords.turn().await?.hash(password).await?;
        match self
            .store
            .create_user(&username, role, &hash, Timestamp::now())
            .await?
        {
            CreateUser::Created(user) => Ok(user),
            CreateUser::Taken => Err(AccountError::Taken),
        }
    }

    /// Creates a token of `user`. Errors: [`AccountError::TokenName`], [`AccountError::NoScope`],
    /// [`AccountError::TooManyTokens`], [`AccountError::Ended`].
    pub async fn issue_token(
        &self,
        user: &UserId,
        request: TokenRequest<'_>,
    ) -> Result<IssuedToken, AccountError> {
        let TokenRequest { name, scopes, .. } = request;
        if !TOKEN_NAME_CHARS.contains(&name.chars().count()) || name.contains(char::is_control) {
            return Err(AccountError::TokenName);
        }
        if !scopes.api && !scopes.mqtt {
            return Err(AccountError::NoScope);
        }
        let secret = format!("{TOKEN_PREFIX}{}", secret::random());
        let now = Timestamp::now();
        let token = NewToken {
            name: name.to_owned(),
            scopes,
            token_hash: secret::hash(&secret),
            expires_at: earliest(request.ttl.map(|ttl| now + ttl), request.not_after),
            origin: request.origin,
        };
        match self.store.create_token(user, token, now).await? {
            CreateToken::Created(token) => Ok(IssuedToken { token, secret }),
            CreateToken::TooMany => Err(AccountError::TooManyTokens),
            CreateToken::TooDeep => Err(AccountError::TokenDepth),
            CreateToken::OriginEnded => Err(AccountError::Ended),
        }
    }

    /// The token with this text and its user, if it is valid now and has the scope.
    pub async fn check_token(
        &self,
        secret: &str,
        scope: Scope,
    ) -> Result<Option<(Token, User)>, AccountError> {
        if !secret.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        let found = self
            .store
            .token_by_hash(&secret::hash(secret), Timestamp::now())
            .await?;
        let found = found.filter(|(token, _)| match scope {
            Scope::Api => token.scopes.api,
            Scope::Mqtt => token.scopes.mqtt,
        });
        if let Some((token, _)) = &found {
            let now = Timestamp::now();
            if token.last_used_at.is_none_or(|last| last + LAST_USE <= now) {
                self.store.touch_token(&token.id, now);
            }
        }
        Ok(found)
    }
}

/// `None` is never.
fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}

fn check_new_password(password: &str) -> Result<(), AccountError> {
    if password.chars().count() < PASSWORD_CHARS || password.len() > PASSWORD_BYTES {
        return Err(AccountError::PasswordLength);
    }
    if password.starts_with(TOKEN_PREFIX) {
        return Err(AccountError::PasswordLooksLikeToken);
    }
    Ok(())
}
