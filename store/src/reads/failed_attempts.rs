//! Attempts that failed.

use sqlx::Row;
use sqlx::any::AnyRow;

use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::{MessageId, Page, Store, StoreError, Timestamp};

/// An attempt at a message that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Which one it was: 1 for the first claim of the message.
    pub attempt: i64,
    /// Why; the message's owner reads this.
    pub error: String,
    /// When.
    pub failed_at: Timestamp,
}

impl Store {
    /// Up to `limit` attempts at a message that failed, the last first. Whose message it is, is for the caller to check.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn failed_attempts(
        &self,
        id: &MessageId,
        limit: u32,
    ) -> Result<Page<FailedAttempt>, StoreError> {
        let text = "SELECT attempt, error, failed_at FROM failed_attempts
             WHERE message_id = $1 ORDER BY attempt DESC LIMIT $2";
        let params = [Param::Text(id.as_str()), Param::Int(i64::from(limit) + 1)];
        let read = |row: &AnyRow| {
            Ok(FailedAttempt {
                attempt: row.try_get("attempt")?,
                error: row.try_get("error")?,
                failed_at: Timestamp::from_millis(row.try_get("failed_at")?),
            })
        };
        self.lists()
            .page(text.to_owned(), &params, limit, read)
            .await
    }
}

impl JsonBytes for FailedAttempt {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.error.as_str())])
    }
}
