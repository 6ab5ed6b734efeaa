//! Access tokens.

use herald_acl::Username;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::Page;
use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::rights::forget_oldest;
use crate::users::{parse_username, user};
use crate::writer::Operation;
use crate::{SessionId, Store, StoreError, Timestamp, TokenId, User, UserId, bulk};

/// How many tokens a user may have, those that have ended and are not forgotten yet among them.
const MAX_TOKENS: i64 = 1000;

/// How many tokens for MQTT a session has at once; another one ends that which was made first.
const MAX_OF_SESSION: i64 = 32;

/// How many tokens may be made one by another, the first among them.
const MAX_DEPTH: i64 = 8;

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
    /// When it was last used, within some minutes; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

/// What a token ends with, at the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenOrigin {
    /// Its own end.
    Owner,
    /// This session of its owner, which needs it for MQTT. It is not listed.
    Session(SessionId),
    /// This token of its owner, which made it.
    Token(TokenId),
}

/// A token that is to be made.
#[derive(Clone)]
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it opens.
    pub scopes: Scopes,
    /// The hash of its secret.
    pub token_hash: String,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
    /// What it ends with.
    pub origin: TokenOrigin,
}

/// What came of [`Store::create_token`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateToken {
    /// The token was made.
    Created(Token),
    /// The user has too many.
    TooMany,
    /// The token that it was to end with was itself made by one that was made by another, and so on, too many times.
    TooDeep,
    /// The session or the token that it was to end with has ended.
    OriginEnded,
}

impl Store {
    /// Makes a token of `user`, and forgets those of the user that have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written; [`StoreError::UnknownUser`] if there is no such
    /// account.
    pub async fn create_token(
        &self,
        user: &UserId,
        token: NewToken,
        now: Timestamp,
    ) -> Result<CreateToken, StoreError> {
        self.write(Create {
            id: TokenId::new(),
            user: user.clone(),
            token,
            now,
        })
        .await
    }

    /// Notes that a token was used at `now`. It may be lost if there is too much to write, or in a crash.
    pub fn touch_token(&self, id: &TokenId, now: Timestamp) {
        let id = id.clone();
        self.note(Touch { id, now });
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
            Param::Text(before.map_or(crate::ids::AFTER_ALL, TokenId::as_str)),
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
            Param::Text(before.map_or(crate::ids::AFTER_ALL, TokenId::as_str)),
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

    /// Revokes a token of a user, and those that it made. Returns whether the user had it.
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

/// Reads a token from a row that has its columns.
pub(crate) fn token(row: &AnyRow) -> Result<Token, StoreError> {
    let expires_at: Option<i64> = row.try_get("expires_at")?;
    let last_used_at: Option<i64> = row.try_get("last_used_at")?;
    Ok(Token {
        id: TokenId::from_string(row.try_get::<String, _>("token_id")?),
        name: row.try_get("name")?,
        scopes: Scopes {
            api: row.try_get::<i64, _>("scope_api")? != 0,
            mqtt: row.try_get::<i64, _>("scope_mqtt")? != 0,
        },
        created_at: Timestamp::from_millis(row.try_get("token_created_at")?),
        expires_at: expires_at.map(Timestamp::from_millis),
        last_used_at: last_used_at.map(Timestamp::from_millis),
    })
}

/// Ends tokens, with those that they made, for those who hold live sessions, too.
pub(crate) async fn end_tokens(
    conn: &mut AnyConnection,
    tokens: Vec<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    // Whatever their number, in a few statements: everybody's writes wait for these.
    for chunk in bulk::padded(&tokens) {
        let ended = format!(
            "WITH RECURSIVE ended (id, user_id) AS (
                SELECT id, user_id FROM tokens WHERE id IN ({})
                UNION SELECT t.id, t.user_id FROM ended JOIN tokens t ON t.parent_id = ended.id)",
            bulk::list(chunk.len(), 1)
        );
        let recorded = bulk::statement(format!(
            "{ended} INSERT INTO rights_changes (kind, username, token_id, at)
             SELECT 'token', u.username, ended.id, ${} FROM ended JOIN users u ON u.id = ended.user_id",
            chunk.len() + 1
        ));
        let mut recorded = sqlx::query(recorded);
        let deleted = format!("{ended} DELETE FROM tokens WHERE id IN (SELECT id FROM ended)");
        let mut deleted = sqlx::query(bulk::statement(deleted));
        for token in chunk {
            recorded = recorded.bind(token.map(String::as_str));
            deleted = deleted.bind(token.map(String::as_str));
        }
        recorded.bind(now.as_millis()).execute(&mut *conn).await?;
        deleted.execute(&mut *conn).await?;
    }
    forget_oldest(conn).await
}

struct Create {
    id: TokenId,
    user: UserId,
    token: NewToken,
    now: Timestamp,
}

impl Create {
    /// How many tokens were made one by another up to what this token is to end with; `None` if that has ended.
    async fn depth(&self, conn: &mut AnyConnection) -> Result<Option<i64>, StoreError> {
        let (statement, origin) = match &self.token.origin {
            TokenOrigin::Owner => return Ok(Some(0)),
            TokenOrigin::Session(id) => (
                "SELECT MAX(depth) FROM (
                    SELECT 0 AS depth FROM sessions WHERE id = $1 AND user_id = $2 AND $3 > 0) AS found",
                id.as_str(),
            ),
            TokenOrigin::Token(id) => (
                "WITH RECURSIVE up (parent_id, depth) AS (
                    SELECT parent_id, 1 FROM tokens WHERE id = $1 AND user_id = $2
                    UNION ALL SELECT t.parent_id, up.depth + 1
                    FROM up JOIN tokens t ON t.id = up.parent_id WHERE up.depth < $3)
                 SELECT MAX(depth) FROM up",
                id.as_str(),
            ),
        };
        let depth: Option<i64> = sqlx::query_scalar(statement)
            .bind(origin)
            .bind(self.user.as_str())
            .bind(MAX_DEPTH)
            .fetch_one(conn)
            .await?;
        Ok(depth)
    }

    /// Whether the user may have one more. A session makes room for it.
    async fn has_room(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        let TokenOrigin::Session(session) = &self.token.origin else {
            let count: i64 = sqlx::query_scalar(
                "SELECT COUNT(*) FROM tokens WHERE user_id = $1 AND session_id IS NULL",
            )
            .bind(self.user.as_str())
            .fetch_one(conn)
            .await?;
            return Ok(count < MAX_TOKENS);
        };
        let too_many: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM tokens WHERE session_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3",
        )
        .bind(session.as_str())
        .bind(MAX_OF_SESSION)
        .bind(MAX_OF_SESSION - 1)
        .fetch_all(&mut *conn)
        .await?;
        end_tokens(conn, too_many, self.now).await?;
        Ok(true)
    }
}

