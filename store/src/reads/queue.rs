//! How the queue stands.

use sqlx::Row as _;

use crate::statement::Statement;
use crate::{Status, Store, StoreError, Timestamp};

/// How many messages there are of each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts {
    /// Waiting for their time or for a worker.
    pub queued: u64,
    /// Claimed.
    pub processing: u64,
    /// Ended with a result.
    pub processed: u64,
    /// Ended with an error.
    pub dead: u64,
    /// Taken back.
    pub cancelled: u64,
}

impl Store {
    /// When [`claim`](Self::claim) next has something to claim, if nothing is accepted until then:
    /// the earliest time of a queued message or end of a lease. It may be in the past, and it may be a little early.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        // The queue is asked for with ORDER BY and LIMIT, as SQLite would look for a MIN through all of them.
        let until = self.readers().dialect().status_time("lease_until");
        let next = Statement::made(format!(
            "SELECT MIN(due) AS due FROM (
                SELECT (SELECT turn_at FROM user_queues WHERE turn_at IS NOT NULL ORDER BY turn_at LIMIT 1) AS due
                WHERE NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused')
                UNION ALL
                SELECT MIN({until}) AS due FROM messages WHERE status = 'processing') AS dues"
        ));
        let row = self.readers().fetch_one(next).await?;
        let due: Option<i64> = row.try_get("due")?;
        Ok(due.map(Timestamp::from_millis))
    }

    /// When the queued message that is due first is, or was, due.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn oldest_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let dialect = self.readers().dialect();
        // Of the index alone.
        let (due, index) = (dialect.status_time("run_at"), dialect.by_status_time());
        let text = format!(
            "SELECT {due} AS run_at FROM messages{index} WHERE status = 'queued' ORDER BY {due} LIMIT 1"
        );
        let row = self.readers().fetch_optional(Statement::made(text)).await?;
        let due: Option<i64> = row.map(|row| row.try_get("run_at")).transpose()?;
        Ok(due.map(Timestamp::from_millis))
    }

    /// How many messages there are of each status. Reads numbers that are kept, however many there are.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn counts(&self) -> Result<StatusCounts, StoreError> {
        let text = format!(
            "SELECT status, CAST(SUM(count) AS {}) AS count FROM message_counts GROUP BY status",
            self.readers().dialect().integer()
        );
        let rows = Statement::made(text);
        let mut counts = StatusCounts::default();
        for row in self.readers().fetch_all(rows).await? {
            let count: i64 = row.try_get("count")?;
            let counted = match Status::from_column(row.try_get("status")?)? {
                Status::Queued => &mut counts.queued,
                Status::Processing => &mut counts.processing,
                Status::Processed => &mut counts.processed,
                Status::Dead => &mut counts.dead,
                Status::Cancelled => &mut counts.cancelled,
            };
            *counted = count.unsigned_abs();
        }
        Ok(counts)
    }

    /// Whether claims are stopped.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn is_paused(&self) -> Result<bool, StoreError> {
        let paused = Statement::new("SELECT value FROM settings WHERE name = 'paused'");
        let paused = self.readers().fetch_optional(paused).await?;
        Ok(paused.is_some())
    }
}
