//! Access tokens.

use herald_acl::Username;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::ids::AFTER_ALL;
use crate::page::{JsonBytes, item_bytes};
use crate::statement::Statement;
use crate::tokens::token;
use crate::users::{parse_username, user};
use crate::{Moment, Page, Store, StoreError, Timestamp, Token, TokenId, User, UserId};

impl Store {
    /// The token whose secret has the hash `token_hash` and its owner, unless it has ended by
    /// `now`, was revoked, or its owner is disabled.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn token_by_hash(
        &self,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<Option<(Token, User)>, StoreError> {
        let found = self.tokens().find(token_hash).await?;
        Ok(found.filter(|found| is_valid(found, now)))
    }

    /// The same as [`token_by_hash`](Self::token_by_hash), as it was less than a second ago: it may be known without a read.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn known_token(
        &self,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<Option<(Token, User)>, StoreError> {
        let known = self.credentials().token(token_hash, Moment::now());
        if let Some(found) = known.filter(|found| is_valid(found, now)) {
            return Ok(Some(found));
        }
        let look_up = self.credentials().look_up();
        let found = self.token_by_hash(token_hash, now).await?;
        if let Some(found) = &found {
            let credentials = self.credentials();
            credentials.keep_token(look_up, token_hash, found, Moment::now());
        }
        Ok(found)
    }

    /// Up to `limit` tokens of a user, the newest first, those made before `before`. Without those of sessions.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_tokens(
        &self,
        user: &UserId,
        before: Option<&TokenId>,
        limit: u32,
    ) -> Result<Page<Token>, StoreError> {
        let text = "SELECT id AS token_id, name, scope_api, scope_mqtt,
                created_at AS token_created_at, expires_at, last_used_at
             FROM tokens WHERE user_id = $1 AND id < $2 AND session_id IS NULL
             ORDER BY id DESC LIMIT $3";
        let params = [
            Param::Text(user.as_str()),
            Param::Text(before.map_or(AFTER_ALL, TokenId::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        self.lists()
            .page(text.to_owned(), &params, limit, token)
            .await
    }

    /// Up to `limit` tokens of all users with the name of each owner, the newest first, those made
    /// before `before`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_all_tokens(
        &self,
        before: Option<&TokenId>,
        limit: u32,
    ) -> Result<Page<(Username, Token)>, StoreError> {
        let text = "SELECT u.username, t.id AS token_id, t.name, t.scope_api, t.scope_mqtt,
                t.created_at AS token_created_at, t.expires_at, t.last_used_at
             FROM tokens t JOIN users u ON u.id = t.user_id
             WHERE t.id < $1 ORDER BY t.id DESC LIMIT $2";
        let params = [
            Param::Text(before.map_or(AFTER_ALL, TokenId::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        let read = |row: &AnyRow| Ok((parse_username(row.try_get("username")?)?, token(row)?));
        self.lists()
            .page(text.to_owned(), &params, limit, read)
            .await
    }

    /// The owner of a token, whether or not the token has ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn token_owner(&self, token: &TokenId) -> Result<Option<User>, StoreError> {
        let owner = Statement::new(
            "SELECT u.id, u.username, u.role, u.password_hash, u.disabled, u.created_at
             FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $1",
        )
        .bind(token.as_str());
        let row = self.readers().fetch_optional(owner).await?;
        row.as_ref().map(user).transpose()
    }
}

fn is_valid((token, user): &(Token, User), now: Timestamp) -> bool {
    token.expires_at.is_none_or(|expires_at| expires_at > now) && !user.disabled
}

impl JsonBytes for Token {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.name.as_str())])
    }
}

impl JsonBytes for (Username, Token) {
    fn json_bytes(&self) -> usize {
        self.1.json_bytes()
    }
}
