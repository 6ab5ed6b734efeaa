//! Sessions of browsers that have signed in.

use std::fmt;
use std::time::Duration;

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::Page;
use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::tokens::end_tokens;
use crate::users::user;
use crate::writer::Operation;
use crate::{SessionId, Store, StoreError, Timestamp, User, UserId};

/// How many sessions a user has at once; another one ends that which began first.
const MAX_SESSIONS: i64 = 100;

/// A browser that has signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// What its user knows it by.
    pub id: SessionId,
    /// The SHA-256 of its secret, as text. The secret itself is only in the browser's cookie.
    pub secret_hash: String,
    /// Who signed in.
    pub user: User,
    /// What the browser must repeat with unsafe requests.
    pub csrf_token: String,
    /// When it was last used, within some minutes.
    pub last_used_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("last_used_at", &self.last_used_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// A session that begins.
#[derive(Clone)]
pub struct NewSession {
    /// The hash of the password that its user has shown: if that has changed meanwhile, no session begins.
    pub password_hash: String,
    /// See [`Session::secret_hash`].
    pub secret_hash: String,
    /// See [`Session::csrf_token`].
    pub csrf_token: String,
    /// The IP address that the browser signed in from.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// See [`Session::expires_at`].
    pub expires_at: Timestamp,
}

/// A session, as its user sees it in the list of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// Its id; later sessions have greater ones.
    pub id: SessionId,
    /// See [`NewSession::address`].
    pub address: String,
    /// See [`NewSession::user_agent`].
    pub user_agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// See [`Session::last_used_at`].
    pub last_used_at: Timestamp,
    /// See [`Session::expires_at`].
    pub expires_at: Timestamp,
}

impl Session {
    /// A session that was not used for so long has ended.
    pub const MAX_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
}

/// What was last used then, or before, has ended by `now`.
fn unused_since(now: Timestamp) -> i64 {
    let idle = i64::try_from(Session::MAX_IDLE.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_sub(idle)
}

impl Store {
    /// Begins a session of `user`, and forgets all that have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written; [`StoreError::UnknownUser`] if there is no such
    /// account any more, if it is disabled, or if it has another password by now.
    pub async fn create_session(
        &self,
        user: &UserId,
        session: NewSession,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(Create {
            id: SessionId::new(),
            user: user.clone(),
            session,
            now,
        })
        .await
    }

    /// The session whose secret has the hash `secret_hash`, unless it has ended by `now` or its
    /// user is disabled.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn session(
        &self,
        secret_hash: &str,
        now: Timestamp,
    ) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query(
            "SELECT u.id, u.username, u.role, u.password_hash, u.disabled, u.created_at,
                s.id AS session_id, s.csrf_token, s.last_used_at, s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.secret_hash = $1 AND s.expires_at > $2 AND s.last_used_at > $3
                AND u.disabled = 0",
        )
        .bind(secret_hash)
        .bind(now.as_millis())
        .bind(unused_since(now))
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Session {
            id: SessionId::from_string(row.try_get::<String, _>("session_id")?),
            secret_hash: secret_hash.to_owned(),
            user: user(&row)?,
            csrf_token: row.try_get("csrf_token")?,
            last_used_at: Timestamp::from_millis(row.try_get("last_used_at")?),
            expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        }))
    }

    /// Up to `limit` sessions of a user that have not ended by `now`, the newest first, those that began before `before`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_sessions(
        &self,
        user: &UserId,
        before: Option<&SessionId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Page<ListedSession>, StoreError> {
        let text =
            "SELECT id, address, user_agent, created_at, last_used_at, expires_at FROM sessions
             WHERE user_id = $1 AND id < $2 AND expires_at > $3 AND last_used_at > $4
             ORDER BY id DESC LIMIT $5";
        let params = [
            Param::Text(user.as_str()),
            Param::Text(before.map_or(crate::ids::AFTER_ALL, SessionId::as_str)),
            Param::Int(now.as_millis()),
            Param::Int(unused_since(now)),
            Param::Int(i64::from(limit) + 1),
        ];
        self.lists()
            .page(text.to_owned(), &params, limit, listed)
            .await
    }

    /// Notes that a session was used at `now`. It may be lost if there is too much to write, or in a crash.
    pub fn touch_session(&self, id: &SessionId, now: Timestamp) {
        let id = id.clone();
        self.note(Touch { id, now });
    }

    /// Ends a session of `user`, and the tokens that it needed for MQTT. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn end_session(
        &self,
        user: &UserId,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (user, id) = (user.clone(), id.clone());
        self.write(End { user, id, now }).await
    }
}

