//! Messages that are put back into the queue or taken out of it, and attempts that failed.

use sqlx::Row as _;

use super::failed_attempts::insert_failures;
use super::stored_bytes;
use super::user_queues::UserQueueChanges;
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
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
        let Some(user) = self.owner(id).await? else {
            return Ok(Moved::Unknown);
        };
        let id = id.clone();
        self.write(Retry { user, id, now }).await
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

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.job.user_id);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let Self { job, error, .. } = self;
        let put_back = Statement::new(
            "UPDATE messages
             SET status = 'queued', run_at = $1, outage = NULL, failures = failures + 1,
                lease = NULL, lease_until = NULL
             WHERE id = $2 AND status = 'processing' AND lease = $3",
        )
        .bind(self.run_at.as_millis())
        .bind(job.id.as_str())
        .bind(&*job.lease.0);
        if tx.execute(put_back).await? == 0 {
            return Ok(false);
        }
        let mut queues = UserQueueChanges::default();
        queues.moved(Some(Status::Processing), Some(Status::Queued), 1);
        queues.stored(&job.user_id, stored_bytes::of_failure(error));
        queues.queued(&job.user_id, self.run_at);
        let mut script = Script::default();
        script.add_all(insert_failures(&[(job, error, self.now)], tx.dialect()));
        script.add_all(queues.statements(tx));
        tx.defer(script).await?;
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

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.job.user_id);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let job = &self.job;
        let put_back = Statement::new(
            "UPDATE messages
             SET status = 'queued', run_at = $1, outage = $2, attempts = attempts - 1,
                lease = NULL, lease_until = NULL
             WHERE id = $3 AND status = 'processing' AND lease = $4",
        )
        .bind(self.run_at.as_millis())
        .bind(self.error.as_str())
        .bind(job.id.as_str())
        .bind(&*job.lease.0);
        if tx.execute(put_back).await? == 0 {
            return Ok(false);
        }
        let mut queues = UserQueueChanges::default();
        queues.moved(Some(Status::Processing), Some(Status::Queued), 1);
        queues.queued(&job.user_id, self.run_at);
        queues.write(tx).await?;
        Ok(true)
    }

    fn wakes_worker(&self, put_back: &bool) -> bool {
        *put_back
    }
}

struct Retry {
    user: UserId,
    id: MessageId,
    now: Timestamp,
}

impl Operation for Retry {
    type Output = Moved;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Moved, StoreError> {
        let retry = Statement::new(
            "UPDATE messages
             SET status = 'queued', run_at = $1, outage = NULL, failures = 0,
                processed_at = NULL, delivered_at = NULL
             WHERE id = $2 AND status = 'dead'",
        )
        .bind(self.now.as_millis())
        .bind(self.id.as_str());
        if tx.execute(retry).await? == 0 {
            let status = status(tx, &self.user, &self.id).await?;
            return Ok(status.map_or(Moved::Unknown, Moved::Not));
        }
        let mut queues = UserQueueChanges::default();
        queues.moved(Some(Status::Dead), Some(Status::Queued), 1);
        queues.open(&self.user, 1);
        queues.queued(&self.user, self.now);
        queues.write(tx).await?;
        Ok(Moved::Done)
    }

    fn changes(moved: &Moved) -> bool {
        *moved == Moved::Done
    }

    fn wakes_worker(&self, moved: &Moved) -> bool {
        *moved == Moved::Done
    }
}

/// Takes a message of `user` out of the queue, if it is queued. Returns whether it was.
pub(crate) async fn take_out(
    tx: &mut Transaction<'_>,
    user: &UserId,
    id: &MessageId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let take_out = Statement::new(
        "UPDATE messages SET status = 'cancelled', processed_at = $1
         WHERE id = $2 AND user_id = $3 AND status = 'queued'",
    )
    .bind(now.as_millis())
    .bind(id.as_str())
    .bind(user.as_str());
    if tx.execute(take_out).await? == 0 {
        return Ok(false);
    }
    let mut queues = UserQueueChanges::default();
    queues.moved(Some(Status::Queued), Some(Status::Cancelled), 1);
    queues.open(user, -1);
    queues.write(tx).await?;
    Ok(true)
}

/// The status of a message of `user`: why it was not changed.
pub(crate) async fn status(
    tx: &mut Transaction<'_>,
    user: &UserId,
    id: &MessageId,
) -> Result<Option<Status>, StoreError> {
    let mut script = Script::default();
    let part = script.add(
        Statement::new("SELECT status FROM messages WHERE id = $1 AND user_id = $2")
            .bind(id.as_str())
            .bind(user.as_str()),
    );
    let results = tx.run(script).await?;
    let row = results.rows(&part).next();
    row.map(|row| Status::from_column(row.try_get("status")?))
        .transpose()
}
