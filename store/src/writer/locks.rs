//! What operations lock before they read.

use std::collections::BTreeSet;

use crate::dialect::{Dialect, PRIMARY};
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
    /// Who may do what.
    rights: bool,
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

    /// Locks the number of the last change of rights: with it, who administers and how many rules there are.
    pub(crate) fn rights(&mut self) {
        self.rights = true;
    }

    /// Locks what another one locks, too.
    pub(super) fn add(&mut self, mut other: Self) {
        self.queues.append(&mut other.queues);
        self.inboxes.append(&mut other.inboxes);
        self.rights |= other.rights;
    }

    /// Whether another one locks something of this.
    pub(super) fn overlap(&self, other: &Self) -> bool {
        !self.queues.is_disjoint(&other.queues)
            || !self.inboxes.is_disjoint(&other.inboxes)
            || (self.rights && other.rights)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What takes them, or fails as others have one of them, if it is not to `wait`. SQLite has one writer, which needs none.
    pub(crate) fn script(&self, dialect: Dialect, wait: bool) -> Script {
        let mut script = Script::default();
        if dialect == Dialect::Sqlite {
            return script;
        }
        for (table, users) in [("user_queues", &self.queues), ("inboxes", &self.inboxes)] {
            script.add_all(lock_rows(table, users, dialect, wait));
        }
        if self.rights {
            let text = format!(
                "SELECT value FROM counters WHERE name = 'rights' {}",
                for_update(wait)
            );
            script.add(Statement::new(bulk::statement(text)));
        }
        script
    }
}

fn for_update(wait: bool) -> &'static str {
    if wait {
        "FOR UPDATE"
    } else {
        "FOR UPDATE NOWAIT"
    }
}

fn lock_rows(
    table: &str,
    users: &BTreeSet<UserId>,
    dialect: Dialect,
    wait: bool,
) -> Vec<Statement> {
    let users: Vec<_> = users.iter().collect();
    let lock = |chunk: Vec<Option<&&UserId>>| {
        let text = format!(
            "SELECT user_id FROM {table}{} WHERE user_id IN ({}) ORDER BY user_id {}",
            dialect.by_index(PRIMARY),
            bulk::list(chunk.len(), 1),
            for_update(wait)
        );
        let statement = Statement::new(bulk::statement(text));
        chunk.into_iter().fold(statement, |statement, user| {
            statement.bind(user.map(|user| user.as_str().to_owned()))
        })
    };
    bulk::padded(&users).map(lock).collect()
}

#[cfg(test)]
mod tests {
    use sqlx::Execute as _;

    use super::*;

    #[test]
    fn locks_are_taken_in_one_order_and_sqlite_needs_none() {
        let mut locks = Locks::default();
        locks.rights();
        for user in ["b", "a"] {
            locks.inbox(&UserId::from_string(user));
            locks.queue(&UserId::from_string(user));
        }
        assert_eq!(locks.script(Dialect::Sqlite, true).0.len(), 0);
        let script = locks.script(Dialect::Postgres, true).0.into_iter();
        let texts: Vec<_> = script.map(|one| one.0.sql().as_str().to_owned()).collect();
        assert_eq!(
            texts,
            [
                "SELECT user_id FROM user_queues WHERE user_id IN ($1, $2) ORDER BY user_id FOR UPDATE",
                "SELECT user_id FROM inboxes WHERE user_id IN ($1, $2) ORDER BY user_id FOR UPDATE",
                "SELECT value FROM counters WHERE name = 'rights' FOR UPDATE",
            ]
        );
    }
}
