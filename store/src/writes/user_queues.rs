//! The messages of each user that have not ended, whose turn it is, and how much room each takes.
//!
//! A claim takes from the queues that have waited longest for a turn, and sends them to the back. So users take turns,
//! however many messages each of them has. A turn may come too early, if what was due was moved or taken out since: the
//! claim finds nothing then, and corrects it. It never comes too late.

use std::collections::BTreeMap;

use crate::bulk::RowsUpdate;
use crate::counts::Counts;
use crate::statement::{Script, Statement};
use crate::writer::Transaction;
use crate::{Status, StoreError, Timestamp, UserId};

const CHANGE: RowsUpdate = RowsUpdate {
    table: "user_queues",
    rows: ("changed", &["owner", "opened", "more_bytes", "due"]),
    set: &[
        ("open", "open + opened"),
        ("stored_bytes", "stored_bytes + more_bytes"),
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

/// What changes for the queues, by user, and how messages move.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct UserQueueChanges {
    queues: BTreeMap<UserId, UserQueueChange>,
    counts: Counts,
}

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

    /// So many messages go from one status to another; from none if they are new, to none if they are deleted.
    pub(crate) fn moved(&mut self, from: Option<Status>, to: Option<Status>, count: i64) {
        self.counts.moved(from, to, count);
    }

    /// A number of an inbox is given.
    pub(crate) fn number_given(&mut self) {
        self.counts.inboxes_change();
    }

    fn of(&mut self, user: &UserId) -> &mut UserQueueChange {
        if !self.queues.contains_key(user) {
            self.queues.insert(user.clone(), UserQueueChange::default());
        }
        self.queues.get_mut(user).expect("it was just put there")
    }

    /// What writes the changes. What is counted besides, the transaction writes at its end.
    pub(crate) fn statements(&self, tx: &mut Transaction<'_>) -> Vec<Statement> {
        tx.count(&self.counts);
        let dialect = tx.dialect();
        let changes: Vec<_> = self.queues.iter().collect();
        CHANGE.statements(dialect, &changes, |statement, queue| {
            statement
                .bind(queue.map(|(user, _)| user.as_str()))
                .bind(queue.map(|(_, change)| change.open))
                .bind(queue.map(|(_, change)| change.stored))
                .bind(queue.and_then(|(_, change)| change.due.map(Timestamp::as_millis)))
        })
    }

    /// Writes the changes.
    pub(crate) async fn write(self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let mut script = Script::default();
        script.add_all(self.statements(tx));
        tx.defer(script).await
    }
}
