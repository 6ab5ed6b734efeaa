//! What the worker takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use super::user_queues::{self, UserQueueChanges};
use crate::users::parse_username;
use crate::writer::{Operation, Transaction};
use crate::{Job, Lease, MessageId, Store, StoreError, Timestamp, UserId, bulk};

/// How many users a claim takes messages of, at most.
const MAX_USERS: u32 = 64;

impl Store {
    /// Claims up to `limit` messages that are due at `now`: queued ones, and those whose lease has run out. Users take
    /// turns; of the messages of one user, those that have been due longest come first. It may claim fewer than are due:
    /// see [`next_due`](Self::next_due). Until `now + lease`, no one else can claim them.
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
        self.claim_others(limit, lease, now, Arc::new(|_| false))
            .await
    }

    /// As [`claim`](Self::claim), but what `is_running` here is not claimed again if its lease has run out: the lease is
    /// renewed instead. A clock that is set forwards ends all leases at once.
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn claim_others(
        &self,
        limit: u32,
        lease: Duration,
        now: Timestamp,
        is_running: IsRunning,
    ) -> Result<Vec<Job>, StoreError> {
        self.write(Claim {
            limit,
            lease: LeaseTerm::new(lease, now),
            now,
            is_running,
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
            term: LeaseTerm::new(lease, now),
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
}

/// Whether a message is being worked on here.
pub type IsRunning = Arc<dyn Fn(&MessageId) -> bool + Send + Sync>;

/// Until when a lease lasts that is written later than it was asked for.
struct LeaseTerm {
    until: Timestamp,
    asked: Instant,
}

impl LeaseTerm {
    fn new(lease: Duration, now: Timestamp) -> Self {
        Self {
            until: now + lease,
            asked: Instant::now(),
        }
    }

    /// A writer that was held up must not write leases that have run out. Below a second, it does not matter.
    fn end(&self) -> Timestamp {
        self.until + Duration::from_secs(self.asked.elapsed().as_secs())
    }
}

struct Claim {
    limit: u32,
    lease: LeaseTerm,
    now: Timestamp,
    is_running: IsRunning,
}

impl Operation for Claim {
    type Output = Vec<Job>;

    /// A claim that is lost in a crash was never made.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Vec<Job>, StoreError> {
        let conn = tx.connection();
        let users = self.limit.min(MAX_USERS);
        let mut due = user_queues::due(conn, users, self.now).await?;
        if !due.expired.is_empty() {
            self.take_back(conn, due.expired).await?;
            due = user_queues::due(conn, users, self.now).await?;
        }
        let users = due.users;
        if users.is_empty() {
            return Ok(vec![]);
        }
        let mut jobs = self.take(conn, &users).await?;
        user_queues::to_the_back(conn, &users, self.now).await?;
        // RETURNING promises no order.
        jobs.sort_by(|a, b| (a.due, &a.id).cmp(&(b.due, &b.id)));
        Ok(jobs)
    }
}

impl Claim {
    /// Puts messages whose lease has run out back into the queue, but for those that are being worked on here.
    async fn take_back(
        &self,
        conn: &mut AnyConnection,
        expired: Vec<MessageId>,
    ) -> Result<(), StoreError> {
        let (running, lost): (Vec<_>, Vec<_>) =
            expired.into_iter().partition(|id| (self.is_running)(id));
        for id in running {
            sqlx::query("UPDATE messages SET lease_until = $1 WHERE id = $2")
                .bind(self.lease.end().as_millis())
                .bind(id.as_str())
                .execute(&mut *conn)
                .await?;
        }
        if lost.is_empty() {
            return Ok(());
        }
        requeue(conn, Some(self.now)).await?;
        Ok(())
    }

    /// Claims messages of each user, as many of each.
    async fn take(
        &self,
        conn: &mut AnyConnection,
        users: &[UserId],
    ) -> Result<Vec<Job>, StoreError> {
        let each = i64::from(self.limit) / users.len() as i64;
        // Few different statements, as each has to be prepared.
        let padded = users.len().next_power_of_two();
        let nobody = std::iter::repeat_n("", padded - users.len());
        let of_one = |number| {
            format!(
                "SELECT id FROM (
                    SELECT id FROM messages
                    WHERE user_id = ${number} AND status = 'queued' AND run_at <= $3
                    ORDER BY run_at, id LIMIT $4) AS of_one"
            )
        };
        let of_each: Vec<_> = (5..5 + padded).map(of_one).collect();
        let text = format!(
            "UPDATE messages
             SET status = 'processing', attempts = attempts + 1, lease = $1, lease_until = $2
             WHERE id IN ({})
             RETURNING id, user_id, body, attempts, failures, created_at, run_at,
                (SELECT username FROM users WHERE users.id = messages.user_id) AS username",
            of_each.join(" UNION ALL ")
        );
        let lease = Lease::new();
        let mut query = sqlx::query(bulk::statement(text))
            .bind(&*lease.0)
            .bind(self.lease.end().as_millis())
            .bind(self.now.as_millis())
            .bind(each);
        for user in users.iter().map(UserId::as_str).chain(nobody) {
            query = query.bind(user);
        }
        let rows = query.fetch_all(conn).await?;
        rows.iter().map(|row| job(row, &lease)).collect()
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
        failures: row.try_get("failures")?,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
        due: Timestamp::from_millis(row.try_get("run_at")?),
        lease: lease.clone(),
    })
}

struct Renew {
    id: MessageId,
    lease: Lease,
    term: LeaseTerm,
}

impl Operation for Renew {
    type Output = bool;

    /// A start after a crash takes up what was claimed, whatever the lease.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let conn = tx.connection();
        let renewed = sqlx::query(
            "UPDATE messages SET lease_until = $1
             WHERE id = $2 AND status = 'processing' AND lease = $3",
        )
        .bind(self.term.end().as_millis())
        .bind(self.id.as_str())
        .bind(&*self.lease.0)
        .execute(conn)
        .await?;
        Ok(renewed.rows_affected() > 0)
    }
}

struct ReleaseAll;

impl Operation for ReleaseAll {
    type Output = u64;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<u64, StoreError> {
        let conn = tx.connection();
        let released = requeue(conn, None).await?;
        // A turn is the time of the last claim, if that was later: it counts for nothing now, and may be far ahead if the
        // clock was set back.
        sqlx::query(
            "UPDATE user_queues SET turn_at = (
                SELECT MIN(m.run_at) FROM messages m
                WHERE m.user_id = user_queues.user_id AND m.status = 'queued')
             WHERE turn_at IS NOT NULL",
        )
        .execute(conn)
        .await?;
        Ok(released)
    }

    fn wakes_worker(&self, released: &u64) -> bool {
        *released > 0
    }
}

/// Puts claimed messages back into the queue: all, or those whose lease has run out at a time. Returns how many.
async fn requeue(
    conn: &mut AnyConnection,
    run_out_at: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let requeued = sqlx::query(
        "UPDATE messages SET status = 'queued', lease = NULL, lease_until = NULL
         WHERE status = 'processing' AND lease_until <= $1
         RETURNING user_id, run_at",
    )
    .bind(run_out_at.map_or(i64::MAX, Timestamp::as_millis))
    .fetch_all(&mut *conn)
    .await?;
    let mut queues = UserQueueChanges::default();
    for row in &requeued {
        let user: String = row.try_get("user_id")?;
        let due = Timestamp::from_millis(row.try_get("run_at")?);
        queues.queued(&UserId::from_string(user), due);
    }
    queues.write(conn).await?;
    Ok(requeued.len() as u64)
}