impl JsonBytes for ListedSession {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(&*self.address), self.user_agent.as_deref()])
    }
}

fn listed(row: &AnyRow) -> Result<ListedSession, StoreError> {
    Ok(ListedSession {
        id: SessionId::from_string(row.try_get::<String, _>("id")?),
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        last_used_at: Timestamp::from_millis(row.try_get("last_used_at")?),
        expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
    })
}

/// Ends the sessions of a user, except the one whose secret has the hash `except`, with the tokens that they needed.
pub(crate) async fn end_all(
    conn: &mut AnyConnection,
    user: &User,
    except: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM sessions WHERE user_id = $1 AND secret_hash <> $2")
            .bind(user.id.as_str())
            .bind(except.unwrap_or_default())
            .fetch_all(&mut *conn)
            .await?;
    for id in ids {
        end(conn, &user.id, &id, now).await?;
    }
    Ok(())
}

/// Ends one. Returns whether the user had it.
async fn end(
    conn: &mut AnyConnection,
    user: &UserId,
    id: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let theirs: Option<i64> =
        sqlx::query_scalar("SELECT 1 AS theirs FROM sessions WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user.as_str())
            .fetch_optional(&mut *conn)
            .await?;
    if theirs.is_none() {
        return Ok(false);
    }
    let tokens: Vec<String> = sqlx::query_scalar("SELECT id FROM tokens WHERE session_id = $1")
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
    end_tokens(conn, tokens, now).await?;
    sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(true)
}

struct Create {
    id: SessionId,
    user: UserId,
    session: NewSession,
    now: Timestamp,
}

impl Operation for Create {
    type Answer = ();

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        // Their tokens ended with them: none lasts longer than the use of its session.
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(self.now.as_millis())
            .execute(&mut *conn)
            .await?;
        sqlx::query("DELETE FROM sessions WHERE last_used_at <= $1")
            .bind(unused_since(self.now))
            .execute(&mut *conn)
            .await?;
        let too_many: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3",
        )
        .bind(self.user.as_str())
        .bind(MAX_SESSIONS)
        .bind(MAX_SESSIONS - 1)
        .fetch_all(&mut *conn)
        .await?;
        for id in too_many {
            end(conn, &self.user, &id, self.now).await?;
        }
        let session = &self.session;
        let inserted = sqlx::query(
            "INSERT INTO sessions
                (id, user_id, secret_hash, csrf_token, address, user_agent, created_at, last_used_at, expires_at)
             SELECT $1, id, $3, $4, $5, $6, $7, $7, $8 FROM users
             WHERE id = $2 AND password_hash = $9 AND disabled = 0",
        )
        .bind(self.id.as_str())
        .bind(self.user.as_str())
        .bind(session.secret_hash.as_str())
        .bind(session.csrf_token.as_str())
        .bind(session.address.as_str())
        .bind(session.user_agent.as_deref())
        .bind(self.now.as_millis())
        .bind(session.expires_at.as_millis())
        .bind(session.password_hash.as_str())
        .execute(conn)
        .await?;
        match inserted.rows_affected() {
            0 => Err(StoreError::UnknownUser),
            _ => Ok(()),
        }
    }

    fn makes(&self) -> Option<&str> {
        Some(self.id.as_str())
    }
}

struct Touch {
    id: SessionId,
    now: Timestamp,
}

impl Operation for Touch {
    type Answer = ();

    /// It is noted again.
    const DURABLE: bool = false;

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("UPDATE sessions SET last_used_at = $2 WHERE id = $1 AND last_used_at < $2")
            .bind(self.id.as_str())
            .bind(self.now.as_millis())
            .execute(conn)
            .await?;
        Ok(())
    }
}

struct End {
    user: UserId,
    id: SessionId,
    now: Timestamp,
}

impl Operation for End {
    type Answer = bool;

    async fn run(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        end(conn, &self.user, self.id.as_str(), self.now).await
    }

    fn changes(ended: &bool) -> bool {
        *ended
    }
}
