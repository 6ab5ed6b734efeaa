//! Access tokens.

use herald_acl::Username;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::rights::{Changed, record};
use crate::users::{parse_username, user};
use crate::writer::Operation;
use crate::{Store, StoreError, Timestamp, TokenId, User, UserId};

/// What an access token opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes {
    /// The REST API.
    pub api: bool,
    /// MQTT.
    pub mqtt: bool,
}

/// An access token. Its secret is not kept, only a hash of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: String,
    /// What it opens.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Makes a token whose secret has the hash `token_hash`, and forgets those of the user that
    /// have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written; [`StoreError::UnknownUser`] if there is no such
    /// account.
    pub async fn create_token(
        &self,
        user: &UserId,
        name: &str,
        scopes: Scopes,
        token_hash: &str,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Token, StoreError> {
        let token = Token {
            id: TokenId::new(),
            name: name.to_owned(),
            scopes,
            created_at: now,
            expires_at,
        };
        self.write(Create {
            user: user.clone(),
            token,
            token_hash: token_hash.to_owned(),
        })
        .await
    }

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
        Ok(found.filter(|(token, user)| {
            token.expires_at.is_none_or(|expires_at| expires_at > now) && !user.disabled
        }))
    }

    /// Up to `limit` tokens of a user, the newest first, those made before `before`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_tokens(
        &self,
        user: &UserId,
        before: Option<&TokenId>,
        limit: u32,
    ) -> Result<Vec<Token>, StoreError> {
        sqlx::query(
            "SELECT id AS token_id, name, scope_api, scope_mqtt,
                created_at AS token_created_at, expires_at
             FROM tokens WHERE user_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
        )
        .bind(user.as_str())
        .bind(before.map_or(crate::ids::AFTER_ALL, TokenId::as_str))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?
        .iter()
        .map(token)
        .collect()
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
    ) -> Result<Vec<(Username, Token)>, StoreError> {
        sqlx::query(
            "SELECT u.username, t.id AS token_id, t.name, t.scope_api, t.scope_mqtt,
                t.created_at AS token_created_at, t.expires_at
             FROM tokens t JOIN users u ON u.id = t.user_id
             WHERE t.id < $1 ORDER BY t.id DESC LIMIT $2",
        )
        .bind(before.map_or(crate::ids::AFTER_ALL, TokenId::as_str))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?
        .iter()
        .map(|row| Ok((parse_username(row.try_get("username")?)?, token(row)?)))
        .collect()
    }

    /// The owner of a token, whether or not the token has ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn token_owner(&self, token: &TokenId) -> Result<Option<User>, StoreError> {
        sqlx::query(
            "SELECT u.id, u.username, u.role, u.password_hash, u.disabled, u.created_at
             FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $1",
        )
        .bind(token.as_str())
        .fetch_optional(self.readers())
        .await?
        .map(|row| user(&row))
        .transpose()
    }

    /// Revokes a token of a user. Returns whether the user had it.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn revoke_token(
        &self,
        user: &UserId,
        token: &TokenId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(Revoke {
            user: user.clone(),
            token: token.clone(),
            now,
        })
        .await
    }
}

/// Reads a token from a row that has its columns.
pub(crate) fn token(row: &AnyRow) -> Result<Token, StoreError> {
    let expires_at: Option<i64> = row.try_get("expires_at")?;
    Ok(Token {
        id: TokenId::from_string(row.try_get::<String, _>("token_id")?),
        name: row.try_get("name")?,
        scopes: Scopes {
            api: row.try_get::<i64, _>("scope_api")? != 0,
            mqtt: row.try_get::<i64, _>("scope_mqtt")? != 0,
        },
        created_at: Timestamp::from_millis(row.try_get("token_created_at")?),
        expires_at: expires_at.map(Timestamp::from_millis),
    })
}

struct Create {
    user: UserId,
    token: Token,
    token_hash: String,
}

impl Operation for Create {
    type Answer = Token;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Token, StoreError> {
        let token = &self.token;
        sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND expires_at <= $2")
            .bind(self.user.as_str())
            .bind(token.created_at.as_millis())
            .execute(&mut *conn)
            .await?;
        let inserted = sqlx::query(
            "INSERT INTO tokens
                (id, user_id, name, scope_api, scope_mqtt, token_hash, created_at, expires_at)
             SELECT $1, id, $3, $4, $5, $6, $7, $8 FROM users WHERE id = $2",
        )
        .bind(token.id.as_str())
        .bind(self.user.as_str())
        .bind(token.name.as_str())
        .bind(i64::from(token.scopes.api))
        .bind(i64::from(token.scopes.mqtt))
        .bind(self.token_hash.as_str())
        .bind(token.created_at.as_millis())
        .bind(token.expires_at.map(Timestamp::as_millis))
        .execute(conn)
        .await?;
        match inserted.rows_affected() {
            0 => Err(StoreError::UnknownUser),
            _ => Ok(token.clone()),
        }
    }
}

struct Revoke {
    user: UserId,
    token: TokenId,
    now: Timestamp,
}

impl Operation for Revoke {
    type Answer = bool;

    async fn run(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        let owner: Option<String> = sqlx::query_scalar(
            "DELETE FROM tokens WHERE id = $1 AND user_id = $2
             RETURNING (SELECT username FROM users WHERE users.id = tokens.user_id) AS username",
        )
        .bind(self.token.as_str())
        .bind(self.user.as_str())
        .fetch_optional(&mut *conn)
        .await?;
        let Some(owner) = owner else {
            return Ok(false);
        };
        let changed = Changed::Token {
            owner: parse_username(&owner)?,
            token: self.token.clone(),
        };
        record(conn, &changed, self.now).await?;
        Ok(true)
    }
}
