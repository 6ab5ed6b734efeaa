//! What a start does about a system clock that was set back.
//!
//! While a process runs, its time never goes back. One that starts takes the system's clock as it is; if that was set back,
//! what waits would wait for as long as the clock was wrong.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};

use crate::dialect::{MESSAGES, NEWEST_MESSAGE, WAITING};
use crate::writer::Operation;
use crate::{Store, StoreError, Timestamp};

/// How far the newest message may be ahead of the clock: clocks are not exact.
const TOLERANCE_MS: i64 = 5_000;

/// The setting that says how far what waits was moved.
const SETTING: &str = "clock_set_back";

/// That the clock was found to be set back, and what was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockSetBack {
    /// By how much, as far as is known.
    pub by: Duration,
    /// How many messages that wait were moved back by as much.
    pub moved: u64,
}

/// What the setting holds: it makes the steps survive a crash, and each row move once.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Progress {
    /// The message that was ahead of the clock. It may be ahead of it at the next start, too.
    newest: String,
    by_ms: i64,
    /// Which of [`WAITING`] is being moved; its length once all are.
    table: usize,
    /// The key of the last row that was looked at.
    after: String,
}

impl Progress {
    fn is_done(&self) -> bool {
        self.table >= WAITING.len()
    }
}

impl Store {
    /// For the start of the only process that works on this database: if the newest message was accepted more than some
    /// seconds after `now`, the system's clock was set back since. All that waits is then moved back by the difference, in
    /// steps, and waits for as long as it would have. Takes up what an earlier start did not end.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written. What was not moved is moved by the next start.
    pub async fn follow_clock_back(
        &self,
        now: Timestamp,
    ) -> Result<Option<ClockSetBack>, StoreError> {
        let Some(mut progress) = self.write(Compare { now }).await? else {
            return Ok(None);
        };
        let mut moved = 0;
        while !progress.is_done() {
            let of_messages = progress.table == MESSAGES;
            let (next, rows) = self.write(Step(progress)).await?;
            progress = next;
            if of_messages {
                moved += rows;
            }
        }
        Ok(Some(ClockSetBack {
            by: Duration::from_millis(progress.by_ms.unsigned_abs()),
            moved,
        }))
    }
}

/// Finds out whether there is something to be moved.
struct Compare {
    now: Timestamp,
}

impl Operation for Compare {
    type Answer = Option<Progress>;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Option<Progress>, StoreError> {
        let before = read(conn).await?;
        if let Some(unfinished) = before.as_ref().filter(|progress| !progress.is_done()) {
            return Ok(Some(unfinished.clone()));
        }
        let Some(row) = sqlx::query(NEWEST_MESSAGE)
            .fetch_optional(&mut *conn)
            .await?
        else {
            return Ok(None);
        };
        let (newest, created_at): (String, i64) = (row.try_get("id")?, row.try_get("created_at")?);
        let by_ms = created_at.saturating_sub(self.now.as_millis());
        if by_ms <= TOLERANCE_MS || before.is_some_and(|progress| progress.newest == newest) {
            return Ok(None);
        }
        let progress = Progress {
            newest,
            by_ms,
            table: 0,
            after: String::new(),
        };
        save(&progress, conn).await?;
        Ok(Some(progress))
    }
}

/// Moves some rows. Answers how far it came, and how many it moved.
struct Step(Progress);

impl Operation for Step {
    type Answer = (Progress, u64);

    async fn run(&self, conn: &mut AnyConnection) -> Result<(Progress, u64), StoreError> {
        let mut progress = self.0.clone();
        let Some(waiting) = WAITING.get(progress.table) else {
            return Ok((progress, 0));
        };
        let last: Option<String> = sqlx::query_scalar(waiting.last_of_step)
            .bind(progress.after.as_str())
            .fetch_one(&mut *conn)
            .await?;
        let mut moved = 0;
        match last {
            Some(last) => {
                let update = sqlx::query(waiting.move_back)
                    .bind(progress.by_ms)
                    .bind(progress.after.as_str())
                    .bind(last.as_str());
                moved = update.execute(&mut *conn).await?.rows_affected();
                progress.after = last;
            }
            None => {
                progress.table += 1;
                progress.after.clear();
            }
        }
        save(&progress, conn).await?;
        Ok((progress, moved))
    }
}

async fn read(conn: &mut AnyConnection) -> Result<Option<Progress>, StoreError> {
    let text: Option<String> = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1")
        .bind(SETTING)
        .fetch_optional(conn)
        .await?;
    let Some(text) = text else { return Ok(None) };
    let invalid = StoreError::Invalid {
        what: "clock setting",
    };
    serde_json::from_str(&text).map(Some).map_err(|_| invalid)
}

async fn save(progress: &Progress, conn: &mut AnyConnection) -> Result<(), StoreError> {
    let text = serde_json::to_string(progress).expect("it has text and numbers only");
    sqlx::query(
        "INSERT INTO settings (key, value) VALUES ($1, $2)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(SETTING)
    .bind(text)
    .execute(conn)
    .await?;
    Ok(())
}
