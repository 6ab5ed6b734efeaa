//! The messages of each user that have not ended, whose turn it is, and how much room each takes.
//!
//! A claim takes from the queues that have waited longest for a turn, and sends them to the back. So users take turns,
//! however many messages each of them has. A turn may come too early, if what was due was moved or taken out since: the
//! claim finds nothing then, and corrects it. It never comes too late.

use std::collections::BTreeMap;

use sqlx::AnyConnection;

use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::{MessageId, StoreError, Timestamp, UserId, bulk};

/// What changes for the queue of one user.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UserQueueChange {
    /// How many messages more have not ended; negative for fewer.
    pub(crate) open: i64,
    /// A message was queued that is due at this time.
    pub(crate) due: Option<Timestamp>,
    /// How many bytes more are kept; negative for fewer.
    pub(crate) stored: i64,
}

/// What changes for the queues, by user.
#[derive(Debug, Default)]
pub(crate) struct UserQueueChanges(BTreeMap<UserId, UserQueueChange>);

impl UserQueueChanges {
    /// `count` more of the messages of `user` are open; negative for fewer.
    pub(crate) fn open(&mut self, user: &UserId, count: i64) {
        self.of(user).open += count;
    }

    /// A message of `user` was queued and is due at `due`.
    pub(crate) fn queued(&mut self, user: &UserId, due: Timestamp) {
        let queue = self.of(user);
        queue.due = Some(queue.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// `bytes` more are kept of `user`; negative for fewer.
    pub(crate) fn stored(&mut self, user: &UserId, bytes: i64) {
        self.of(user).stored += bytes;
    }

    fn of(&mut self, user: &UserId) -> &mut UserQueueChange {
        if !self.0.contains_key(user) {
            self.0.insert(user.clone(), UserQueueChange::default());
        }
        self.0.get_mut(user).expect("it was just put there")
    }

    /// What writes the changes.
    pub(crate) fn statements(&self, dialect: Dialect) -> Vec<Statement> {
        let changes: Vec<_> = self.0.iter().collect();
        let change = |chunk: Vec<Option<&(&UserId, &UserQueueChange)>>| {
            let text = format!(
                "WITH changed (owner, opened, due, stored) AS ({})
                 UPDATE user_queues SET
                    open = open + opened,
                    stored_bytes = stored_bytes + stored,
                    turn_at = CASE WHEN due IS NULL OR turn_at < due THEN turn_at ELSE due END
                 FROM changed WHERE user_id = owner",
                bulk::values(dialect, chunk.len(), 4, 1)
            );
            let statement = Statement::new(bulk::statement(text));
            chunk.into_iter().fold(statement, |statement, queue| {
                statement
                    .bind(queue.map(|(user, _)| user.as_str()))
                    .bind(queue.map(|(_, change)| change.open))
                    .bind(queue.and_then(|(_, change)| change.due.map(Timestamp::as_millis)))
                    .bind(queue.map(|(_, change)| change.stored))
            })
        };
        bulk::padded(&changes).map(change).collect()
    }

    /// Writes the changes.
    pub(crate) async fn write(self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        for statement in self.statements(Dialect::Sqlite) {
            statement.0.execute(&mut *conn).await?;
        }
        Ok(())
    }
}

/// Sends the queues of `users` behind all that wait for a turn at `now`, or, if nothing in them is due, to the time when
/// something is.
pub(crate) async fn to_the_back(
    conn: &mut AnyConnection,
    users: &[UserId],
    now: Timestamp,
) -> Result<(), StoreError> {
    for chunk in bulk::padded(users) {
        let text = format!(
            "UPDATE user_queues SET turn_at = (
                SELECT CASE WHEN MIN(m.run_at) < $1 THEN $1 ELSE MIN(m.run_at) END
                FROM messages m WHERE m.user_id = user_queues.user_id AND m.status = 'queued')
             WHERE user_id IN ({})",
            bulk::list(chunk.len(), 2)
        );
        let mut query = sqlx::query(bulk::statement(text)).bind(now.as_millis());
        for user in chunk {
            query = query.bind(user.map(UserId::as_str));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(())
}

/// What a claim finds.
pub(crate) struct Due {
    /// Whose turn has come.
    pub(crate) users: Vec<UserId>,
    /// Messages whose lease has run out.
    pub(crate) expired: Vec<MessageId>,
}

/// Up to `limit` users whose turn has come, those first who have waited longest, and all leases that have run out. While the
/// queue is paused, nobody's turn comes.
pub(crate) async fn due(
    conn: &mut AnyConnection,
    limit: u32,
    now: Timestamp,
) -> Result<Due, StoreError> {
    let found: Vec<(String, i64)> = sqlx::query_as(
        "SELECT user_id, 0 FROM (
            SELECT user_id FROM user_queues
            WHERE turn_at <= $1 AND NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused')
            ORDER BY turn_at, user_id LIMIT $2) AS waiting
         UNION ALL
         SELECT id, 1 FROM messages WHERE status = 'processing' AND lease_until <= $1",
    )
    .bind(now.as_millis())
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    let (users, messages): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, kind)| *kind == 0);
    let ids = |found: Vec<(String, i64)>| found.into_iter().map(|(id, _)| id);
    Ok(Due {
        users: ids(users).map(UserId::from_string).collect(),
        expired: ids(messages).map(MessageId::from_string).collect(),
    })
}
