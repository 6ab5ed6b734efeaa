//! Messages that users send.

use std::time::Duration;

use herald_acl::Username;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::users::parse_username;
use crate::writer::Operation;
use crate::{Delay, MessageId, Store, StoreError, Timestamp, UserId};

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It waits for its time, or for a worker.
    Queued,
    /// A worker has it.
    Processing,
    /// It has a result. Final.
    Processed,
    /// It failed for good. Final.
    Dead,
    /// Its owner took it back while it was queued. Final.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Processing,
        Self::Processed,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Its name: `queued`, `processing`, `processed`, `dead` or `cancelled`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Reads a status that the database holds.
    pub(crate) fn from_column(text: &str) -> Result<Self, StoreError> {
        Self::from_name(text).ok_or(StoreError::Invalid { what: "status" })
    }
}

/// A message and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// What was sent.
    pub body: String,
    /// How far it has come.
    pub status: Status,
    /// What it became, once processed.
    pub result: Option<String>,
    /// Why it failed, once dead.
    pub error: Option<String>,
    /// How often a worker has taken it.
    pub attempts: i64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When a worker may take it.
    pub run_at: Timestamp,
    /// When it was processed or died.
    pub processed_at: Option<Timestamp>,
    /// When the notification about it was first acknowledged.
    pub delivered_at: Option<Timestamp>,
}

/// What came of [`Store::accept`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The message was accepted and is durable.
    New(Message),
    /// The user sent this body with this idempotency key before; this is that message.
    Existing(Message),
    /// The user sent another body with this idempotency key before.
    KeyConflict,
}

impl Store {
    /// Accepts a message of `user`, to be worked on after the delay that is set. Wakes the worker.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] at once if too many writes are waiting, [`StoreError::UnknownUser`] if
    /// there is no such account, another [`StoreError`] if it cannot be written.
    pub async fn accept(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        self.try_write(Accept {
            user: user.clone(),
            body,
            idempotency_key,
            now,
        })
        .await
    }

    /// As [`accept`](Self::accept), but if too many writes are waiting, waits for room for a while before it fails with
    /// [`StoreError::Busy`]: for senders that can be held back.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn accept_patiently(
        &self,
        user: &UserId,
        body: String,
        idempotency_key: Option<String>,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        self.write(Accept {
            user: user.clone(),
            body,
            idempotency_key,
            now,
        })
        .await
    }

    /// The message `id` of `user`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn message(
        &self,
        user: &UserId,
        id: &MessageId,
    ) -> Result<Option<Message>, StoreError> {
        sqlx::query(
            "SELECT m.id, m.user_id, u.username, m.body, m.status, m.result, m.error, m.attempts,
                m.created_at, m.run_at, m.processed_at, m.delivered_at
             FROM messages m JOIN users u ON u.id = m.user_id
             WHERE m.id = $1 AND m.user_id = $2",
        )
        .bind(id.as_str())
        .bind(user.as_str())
        .fetch_optional(self.readers())
        .await?
        .map(|row| message(&row))
        .transpose()
    }

    /// Up to `limit` messages of `user`, the newest first: those with `status` if it is given, and
    /// those older than `before` if that is.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn messages(
        &self,
        user: &UserId,
        status: Option<Status>,
        before: Option<&MessageId>,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        sqlx::query(
            "SELECT m.id, m.user_id, u.username, m.body, m.status, m.result, m.error, m.attempts,
                m.created_at, m.run_at, m.processed_at, m.delivered_at
             FROM messages m JOIN users u ON u.id = m.user_id
             WHERE m.user_id = $1 AND m.id < $2 AND ($3 = '' OR m.status = $3)
             ORDER BY m.id DESC LIMIT $4",
        )
        .bind(user.as_str())
        .bind(before.map_or(crate::ids::AFTER_ALL, MessageId::as_str))
        .bind(status.map_or("", Status::as_str))
        .bind(i64::from(limit))
        .fetch_all(self.readers())
        .await?
        .iter()
        .map(message)
        .collect()
    }
}

