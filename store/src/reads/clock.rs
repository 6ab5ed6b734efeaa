//! What waits since the system's clock was ahead.
//!
//! While a process runs, its time never goes back. One that starts takes the system's clock as it is; if that was set back,
//! what was accepted before waits until the clock shows those times again.

use std::time::Duration;

use sqlx::Row as _;

use crate::statement::Statement;
use crate::{Store, StoreError, Timestamp};

/// How far the newest message may be ahead of the clock: clocks are not exact.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Messages that wait, and were accepted at a time that the clock has not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AheadOfClock {
    /// How many there are.
    pub messages: u64,
    /// When the last of them is due.
    pub last_due: Timestamp,
}

impl Store {
    /// For a start: which messages wait although they were accepted more than some seconds after `now`, if the newest
    /// message of all was. Takes time in proportion to the messages that wait in that case only.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn ahead_of_clock(&self, now: Timestamp) -> Result<Option<AheadOfClock>, StoreError> {
        let latest = (now + TOLERANCE).as_millis();
        let newest = Statement::new(self.readers().dialect().newest_message());
        let Some(newest) = self.readers().fetch_optional(newest).await? else {
            return Ok(None);
        };
        if newest.try_get::<i64, _>("created_at")? <= latest {
            return Ok(None);
        }
        let ahead = Statement::new(
            "SELECT COUNT(*) AS messages, MAX(run_at) AS last_due FROM messages
             WHERE status = 'queued' AND created_at > $1",
        )
        .bind(latest);
        let row = self.readers().fetch_one(ahead).await?;
        let messages: i64 = row.try_get("messages")?;
        let last_due: Option<i64> = row.try_get("last_due")?;
        Ok(last_due.map(|last_due| AheadOfClock {
            messages: messages.unsigned_abs(),
            last_due: Timestamp::from_millis(last_due),
        }))
    }
}
