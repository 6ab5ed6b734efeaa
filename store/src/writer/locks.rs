//! What operations lock before they read.

use std::collections::BTreeSet;

use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::{UserId, bulk};

/// What no other writer may change from before an operation reads until it is committed. All that a batch locks is locked
/// first and in the order of the fields, each sorted, so that no two writers wait for each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Locks {
    /// The queues of users: with them, their messages and what is counted of them.
    queues: BTreeSet<UserId>,
    /// The numbers of inboxes.
    inboxes: BTreeSet<UserId>,
}

impl Locks {
    /// Locks the queue of a user.
    pub(crate) fn queue(&mut self, user: &UserId) {
        self.queues.insert(user.clone());
    }

    /// Locks the numbers of a user's inbox.
    pub(crate) fn inbox(&mut self, user: &UserId) {
        self.inboxes.insert(user.clone());
    }

    /// What takes them. SQLite has one writer, which needs none.
    pub(crate) fn script(&self, dialect: Dialect) -> Script {
        let mut script = Script::default();
        if dialect == Dialect::Sqlite {
            return script;
        }
        for (table, users) in [("user_queues", &self.queues), ("inboxes", &self.inboxes)] {
            script.add_all(lock_rows(table, users));
        }
        script
    }
}

fn lock_rows(table: &str, users: &BTreeSet<UserId>) -> Vec<Statement> {
    let users: Vec<_> = users.iter().collect();
    let lock = |chunk: Vec<Option<&&UserId>>| {
        let text = format!(
            "SELECT user_id FROM {table} WHERE user_id IN ({}) ORDER BY user_id FOR UPDATE",
            bulk::list(chunk.len(), 1)
        );
        let statement = Statement::new(bulk::statement(text));
        chunk.into_iter().fold(statement, |statement, user| {
            statement.bind(user.map(|user| user.as_str().to_owned()))
        })
    };
    bulk::padded(&users).map(lock).collect()
}