/// Reads a message from a row that has its columns.
fn message(row: &AnyRow) -> Result<Message, StoreError> {
    let time = |column| -> Result<Option<Timestamp>, sqlx::Error> {
        let millis: Option<i64> = row.try_get(column)?;
        Ok(millis.map(Timestamp::from_millis))
    };
    Ok(Message {
        id: MessageId::from_string(row.try_get::<String, _>("id")?),
        user_id: UserId::from_string(row.try_get::<String, _>("user_id")?),
        username: parse_username(row.try_get("username")?)?,
        body: row.try_get("body")?,
        status: Status::from_column(row.try_get("status")?)?,
        result: row.try_get("result")?,
        error: row.try_get("error")?,
        attempts: row.try_get("attempts")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        run_at: Timestamp::from_millis(row.try_get("run_at")?),
        processed_at: time("processed_at")?,
        delivered_at: time("delivered_at")?,
    })
}

struct Accept {
    user: UserId,
    body: String,
    idempotency_key: Option<String>,
    now: Timestamp,
}

impl Accept {
    /// The message that the user sent with this key before.
    async fn sent_before(
        &self,
        key: &str,
        conn: &mut AnyConnection,
    ) -> Result<Message, StoreError> {
        let row = sqlx::query(
            "SELECT m.id, m.user_id, u.username, m.body, m.status, m.result, m.error, m.attempts,
                m.created_at, m.run_at, m.processed_at, m.delivered_at
             FROM messages m JOIN users u ON u.id = m.user_id
             WHERE m.user_id = $1 AND m.idempotency_key = $2",
        )
        .bind(self.user.as_str())
        .bind(key)
        .fetch_one(conn)
        .await?;
        message(&row)
    }
}

impl Operation for Accept {
    type Answer = Accepted;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Accepted, StoreError> {
        let row = sqlx::query(
            "SELECT username, (SELECT value FROM settings WHERE key = 'delay') AS delay
             FROM users WHERE id = $1",
        )
        .bind(self.user.as_str())
        .fetch_optional(&mut *conn)
        .await?
        .ok_or(StoreError::UnknownUser)?;
        let delay = Delay::from_setting(row.try_get("delay")?)?.sample(&mut rand::rng());
        let message = Message {
            // Made here, so that ids are in the order of the commits.
            id: MessageId::new(),
            user_id: self.user.clone(),
            username: parse_username(row.try_get("username")?)?,
            body: self.body.clone(),
            status: Status::Queued,
            result: None,
            error: None,
            attempts: 0,
            created_at: self.now,
            run_at: self.now + Duration::from_millis(delay),
            processed_at: None,
            delivered_at: None,
        };
        let inserted = sqlx::query(
            "INSERT INTO messages (id, user_id, body, idempotency_key, status, created_at, run_at)
             VALUES ($1, $2, $3, $4, 'queued', $5, $6) ON CONFLICT DO NOTHING",
        )
        .bind(message.id.as_str())
        .bind(message.user_id.as_str())
        .bind(message.body.as_str())
        .bind(self.idempotency_key.as_deref())
        .bind(message.created_at.as_millis())
        .bind(message.run_at.as_millis())
        .execute(&mut *conn)
        .await?;
        match &self.idempotency_key {
            Some(key) if inserted.rows_affected() == 0 => {
                let existing = self.sent_before(key, conn).await?;
                Ok(if existing.body == self.body {
                    Accepted::Existing(existing)
                } else {
                    Accepted::KeyConflict
                })
            }
            _ => Ok(Accepted::New(message)),
        }
    }

    fn wakes_worker(&self, accepted: &Accepted) -> bool {
        matches!(accepted, Accepted::New(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_back_from_its_name() {
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_name("Queued"), None);
    }
}
