//! The end of a message, of which its owner is notified.

use std::collections::{BTreeMap, HashSet};

use herald_acl::Username;
use sqlx::{AnyConnection, Row};

use super::retries::record_failure;
use super::stored_bytes;
use super::user_queues::UserQueueChanges;
use crate::notification::NotificationContent;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Epoch, Job, Notification, Outcome, Seq, Store, StoreError, Timestamp, UserId, bulk};

/// A message that was finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// What its owner is notified of.
    pub notification: Notification,
    /// When it was due for the attempt that ended it.
    pub due: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
}

impl Store {
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
            epoch: self.epoch(),
            notification_bytes: self.notification_bytes(),
            now,
        })
        .await
    }
}

struct Finish {
    job: Job,
    outcome: Outcome,
    epoch: Epoch,
    notification_bytes: usize,
    now: Timestamp,
}

impl Finish {
    /// A result that is the body is not stored a second time.
    fn stored_result(&self) -> Option<&str> {
        let result = self.outcome.result();
        result.filter(|result| *result != self.job.body)
    }
}

impl Operation for Finish {
    type Output = Option<Finished>;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.job.user_id);
        locks.inbox(&self.job.user_id);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Option<Finished>, StoreError> {
        let mut outputs = finish(tx.connection(), &[self]).await?;
        Ok(outputs.pop().flatten())
    }

    async fn run_all(
        all: &[&Self],
        tx: &mut Transaction<'_>,
    ) -> Result<Vec<Option<Finished>>, StoreError> {
        let mut messages = HashSet::with_capacity(all.len());
        if all.iter().all(|finish| messages.insert(&finish.job.id)) {
            return finish(tx.connection(), all).await;
        }
        // Two claimed the same message, or one finishes twice: which came first matters.
        let mut outputs = Vec::with_capacity(all.len());
        for one in all {
            outputs.push(one.run(tx).await?);
        }
        Ok(outputs)
    }
}

/// Finishes messages, each of them once.
async fn finish(
    conn: &mut AnyConnection,
    all: &[&Finish],
) -> Result<Vec<Option<Finished>>, StoreError> {
    let ended = end(conn, all).await?;
    let ended: Vec<_> = all
        .iter()
        .map(|finish| ended.contains(finish.job.id.as_str()).then_some(*finish))
        .collect();
    let mut last = take_numbers(conn, ended.iter().flatten().copied()).await?;
    let mut queues = UserQueueChanges::default();
    let mut finished = Vec::with_capacity(all.len());
    for finish in ended {
        let Some(finish) = finish else {
            finished.push(None);
            continue;
        };
        let job = &finish.job;
        // The message is there, so its owner is.
        let seq = last.get_mut(&job.user_id).ok_or(StoreError::UnknownUser)?;
        *seq += 1;
        queues.open(&job.user_id, -1);
        let stored = stored_bytes::of_end(finish.stored_result(), finish.outcome.error());
        queues.stored(&job.user_id, stored);
        let content =
            NotificationContent::fresh(Seq(*seq), &finish.epoch, job, &finish.outcome, finish.now);
        let notification = content.notification(finish.notification_bytes);
        finished.push(Some(Finished {
            user_id: job.user_id.clone(),
            username: job.username.clone(),
            notification,
            due: job.due,
            ended_at: finish.now,
        }));
    }
    let notified: Vec<_> = all
        .iter()
        .zip(&finished)
        .filter_map(|(finish, finished)| Some((*finish, &finished.as_ref()?.notification)))
        .collect();
    insert(conn, &notified).await?;
    record_failures(conn, notified.iter().map(|(finish, _)| *finish)).await?;
    queues.write(conn).await?;
    Ok(finished)
}

