//! Sessions of browsers that begin, are used and end.

use sqlx::AnyConnection;

use super::tokens::end_tokens;
use crate::sessions::unused_since;
use crate::writer::{Operation, Transaction};
use crate::{SessionId, Store, StoreError, Timestamp, User, UserId};

/// How many sessions a user has at once; another one ends that which began first.
const MAX_SESSIONS: i64 = 100;

/// A session that begins.
#[derive(Clone)]
pub struct NewSession {
    /// The hash of the password that its user has shown: if that has changed meanwhile, no session begins.
    pub password_hash: String,
    /// See [`Session::secret_hash`](crate::Session::secret_hash).
    pub secret_hash: String,
    /// See [`Session::csrf_token`](crate::Session::csrf_token).
    pub csrf_token: String,
    /// The IP address that the browser signed in from.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: Option<String>,
    /// See [`Session::expires_at`](crate::Session::expires_at).
    pub expires_at: Timestamp,
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
    type Output = ();

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let conn = tx.connection();
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
    type Output = ();

    /// The next use is noted again.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let conn = tx.connection();
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
    type Output = bool;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let conn = tx.connection();
        end(conn, &self.user, self.id.as_str(), self.now).await
    }

    fn changes(ended: &bool) -> bool {
        *ended
    }
}
