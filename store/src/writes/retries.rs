//! Messages that are put back into the queue or taken out of it, and attempts that failed.

use sqlx::{AnyConnection, Row};

use super::stored_bytes;
use super::user_queues::UserQueueChanges;
use crate::writer::{Operation, Transaction};
use crate::{Job, MessageId, Status, Store, StoreError, Timestamp, UserId};

/// What came of [`Store::retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It was done.
    Done,
    /// It was not: the message has this status.
    Not(Status),
    /// There is no such message.
    Unknown,
}

impl Store {
    /// Puts the message of `job`, at which an attempt failed for the reason `error`, back into the queue until `run_at`.
    /// Wakes the worker. Returns `false`, and does nothing, if the message was finished or claimed again since.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn retry_later(
        &self,
        job: &Job,
        error: String,
        run_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(RetryLater {
            job: job.clone(),
            error,
            run_at,
            now,
        })
        .await
    }

    /// Puts the message of `job` back into the queue until `run_at`, as if the attempt had not been: there was nobody to
    /// process it, for the reason `error`. Wakes the worker. Returns `false`, and does nothing, if the message was finished
    /// or claimed again since.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn put_back(
        &self,
        job: &Job,
        error: String,
        run_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(PutBack {
            job: job.clone(),
            error,
            run_at,
        })
        .await
    }

    /// Puts a dead message back into the queue, due at once and with all its attempts ahead of it. Its owner is notified
    /// again when it ends. Wakes the worker.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn retry(&self, id: &MessageId, now: Timestamp) -> Result<Moved, StoreError> {
        let id = id.clone();
        self.write(Retry { id, now }).await
    }
}

struct RetryLater {
    job: Job,
    error: String,
    run_at: Timestamp,
    now: Timestamp,
}

impl Operation for RetryLater {
    type Output = bool;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let conn = tx.connection();
        let Self { job, error, .. } = self;
        let put_back = sqlx::query(
            "UPDATE messages
             SET status = 'queued', run_at = $1, outage = NULL, failures = failures + 1,
                lease = NULL, lease_until = NULL
             WHERE id = $2 AND status = 'processing' AND lease = $3",
        )
        .bind(self.run_at.as_millis())
        .bind(job.id.as_str())
        .bind(&*job.lease.0)
        .execute(&mut *conn)
        .await?;
        if put_back.rows_affected() == 0 {
            return Ok(false);
        }
        record_failure(conn, job, error, self.now).await?;
        let mut queues = UserQueueChanges::default();
        queues.stored(&job.user_id, stored_bytes::of_failure(error));
        queues.queued(&job.user_id, self.run_at);
        queues.write(conn).await?;
        Ok(true)
    }

    fn wakes_worker(&self, put_back: &bool) -> bool {
        *put_back
    }
}

struct PutBack {
    job: Job,
    error: String,
    run_at: Timestamp,
}

impl Operation for PutBack {
    type Output = bool;

    /// If it is lost in a crash, the next start puts the message back.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let conn = tx.connection();
        let put_back = sqlx::query(
            "UPDATE messages
             SET status = 'queued', run_at = $1, outage = $2, attempts = attempts - 1,
                lease = NULL, lease_until = NULL
             WHERE id = $3 AND status = 'processing' AND lease = $4",
        )
        .bind(self.run_at.as_millis())
        .bind(self.error.as_str())
        .bind(self.job.id.as_str())
        .bind(&*self.job.lease.0)
        .execute(&mut *conn)
        .await?;
        if put_back.rows_affected() == 0 {
            return Ok(false);
        }
        let mut queues = UserQueueChanges::default();
        queues.queued(&self.job.user_id, self.run_at);
        queues.write(conn).await?;
        Ok(true)
    }

    fn wakes_worker(&self, put_back: &bool) -> bool {
        *put_back
    }
}

/// Remembers why the attempt of `job` failed. The caller counts it.
pub(crate) async fn record_failure(
    conn: &mut AnyConnection,
    job: &Job,
    error: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO failed_attempts (message_id, attempt, error, failed_at)
         VALUES ($1, $2, $3, $4)",
    )
    .bind(job.id.as_str())
    .bind(job.attempt)
    .bind(error)
    .bind(now.as_millis())
    .execute(conn)
    .await?;
    Ok(())
}

struct Retry {
    id: MessageId,
    now: Timestamp,
}

impl Operation for Retry {
    type Output = Moved;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Moved, StoreError> {
        let conn = tx.connection();
        let Some((user, status)) = owner(conn, &self.id).await? else {
            return Ok(Moved::Unknown);
        };
        if status != Status::Dead {
            return Ok(Moved::Not(status));
        }
        sqlx::query(
            "UPDATE messages
             SET status = 'queued', run_at = $1, outage = NULL, failures = 0,
                processed_at = NULL, delivered_at = NULL
             WHERE id = $2",
        )
        .bind(self.now.as_millis())
        .bind(self.id.as_str())
        .execute(&mut *conn)
        .await?;
        let mut queues = UserQueueChanges::default();
        queues.open(&user, 1);
        queues.queued(&user, self.now);
        queues.write(conn).await?;
        Ok(Moved::Done)
    }

    fn changes(moved: &Moved) -> bool {
        *moved == Moved::Done
    }

    fn wakes_worker(&self, moved: &Moved) -> bool {
        *moved == Moved::Done
    }
}

/// Takes a message of `user` that is queued out of the queue.
pub(crate) async fn take_out(
    conn: &mut AnyConnection,
    user: &UserId,
    id: &MessageId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE messages SET status = 'cancelled', processed_at = $1 WHERE id = $2")
        .bind(now.as_millis())
        .bind(id.as_str())
        .execute(&mut *conn)
        .await?;
    let mut queues = UserQueueChanges::default();
    queues.open(user, -1);
    queues.write(conn).await
}

/// Whose a message is, and its status.
pub(crate) async fn owner(
    conn: &mut AnyConnection,
    id: &MessageId,
) -> Result<Option<(UserId, Status)>, StoreError> {
    let row = sqlx::query("SELECT user_id, status FROM messages WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        let user: String = row.try_get("user_id")?;
        let status = Status::from_column(row.try_get("status")?)?;
        Ok((UserId::from_string(user), status))
    })
    .transpose()
}
