//! What operations lock before they read.

use std::collections::BTreeSet;

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::dialect::{Dialect, PRIMARY};
use crate::statement::{Part, Results, Script, Statement};
use crate::{StoreError, UserId, bulk};

/// What no other writer may change from before an operation reads until it is committed. All that a batch locks is locked
/// first and in the order of the fields, each sorted, so that no two writers wait for each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Locks {
    /// The queues of users: with them, their messages and what is counted of them.
    queues: BTreeSet<UserId>,
    /// The numbers of inboxes.
    inboxes: BTreeSet<UserId>,
    /// Who may do what.
    rights: bool,
    /// What is retained.
    retained: bool,
}

impl Locks {
    /// Locks the queue of a user.
    pub(crate) fn queue(&mut self, user: &UserId) {
        self.queues.insert(user.clone());
    }

    /// Whether the queue of a user is among them.
    pub(crate) fn has_queue(&self, user: &UserId) -> bool {
        self.queues.contains(user)
    }

    /// Locks the numbers of a user's inbox.
    pub(crate) fn inbox(&mut self, user: &UserId) {
        self.inboxes.insert(user.clone());
    }

    /// Locks the number of the last change of rights: with it, who administers and how many rules there are.
    pub(crate) fn rights(&mut self) {
        self.rights = true;
    }

    /// Locks the number of the last change of retained messages, and so all of them.
    pub(crate) fn retained(&mut self) {
        self.retained = true;
    }

    /// Locks what another one locks, too.
    pub(super) fn add(&mut self, mut other: Self) {
        self.queues.append(&mut other.queues);
        self.inboxes.append(&mut other.inboxes);
        self.rights |= other.rights;
        self.retained |= other.retained;
    }

    /// Whether another one locks something of this.
    pub(super) fn overlap(&self, other: &Self) -> bool {
        !self.queues.is_disjoint(&other.queues)
            || !self.inboxes.is_disjoint(&other.inboxes)
            || (self.rights && other.rights)
            || (self.retained && other.retained)
    }

    /// Leaves out what another one locks, too.
    pub(super) fn remove(&mut self, other: &Self) {
        self.queues.retain(|user| !other.queues.contains(user));
        self.inboxes.retain(|user| !other.inboxes.contains(user));
        self.rights &= !other.rights;
        self.retained &= !other.retained;
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What takes them, or looks for them. SQLite has one writer, which needs none.
    pub(super) fn script(&self, dialect: Dialect, mode: LockMode) -> (Script, LockRows) {
        let none = Self::default();
        let locks = match dialect {
            Dialect::Sqlite => &none,
            Dialect::Postgres | Dialect::MySql => self,
        };
        let mut script = Script::default();
        let queues = script.add_all(of_users("user_queues", &locks.queues, dialect, mode));
        let inboxes = script.add_all(of_users("inboxes", &locks.inboxes, dialect, mode));
        let counter = |name| {
            let text = format!("SELECT value FROM counters WHERE name = '{name}'");
            Statement::made(format!("{text} {}", mode.suffix()))
        };
        let rights = script.add_all(locks.rights.then(|| counter("rights")));
        let retained = script.add_all(locks.retained.then(|| counter("retained")));
        let rows = LockRows {
            queues,
            inboxes,
            rights,
            retained,
        };
        (script, rows)
    }
}

/// What becomes of rows that others have locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LockMode {
    /// They are waited for.
    Wait,
    /// They are passed over.
    Skip,
    /// They are returned, too: nothing is locked.
    Look,
}

impl LockMode {
    fn suffix(self) -> &'static str {
        match self {
            Self::Wait => "FOR UPDATE",
            Self::Skip => "FOR UPDATE SKIP LOCKED",
            Self::Look => "",
        }
    }
}

/// Where a script returns the rows that stand for locks.
pub(super) struct LockRows {
    queues: Part,
    inboxes: Part,
    rights: Part,
    retained: Part,
}

impl LockRows {
    /// The locks whose rows were returned.
    pub(super) fn read(&self, results: &Results) -> Result<Locks, StoreError> {
        let users = |part| -> Result<BTreeSet<UserId>, StoreError> {
            let user = |row: &AnyRow| row.try_get::<String, _>("user_id");
            let users = results.rows(part).map(user);
            users.map(|user| Ok(UserId::from_string(user?))).collect()
        };
        Ok(Locks {
            queues: users(&self.queues)?,
            inboxes: users(&self.inboxes)?,
            rights: results.rows(&self.rights).next().is_some(),
            retained: results.rows(&self.retained).next().is_some(),
        })
    }
}

fn of_users(
    table: &str,
    users: &BTreeSet<UserId>,
    dialect: Dialect,
    mode: LockMode,
) -> Vec<Statement> {
    let users: Vec<_> = users.iter().collect();
    let start = |rows| {
        Statement::made(format!(
            "SELECT user_id FROM {table}{} WHERE user_id IN ({}) ORDER BY user_id {}",
            dialect.by_index(PRIMARY),
            bulk::list(rows, 1),
            mode.suffix()
        ))
    };
    bulk::for_each(&users, start, |statement, user| {
        statement.bind(user.map(|user| user.as_str().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Execute as _;

    use super::*;

    #[test]
    fn locks_are_taken_in_one_order_and_sqlite_needs_none() {
        let mut locks = Locks::default();
        locks.retained();
        locks.rights();
        for user in ["b", "a"] {
            locks.inbox(&UserId::from_string(user));
            locks.queue(&UserId::from_string(user));
        }
        let texts = |dialect| {
            let (script, _) = locks.script(dialect, LockMode::Wait);
            let statements = script.0.into_iter();
            let texts = statements.map(|one| one.0.sql().as_str().to_owned());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(texts(Dialect::Sqlite), [""; 0]);
        assert_eq!(
            texts(Dialect::Postgres),
            [
                "SELECT user_id FROM user_queues WHERE user_id IN ($1, $2, $3, $4) ORDER BY user_id FOR UPDATE",
                "SELECT user_id FROM inboxes WHERE user_id IN ($1, $2, $3, $4) ORDER BY user_id FOR UPDATE",
                "SELECT value FROM counters WHERE name = 'rights' FOR UPDATE",
                "SELECT value FROM counters WHERE name = 'retained' FOR UPDATE",
            ]
        );
    }
}
