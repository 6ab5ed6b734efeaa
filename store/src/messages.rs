//! Messages that users send.

use herald_acl::Username;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::page::{JsonBytes, item_bytes};
use crate::users::parse_username;
use crate::{MessageId, StoreError, Timestamp, UserId};

/// What is read of a message `m`. Subqueries, not joins: the order in which tables are read is then no question.
pub(crate) const COLUMNS: &str = "m.id, m.user_id, m.body, m.status, m.result, m.attempts,
    m.created_at, m.run_at, m.processed_at, m.delivered_at,
    (SELECT username FROM users WHERE users.id = m.user_id) AS username,
    CASE WHEN m.status IN ('queued', 'processing') AND m.outage IS NOT NULL THEN m.outage
        WHEN m.attempts > 0 AND m.status <> 'processed' THEN (
        SELECT f.error FROM failed_attempts f
        WHERE f.message_id = m.id ORDER BY f.attempt DESC LIMIT 1) END AS error";

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
    /// Why its last attempt failed, or could not be made.
    pub error: Option<String>,
    /// How often a worker has taken it.
    pub attempts: i64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When a worker may take it.
    pub run_at: Timestamp,
    /// When it was processed, died or was cancelled.
    pub processed_at: Option<Timestamp>,
    /// When the notification about it was first acknowledged.
    pub delivered_at: Option<Timestamp>,
}

impl JsonBytes for Message {
    fn json_bytes(&self) -> usize {
        let texts = [Some(&self.body), self.result.as_ref(), self.error.as_ref()];
        item_bytes(texts.map(|text| text.map(String::as_str)))
    }
}

/// Reads a message from a row that has its columns.
pub(crate) fn message(row: &AnyRow) -> Result<Message, StoreError> {
    let time = |column| -> Result<Option<Timestamp>, sqlx::Error> {
        let millis: Option<i64> = row.try_get(column)?;
        Ok(millis.map(Timestamp::from_millis))
    };
    let body: String = row.try_get("body")?;
    let status = Status::from_column(row.try_get("status")?)?;
    let result: Option<String> = row.try_get("result")?;
    Ok(Message {
        id: MessageId::from_string(row.try_get::<String, _>("id")?),
        user_id: UserId::from_string(row.try_get::<String, _>("user_id")?),
        username: parse_username(row.try_get("username")?)?,
        // One that is the same as the body is not stored.
        result: result.or_else(|| (status == Status::Processed).then(|| body.clone())),
        body,
        status,
        error: row.try_get("error")?,
        attempts: row.try_get("attempts")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        run_at: Timestamp::from_millis(row.try_get("run_at")?),
        processed_at: time("processed_at")?,
        delivered_at: time("delivered_at")?,
    })
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