impl Operation for Create {
    type Answer = CreateToken;

    async fn run(&self, conn: &mut AnyConnection) -> Result<CreateToken, StoreError> {
        let token = &self.token;
        sqlx::query("DELETE FROM tokens WHERE user_id = $1 AND expires_at <= $2")
            .bind(self.user.as_str())
            .bind(self.now.as_millis())
            .execute(&mut *conn)
            .await?;
        match self.depth(conn).await? {
            None => return Ok(CreateToken::OriginEnded),
            Some(depth) if depth >= MAX_DEPTH => return Ok(CreateToken::TooDeep),
            Some(_) => {}
        }
        if !self.has_room(conn).await? {
            return Ok(CreateToken::TooMany);
        }
        let (session, parent) = match &token.origin {
            TokenOrigin::Owner => (None, None),
            TokenOrigin::Session(id) => (Some(id.as_str()), None),
            TokenOrigin::Token(id) => (None, Some(id.as_str())),
        };
        let inserted = sqlx::query(
            "INSERT INTO tokens (id, user_id, name, scope_api, scope_mqtt, token_hash, created_at, expires_at,
                session_id, parent_id)
             SELECT $1, id, $3, $4, $5, $6, $7, $8, $9, $10 FROM users
             WHERE id = $2 AND closed = 0",
        )
        .bind(self.id.as_str())
        .bind(self.user.as_str())
        .bind(token.name.as_str())
        .bind(i64::from(token.scopes.api))
        .bind(i64::from(token.scopes.mqtt))
        .bind(token.token_hash.as_str())
        .bind(self.now.as_millis())
        .bind(token.expires_at.map(Timestamp::as_millis))
        .bind(session)
        .bind(parent)
        .execute(conn)
        .await?;
        match inserted.rows_affected() {
            0 => Err(StoreError::UnknownUser),
            _ => Ok(CreateToken::Created(Token {
                id: self.id.clone(),
                name: token.name.clone(),
                scopes: token.scopes,
                created_at: self.now,
                expires_at: token.expires_at,
                last_used_at: None,
            })),
        }
    }

    fn changes(answer: &CreateToken) -> bool {
        matches!(answer, CreateToken::Created(_))
    }

    fn makes(&self) -> Option<&str> {
        Some(self.id.as_str())
    }
}

struct Touch {
    id: TokenId,
    now: Timestamp,
}

impl Operation for Touch {
    type Answer = ();

    /// It is noted again.
    const DURABLE: bool = false;

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE tokens SET last_used_at = $2
             WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        )
        .bind(self.id.as_str())
        .bind(self.now.as_millis())
        .execute(conn)
        .await?;
        Ok(())
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
        let theirs: Option<String> =
            sqlx::query_scalar("SELECT id FROM tokens WHERE id = $1 AND user_id = $2")
                .bind(self.token.as_str())
                .bind(self.user.as_str())
                .fetch_optional(&mut *conn)
                .await?;
        let Some(token) = theirs else {
            return Ok(false);
        };
        end_tokens(conn, vec![token], self.now).await?;
        Ok(true)
    }

    fn changes(revoked: &bool) -> bool {
        *revoked
    }
}
