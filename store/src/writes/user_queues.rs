//! The messages of each user that have not ended, whose turn it is, and how much room each takes.
//!
//! A claim takes from the queues that have waited longest for a turn, and sends them to the back. So users take turns,
//! however many messages each of them has. A turn may come too early, if what was due was moved or taken out since: the
//! claim finds nothing then, and corrects it. It never comes too late.

use std::collections::BTreeMap;

use crate::bulk::{self, RowsUpdate};
use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::Transaction;
use crate::{StoreError, Timestamp, UserId};

const CHANGE: RowsUpdate = RowsUpdate {
    table: "user_queues",
    rows: ("changed", &["owner", "opened", "stored", "due"]),
    set: &[
        ("open", "open + opened"),
        ("stored_bytes", "stored_bytes + stored"),
        (
            "turn_at",
            "CASE WHEN due IS NULL OR turn_at < due THEN turn_at ELSE due END",
        ),
    ],
    matches: "user_id = owner",
};

/// What changes for the queue of one user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UserQueueChange {
    /// How many messages more have not ended; negative for fewer.
    pub(crate) open: i64,
    /// A message was queued that is due at this time.
    pub(crate) due: Option<Timestamp>,
    /// How many bytes more are kept; negative for fewer.
    pub(crate) stored: i64,
}

/// What changes for the queues, by user.
#[derive(Debug, Default, PartialEq, Eq)]
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
            let statement = Statement::new(bulk::statement(CHANGE.text(dialect, chunk.len())));
            chunk.into_iter().fold(statement, |statement, queue| {
                statement
                    .bind(queue.map(|(user, _)| user.as_str()))
                    .bind(queue.map(|(_, change)| change.open))
                    .bind(queue.map(|(_, change)| change.stored))
                    .bind(queue.and_then(|(_, change)| change.due.map(Timestamp::as_millis)))
            })
        };
        bulk::padded(&changes).map(change).collect()
    }

    /// Writes the changes.
    pub(crate) async fn write(self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        script.add_all(self.statements(tx.dialect()));
        tx.run(script).await.map(drop)
    }
}
