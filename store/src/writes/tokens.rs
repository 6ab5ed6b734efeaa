//! Access tokens that are made, used and revoked.

use sqlx::{AnyConnection, Row as _};

use super::rights_changes::record;
use crate::users::parse_username;
use crate::writer::{Locks, Operation, Transaction};
use crate::{
    Changed, Scopes, SessionId, Store, StoreError, Timestamp, Token, TokenId, UserId, bulk,
};

/// How many tokens a user may have, those that have ended and are not forgotten yet among them.
const MAX_TOKENS: i64 = 1000;

/// How many tokens for MQTT a session has at once; another one ends that which was made first.
const MAX_OF_SESSION: i64 = 32;

/// How many tokens may be made one by another, the first among them.
const MAX_DEPTH: i64 = 8;

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
    /// It would be made by a token that was itself made by another, and so on, too many times.
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

/// Deletes tokens and those that they made, and records it for those who hold live sessions.
pub(crate) async fn end_tokens(
    conn: &mut AnyConnection,
    tokens: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    // A few statements, whatever their number: all other writes wait for these.
    for chunk in bulk::padded(tokens) {
        let list = bulk::list(chunk.len(), 1);
        let text = format!(
            "WITH RECURSIVE ended (id, user_id) AS (
                SELECT id, user_id FROM tokens WHERE id IN ({list})
                UNION SELECT t.id, t.user_id FROM ended JOIN tokens t ON t.parent_id = ended.id)
             SELECT ended.id, u.username FROM ended JOIN users u ON u.id = ended.user_id"
        );
        let mut query = sqlx::query(bulk::statement(text));
        for token in &chunk {
            query = query.bind(token.map(String::as_str));
        }
        let mut ended = vec![];
        for row in query.fetch_all(&mut *conn).await? {
            ended.push(Changed::Token {
                owner: parse_username(row.try_get("username")?)?,
                token: TokenId::from_string(row.try_get::<String, _>("id")?),
            });
        }
        record(conn, &ended, now).await?;
        // Those that they made go with them: ON DELETE CASCADE.
        let text = format!("DELETE FROM tokens WHERE id IN ({list})");
        let mut query = sqlx::query(bulk::statement(text));
        for token in chunk {
            query = query.bind(token.map(String::as_str));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
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
        end_tokens(conn, &too_many, self.now).await?;
        Ok(true)
    }
}

impl Operation for Create {
    type Output = CreateToken;

    fn lock(&self, locks: &mut Locks) {
        // With it, how many tokens there are.
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<CreateToken, StoreError> {
        let conn = tx.connection();
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

    fn changes(output: &CreateToken) -> bool {
        matches!(output, CreateToken::Created(_))
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
    type Output = ();

    /// The next use is noted again.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let conn = tx.connection();
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
    type Output = bool;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let conn = tx.connection();
        let theirs: Option<String> =
            sqlx::query_scalar("SELECT id FROM tokens WHERE id = $1 AND user_id = $2")
                .bind(self.token.as_str())
                .bind(self.user.as_str())
                .fetch_optional(&mut *conn)
                .await?;
        let Some(token) = theirs else {
            return Ok(false);
        };
        end_tokens(conn, &[token], self.now).await?;
        Ok(true)
    }

    fn changes(revoked: &bool) -> bool {
        *revoked
    }
}
