//! What the worker takes and finishes.

use std::sync::Arc;
use std::time::Duration;

use herald_acl::Username;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::users::parse_username;
use crate::writer::Operation;
use crate::{MessageId, Notification, Seq, Status, Store, StoreError, Timestamp, UserId, dialect};

/// The right of one worker to finish the messages of one claim. Every claim has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(Arc<str>);

impl Lease {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }
}

/// A message that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The message's id.
    pub id: MessageId,
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// What was sent.
    pub body: String,
    /// How often it has been claimed, this time included.
    pub attempt: i64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// The right to finish it.
    pub lease: Lease,
}

/// How a message ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was processed.
    Processed {
        /// What it became.
        result: String,
    },
    /// It failed for good.
    Dead {
        /// Why; its owner reads this.
        error: String,
    },
}

impl Outcome {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Processed { .. } => Status::Processed,
            Self::Dead { .. } => Status::Dead,
        }
    }

    pub(crate) fn result(&self) -> Option<&str> {
        match self {
            Self::Processed { result } => Some(result),
            Self::Dead { .. } => None,
        }
    }

    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Processed { .. } => None,
            Self::Dead { error } => Some(error),
        }
    }
}

/// A message that was finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// What its owner is told.
    pub notification: Notification,
}

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
    /// Claims up to `limit` messages that are due at `now`, those due longest first: queued ones,
    /// and those whose lease has run out. Until `now + lease`, no one else can claim them.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn claim(
        &self,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Job>, StoreError> {
        self.write(Claim {
            limit,
            until: now + lease,
            now,
        })
        .await
    }

    /// Makes the lease of `job` last until `now + lease`. Returns `false`, and does nothing, if the
    /// message was finished or claimed again since.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn renew(
        &self,
        job: &Job,
        lease: Duration,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(Renew {
            id: job.id.clone(),
            lease: job.lease.clone(),
            until: now + lease,
        })
        .await
    }

    /// Ends the message of `job` at `now`, and puts the notification about it in its owner's inbox
    /// under the next number. Returns `None`, and does nothing, if the message was finished or
    /// claimed again since.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn finish(
        &self,
        job: &Job,
        outcome: Outcome,
        now: Timestamp,
    ) -> Result<Option<Finished>, StoreError> {
        self.write(Finish {
            job: job.clone(),
            outcome,
            now,
        })
        .await
    }

    /// Puts all claimed messages back into the queue, and returns how many there were. For the
    /// start of the only process that works on this database: whoever claimed them is gone.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn release_all(&self) -> Result<u64, StoreError> {
        self.write(ReleaseAll).await
    }

    /// When [`claim`](Self::claim) next has something to claim, if nothing is accepted until then:
    /// the earliest time of a queued message or end of a lease. It may be in the past.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(due) FROM (
                SELECT MIN(run_at) AS due FROM messages WHERE status = 'queued'
                UNION ALL
                SELECT MIN(lease_until) AS due FROM messages WHERE status = 'processing') AS dues",
        )
        .fetch_one(self.readers())
        .await?;
        Ok(due.map(Timestamp::from_millis))
    }

    /// How many messages there are of each status. Takes time in proportion to their number.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn counts(&self) -> Result<StatusCounts, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT status, COUNT(*) FROM messages GROUP BY status")
                .fetch_all(self.readers())
                .await?;
        let mut counts = StatusCounts::default();
        for (status, count) in rows {
            let counted = match Status::from_column(&status)? {
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
}

struct Claim {
    limit: u32,
    until: Timestamp,
    now: Timestamp,
}

impl Operation for Claim {
    type Answer = Vec<Job>;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Vec<Job>, StoreError> {
        let lease = Lease::new();
        let mut rows = sqlx::query(dialect::CLAIM)
            .bind(&*lease.0)
            .bind(self.until.as_millis())
            .bind(self.now.as_millis())
            .bind(i64::from(self.limit))
            .fetch_all(conn)
            .await?
            .into_iter()
            .map(|row| Ok((row.try_get("run_at")?, job(&row, &lease)?)))
            .collect::<Result<Vec<(i64, Job)>, StoreError>>()?;
        // RETURNING promises no order.
        rows.sort_by(|(a_at, a), (b_at, b)| (a_at, &a.id).cmp(&(b_at, &b.id)));
        Ok(rows.into_iter().map(|(_, job)| job).collect())
    }
}

/// Reads a job from a row of a claim.
fn job(row: &AnyRow, lease: &Lease) -> Result<Job, StoreError> {
    Ok(Job {
        id: MessageId::from_string(row.try_get::<String, _>("id")?),
        user_id: UserId::from_string(row.try_get::<String, _>("user_id")?),
        username: parse_username(row.try_get("username")?)?,
        body: row.try_get("body")?,
        attempt: row.try_get("attempts")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        lease: lease.clone(),
    })
}

struct Renew {
    id: MessageId,
    lease: Lease,
    until: Timestamp,
}

impl Operation for Renew {
    type Answer = bool;

    async fn run(&self, conn: &mut AnyConnection) -> Result<bool, StoreError> {
        let renewed = sqlx::query(
            "UPDATE messages SET lease_until = $1
             WHERE id = $2 AND status = 'processing' AND lease = $3",
        )
        .bind(self.until.as_millis())
        .bind(self.id.as_str())
        .bind(&*self.lease.0)
        .execute(conn)
        .await?;
        Ok(renewed.rows_affected() > 0)
    }
}

struct Finish {
    job: Job,
    outcome: Outcome,
    now: Timestamp,
}

impl Operation for Finish {
    type Answer = Option<Finished>;

    async fn run(&self, conn: &mut AnyConnection) -> Result<Option<Finished>, StoreError> {
        let Self { job, outcome, now } = self;
        let ended = sqlx::query(
            "UPDATE messages
             SET status = $1, result = $2, error = $3, processed_at = $4,
                lease = NULL, lease_until = NULL
             WHERE id = $5 AND status = 'processing' AND lease = $6",
        )
        .bind(outcome.status().as_str())
        .bind(outcome.result())
        .bind(outcome.error())
        .bind(now.as_millis())
        .bind(job.id.as_str())
        .bind(&*job.lease.0)
        .execute(&mut *conn)
        .await?;
        if ended.rows_affected() == 0 {
            return Ok(None);
        }
        let seq: i64 = sqlx::query_scalar(
            "UPDATE users SET last_seq = last_seq + 1 WHERE id = $1 RETURNING last_seq",
        )
        .bind(job.user_id.as_str())
        .fetch_one(&mut *conn)
        .await?;
        let notification = Notification::new(Seq(seq), job, outcome, *now);
        sqlx::query(
            "INSERT INTO notifications (user_id, seq, message_id, payload, created_at)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(job.user_id.as_str())
        .bind(seq)
        .bind(job.id.as_str())
        .bind(&*notification.payload)
        .bind(now.as_millis())
        .execute(conn)
        .await?;
        Ok(Some(Finished {
            user_id: job.user_id.clone(),
            username: job.username.clone(),
            notification,
        }))
    }
}

struct ReleaseAll;

impl Operation for ReleaseAll {
    type Answer = u64;

    async fn run(&self, conn: &mut AnyConnection) -> Result<u64, StoreError> {
        let released = sqlx::query(
            "UPDATE messages SET status = 'queued', lease = NULL, lease_until = NULL
             WHERE status = 'processing'",
        )
        .execute(conn)
        .await?;
        Ok(released.rows_affected())
    }

    fn wakes_worker(&self, released: &u64) -> bool {
        *released > 0
    }
}