/// Ends those messages that are still the claimant's, and returns their ids.
async fn end(conn: &mut AnyConnection, all: &[&Finish]) -> Result<HashSet<String>, StoreError> {
    let mut ended = HashSet::with_capacity(all.len());
    for chunk in bulk::padded(all) {
        let text = format!(
            "WITH done (message_id, its_lease, its_status, its_result, done_at) AS (VALUES {})
             UPDATE messages
             SET status = its_status, result = its_result, processed_at = done_at,
                lease = NULL, lease_until = NULL
             FROM done
             WHERE id = message_id AND status = 'processing' AND lease = its_lease
             RETURNING id",
            bulk::rows(chunk.len(), 5, 1)
        );
        let mut query = sqlx::query_scalar::<_, String>(bulk::statement(text));
        for finish in chunk {
            let (job, outcome) = (finish.map(|f| &f.job), finish.map(|f| &f.outcome));
            query = query
                .bind(job.map(|job| job.id.as_str()))
                .bind(job.map(|job| &*job.lease.0))
                .bind(outcome.map(|outcome| outcome.status().as_str()))
                .bind(finish.and_then(|finish| finish.stored_result()))
                .bind(finish.map(|finish| finish.now.as_millis()));
        }
        ended.extend(query.fetch_all(&mut *conn).await?);
    }
    Ok(ended)
}

/// Takes as many numbers as each user has messages among `ended`, and returns the number before the first of them.
async fn take_numbers(
    conn: &mut AnyConnection,
    ended: impl Iterator<Item = &Finish>,
) -> Result<BTreeMap<UserId, i64>, StoreError> {
    let mut counts = BTreeMap::<UserId, i64>::new();
    for finish in ended {
        *counts.entry(finish.job.user_id.clone()).or_default() += 1;
    }
    let wanted: Vec<_> = counts.iter().collect();
    let mut before = BTreeMap::new();
    for chunk in bulk::padded(&wanted) {
        let text = format!(
            "WITH wanted (owner, how_many) AS (VALUES {})
             UPDATE inboxes SET last_seq = last_seq + how_many
             FROM wanted WHERE user_id = owner RETURNING user_id, last_seq",
            bulk::rows(chunk.len(), 2, 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for wanted in chunk {
            query = query
                .bind(wanted.map(|(user, _)| user.as_str()))
                .bind(wanted.map(|(_, count)| **count));
        }
        for row in query.fetch_all(&mut *conn).await? {
            let user = UserId::from_string(row.try_get::<String, _>("user_id")?);
            let last: i64 = row.try_get("last_seq")?;
            let count = counts.get(&user).copied().unwrap_or_default();
            before.insert(user, last - count);
        }
    }
    Ok(before)
}

async fn insert(
    conn: &mut AnyConnection,
    notified: &[(&Finish, &Notification)],
) -> Result<(), StoreError> {
    for chunk in bulk::padded(notified) {
        let text = format!(
            "WITH new (user_id, seq, message_id, status, attempts, created_at) AS (VALUES {})
             INSERT INTO notifications (user_id, seq, message_id, status, attempts, created_at)
             SELECT user_id, seq, message_id, status, attempts, created_at
             FROM new WHERE seq IS NOT NULL",
            bulk::rows(chunk.len(), 6, 1)
        );
        let mut query = sqlx::query(bulk::statement(text));
        for one in chunk {
            let finish = one.map(|(finish, _)| finish);
            query = query
                .bind(finish.map(|finish| finish.job.user_id.as_str()))
                .bind(one.map(|(_, notification)| notification.seq.0))
                .bind(finish.map(|finish| finish.job.id.as_str()))
                .bind(finish.map(|finish| finish.outcome.status().as_str()))
                .bind(finish.map(|finish| finish.job.attempt))
                .bind(finish.map(|finish| finish.now.as_millis()));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// Remembers why each of those that died did.
async fn record_failures(
    conn: &mut AnyConnection,
    ended: impl Iterator<Item = &Finish>,
) -> Result<(), StoreError> {
    for Finish {
        job, outcome, now, ..
    } in ended
    {
        if let Outcome::Dead { error } = outcome {
            record_failure(conn, job, error, *now).await?;
        }
    }
    Ok(())
}
