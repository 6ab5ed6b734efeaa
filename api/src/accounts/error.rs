//! Why an operation on an account fails.

use std::time::Duration;

use herald_store::StoreError;

use super::{
    bounds::{PASSWORD_BYTES, PASSWORD_CHARS, TOKEN_NAME_CHARS, TOKEN_PREFIX},
    passwords::PasswordError,
};

/// Why an operation on an account failed. Wrong credentials are not errors: they are `None`.
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
