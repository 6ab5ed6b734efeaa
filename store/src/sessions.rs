//! Sessions of browsers that have signed in.

use std::fmt;

use sqlx::{AnyConnection, Row};

use crate::users::user;
use crate::writer::Operation;
use crate::{Store, StoreError, Timestamp, User, UserId};

/// A browser that has signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The SHA-256 of its secret, as text. The secret itself is only in the browser's cookie.
    pub secret_hash: String,
    /// Who signed in.
    pub user: User,
    /// What the browser must repeat with unsafe requests.
    pub csrf_token: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("created_at", &self.created_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Begins a session whose secret has the hash `secret_hash`, and forgets all that have ended.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written; [`StoreError::UnknownUser`] if there is no such
    /// account.
    pub async fn create_session(
        &self,
        user: &UserId,
        secret_hash: &str,
        csrf_token: &str,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(Create {
            user: user.clone(),
            secret_hash: secret_hash.to_owned(),
            csrf_token: csrf_token.to_owned(),
            expires_at,
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
                s.csrf_token, s.created_at AS session_created_at, s.expires_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.secret_hash = $1 AND s.expires_at > $2 AND u.disabled = 0",
        )
        .bind(secret_hash)
        .bind(now.as_millis())
        .fetch_optional(self.readers())
        .await?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Session {
            secret_hash: secret_hash.to_owned(),
            user: user(&row)?,
            csrf_token: row.try_get("csrf_token")?,
            created_at: Timestamp::from_millis(row.try_get("session_created_at")?),
            expires_at: Timestamp::from_millis(row.try_get("expires_at")?),
        }))
    }

    /// Ends the session whose secret has the hash `secret_hash`. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn delete_session(&self, secret_hash: &str) -> Result<bool, StoreError> {
        self.write(Delete(secret_hash.to_owned())).await
    }
}

struct Create {
    user: UserId,
    secret_hash: String,
    csrf_token: String,
    expires_at: Timestamp,
    now: Timestamp,
}

impl Operation for Create {
    type Answer = ();

    async fn run(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(self.now.as_millis())
            .execute(&mut *conn)
            .await?;
        let inserted = sqlx::query(
            "INSERT INTO sessions (secret_hash, user_id, csrf_token, created_at, expires_at)
             SELECT $1, id, $3, $4, $5 FROM users WHERE id = $2",
        )
        .bind(self.secret_hash.as_str())
        .bind(self.user.as_str())
        .bind(self.csrf_token.as_str())
        .bind(self.now.as_millis())
        .bind(self.expires_at.as_millis())
        .execute(conn)
        .await?;
        match inserted.rows_affected() {
            0 => Err(StoreError::UnknownUser),
            _ => Ok(()),
        }
    }
}

struct Delete(String);

impl Operation for Delete {
    type Answer = bool;

    async fn run(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        let deleted = sqlx::query("DELETE FROM sessions WHERE secret_hash = $1")
            .bind(self.0.as_str())
            .execute(conn)
            .await?;
        Ok(deleted.rows_affected() > 0)
    }
}
