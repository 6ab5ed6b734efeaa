//! Forgetting what is old, in steps that no other write has to wait for.
//!
//! What is to be deleted is found on the connections that read. The writer is only handed keys, as many at a time as it
//! deletes in a few milliseconds.

use std::time::{Duration, Instant};

use sqlx::FromRow;
use sqlx::any::AnyRow;

use super::stored_bytes::{self, Which};
use crate::adaptive_batch::AdaptiveBatch;
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Status, Store, StoreError, Timestamp, UserId, bulk};

/// The next users after `$1`, each with when the first notification in the inbox was made.
const INBOXES: &str = "SELECT u.id, (
        SELECT n.created_at FROM notifications n WHERE n.user_id = u.id ORDER BY n.seq LIMIT 1) AS first_at
    FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2";

/// The first notifications of the user `$1`.
const FIRST: &str =
    "SELECT seq, created_at FROM notifications WHERE user_id = $1 ORDER BY seq LIMIT $2";

/// Cursors that were last used before `$1`.
const UNUSED: &str = "SELECT user_id, client_id FROM cursors WHERE updated_at < $1
    ORDER BY updated_at LIMIT $2";

/// How many users are looked at in one read.
const USERS: i64 = 1000;

/// What [`Store::prune`] deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Messages that had ended.
    pub messages: u64,
    /// Notifications.
    pub notifications: u64,
    /// Cursors of client ids.
    pub cursors: u64,
}

impl Store {
    /// Deletes the messages that ended before `before`, with their idempotency keys; the notifications that were made
    /// before, acknowledged or not, those first that come first in an inbox; and the cursors of client ids that were not
    /// used since. Messages that have not ended stay, however old they are, and numbers of notifications are not used
    /// again.
    ///
    /// Does so in small steps with rests between them, so it may take long. If its caller stops waiting, it stops after
    /// the step that is under way.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written. What was not deleted is deleted by the next call.
    pub async fn prune(&self, before: Timestamp) -> Result<Pruned, StoreError> {
        let mut batch = AdaptiveBatch::default();
        // Notifications first: one that is still there must not say that its message was deleted.
        let notifications = self.prune_notifications(before, &mut batch).await?;
        Ok(Pruned {
            messages: self.prune_messages(before, &mut batch).await?,
            notifications,
            cursors: self.prune_cursors(before, &mut batch).await?,
        })
    }

    async fn prune_messages(
        &self,
        before: Timestamp,
        batch: &mut AdaptiveBatch,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let dialect = self.readers().dialect();
        let (at, index) = (
            dialect.status_time("processed_at"),
            dialect.by_status_time(),
        );
        // The oldest first, each after its owner.
        let text = format!(
            "SELECT user_id, id FROM messages{index} WHERE status = $1 AND {at} < $2 ORDER BY {at}, id LIMIT $3"
        );
        for status in [Status::Processed, Status::Dead, Status::Cancelled] {
            loop {
                let ended = Statement::made(text.clone())
                    .bind(status.as_str())
                    .bind(before.as_millis())
                    .bind(batch.rows() as i64);
                let keys: Vec<(String, String)> = self.rows(ended).await?;
                if keys.is_empty() {
                    break;
                }
                deleted += self.step(Keys::Messages(keys), before, batch).await?;
            }
        }
        Ok(deleted)
    }

    async fn prune_notifications(
        &self,
        before: Timestamp,
        batch: &mut AdaptiveBatch,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        let mut keys = Vec::new();
        let mut after = String::new();
        loop {
            let inboxes = Statement::new(INBOXES).bind(after.as_str()).bind(USERS);
            let users: Vec<(String, Option<i64>)> = self.rows(inboxes).await?;
            let Some((last, _)) = users.last() else { break };
            after.clone_from(last);
            let is_old = |at: i64| at < before.as_millis();
            for (user, _) in users.iter().filter(|(_, first)| first.is_some_and(is_old)) {
                loop {
                    // As many as make a step full, with those of the users before.
                    let rows = batch.rows().saturating_sub(keys.len()).max(1);
                    let first = Statement::new(FIRST).bind(user.as_str());
                    let first: Vec<(i64, i64)> = self.rows(first.bind(rows as i64)).await?;
                    let old = first.iter().take_while(|(_, at)| is_old(*at));
                    let old: Vec<_> = old.map(|(seq, _)| (user.clone(), *seq)).collect();
                    let all = old.len() == rows;
                    keys.extend(old);
                    if keys.len() >= batch.rows() {
                        let full = Keys::Notifications(std::mem::take(&mut keys));
                        deleted += self.step(full, before, batch).await?;
                    }
                    if !all {
                        break;
                    }
                }
            }
        }
        if !keys.is_empty() {
            deleted += self.step(Keys::Notifications(keys), before, batch).await?;
        }
        Ok(deleted)
    }

