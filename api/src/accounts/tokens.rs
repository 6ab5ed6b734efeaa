//! Access tokens.

use std::{fmt, time::Duration};

use herald_store::{CreateToken, NewToken, Scopes, Timestamp, Token, TokenOrigin, User, UserId};

use super::{
    bounds::{TOKEN_NAME_CHARS, TOKEN_PREFIX},
    directory::Accounts,
    error::AccountError,
    secret,
};

/// The last use of a token is recorded at most once in this time.
const LAST_USE: Duration = Duration::from_secs(5 * 60);

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
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

impl Accounts {
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
        scope: TokenScope,
    ) -> Result<Option<(Token, User)>, AccountError> {
        if !secret.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        let (hash, now) = (secret::hash(secret), Timestamp::now());
        let found = self.store.token_by_hash(&hash, now).await?;
        Ok(self.used(found, scope, &hash, now))
    }

    /// The same for the API, as it was less than a second ago: enough for a request of which nothing stays that outlasts a right.
    pub(crate) async fn known_token(
        &self,
        secret: &str,
    ) -> Result<Option<(Token, User)>, AccountError> {
        if !secret.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        let (hash, now) = (secret::hash(secret), Timestamp::now());
        let found = self.store.known_token(&hash, now).await?;
        Ok(self.used(found, TokenScope::Api, &hash, now))
    }

    /// What was found, if it has the scope. Notes that it is used.
    fn used(
        &self,
        found: Option<(Token, User)>,
        scope: TokenScope,
        hash: &str,
        now: Timestamp,
    ) -> Option<(Token, User)> {
        let (token, user) = found.filter(|(token, _)| match scope {
            TokenScope::Api => token.scopes.api,
            TokenScope::Mqtt => token.scopes.mqtt,
        })?;
        if token.last_used_at.is_none_or(|last| last + LAST_USE <= now) {
            self.store.touch_token(&token.id, hash, now);
        }
        Some((token, user))
    }
}

/// `None` is never.
fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    a.into_iter().chain(b).min()
}