    async fn prune_cursors(
        &self,
        before: Timestamp,
        batch: &mut AdaptiveBatch,
    ) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let unused = Statement::new(UNUSED)
                .bind(before.as_millis())
                .bind(batch.rows() as i64);
            let keys: Vec<(String, String)> = self.rows(unused).await?;
            if keys.is_empty() {
                return Ok(deleted);
            }
            deleted += self.step(Keys::Cursors(keys), before, batch).await?;
        }
    }

    /// What a statement returns.
    async fn rows<R>(&self, statement: Statement) -> Result<Vec<R>, StoreError>
    where
        R: for<'r> FromRow<'r, AnyRow>,
    {
        let rows = self.readers().fetch_all(statement).await?;
        let rows = rows.iter().map(R::from_row).collect::<Result<_, _>>();
        Ok(rows?)
    }

    /// Deletes, and rests.
    async fn step(
        &self,
        keys: Keys,
        before: Timestamp,
        batch: &mut AdaptiveBatch,
    ) -> Result<u64, StoreError> {
        let (deleted, took) = self.write(Delete { keys, before }).await?;
        batch.rest(took).await;
        Ok(deleted)
    }
}

/// What is to be deleted.
enum Keys {
    /// By owner and id.
    Messages(Vec<(String, String)>),
    /// By user and number.
    Notifications(Vec<(String, i64)>),
    /// By user and client id.
    Cursors(Vec<(String, String)>),
}

struct Delete {
    keys: Keys,
    before: Timestamp,
}

impl Operation for Delete {
    /// How many rows were deleted, and how long that took.
    type Output = (u64, Duration);

    /// Rows that a crash brings back are deleted by the next call.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        match &self.keys {
            Keys::Messages(keys) => lock_queues(locks, keys),
            Keys::Notifications(keys) => lock_queues(locks, keys),
            Keys::Cursors(_) => {}
        }
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(u64, Duration), StoreError> {
        let started = Instant::now();
        let deleted = match &self.keys {
            // Not one that was put back into the queue since.
            Keys::Messages(keys) => {
                let ids: Vec<_> = keys.iter().map(|(_, id)| id).collect();
                let which = Which::EndedBefore(self.before);
                stored_bytes::delete_messages(tx, &ids, which).await?
            }
            Keys::Notifications(keys) => stored_bytes::delete_notifications(tx, keys).await?,
            Keys::Cursors(keys) => self.delete_cursors(tx, keys).await?,
        };
        Ok((deleted, started.elapsed()))
    }
}

/// Locks the queue of the user of each key.
fn lock_queues<T>(locks: &mut Locks, keys: &[(String, T)]) {
    for (user, _) in keys {
        locks.queue(&UserId::from_string(user.as_str()));
    }
}

impl Delete {
    /// Not one that was used since.
    async fn delete_cursors(
        &self,
        tx: &mut Transaction<'_>,
        keys: &[(String, String)],
    ) -> Result<u64, StoreError> {
        let delete = |rows| {
            let text = format!(
                "{} WHERE updated_at < $1 AND (user_id, client_id) IN ({})",
                tx.dialect().delete_by_key("cursors"),
                bulk::keys(tx.dialect(), rows, 2, 2)
            );
            Statement::made(text).bind(self.before.as_millis())
        };
        let mut script = Script::default();
        let deleted = script.add_all(bulk::for_each(keys, delete, |statement, key| {
            let (user, client_id) = key.map(|(user, id)| (user.as_str(), id.as_str())).unzip();
            statement.bind(user).bind(client_id)
        }));
        Ok(tx.run(script).await?.changed(&deleted))
    }
}
