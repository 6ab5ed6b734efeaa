//! Deleting an account, with all that is its user's.
//!
//! First the account is closed: nobody signs in any more, and nothing is sent. Then messages and notifications, of which
//! there may be very many, are deleted in steps, and last the account, with whatever was added meanwhile. Until then the name
//! is taken.

use std::time::{Duration, Instant};

use herald_acl::Username;
use sqlx::Row as _;

use super::rights_changes::record;
use super::stored_bytes::{self, Which};
use super::user_changes::read_account;
use crate::adaptive_batch::AdaptiveBatch;
use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::{Locks, Operation, Transaction};
use crate::{Changed, Store, StoreError, Timestamp, UserId, bulk};

/// What came of [`Store::close_user`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseUser {
    /// Nobody can sign in to the account any more.
    Closed,
    /// There is no such account.
    Unknown,
    /// Nothing was changed: no administrator would be left who can sign in.
    LastAdministrator,
}

impl Store {
    /// Closes an account for good, as the first step of its deletion: disables it, so that nothing enables it again, ends its
    /// sessions and tokens, and deletes the access rules that name its user.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn close_user(&self, user: &UserId, now: Timestamp) -> Result<CloseUser, StoreError> {
        let user = user.clone();
        self.write(Close { user, now }).await
    }

    /// Deletes the messages and the inbox of an account that was [closed](Self::close_user), which takes its time for very
    /// many. If its caller stops waiting, or the process ends, some of it may be left: the account is still closed.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn empty_user(&self, user: &UserId) -> Result<(), StoreError> {
        let mut batch = AdaptiveBatch::default();
        for table in [Table::Messages, Table::Notifications] {
            loop {
                let step = DeletionStep {
                    user: user.clone(),
                    table,
                    rows: batch.rows() as i64,
                };
                let (deleted, took) = self.write(step).await?;
                if deleted == 0 {
                    break;
                }
                batch.rest(took).await;
            }
        }
        Ok(())
    }

    /// Tells all servers that share the database to forget the user of an account that was [closed](Self::close_user), as a
    /// [change](Changed::Forgotten) of rights. A file has one server, which needs not be told.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn have_forgotten(
        &self,
        username: &Username,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let username = username.clone();
        self.write(HaveForgotten { username, now }).await
    }

    /// Removes an account that was [closed](Self::close_user), with all that is left of it. Its name is free from then on,
    /// and may come to be somebody else's. Does nothing to an account that is not closed.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn remove_user(&self, user: &UserId) -> Result<(), StoreError> {
        self.write(Remove(user.clone())).await
    }
}

struct Close {
    user: UserId,
    now: Timestamp,
}

impl Operation for Close {
    type Output = CloseUser;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
        locks.rights();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<CloseUser, StoreError> {
        let Some(account) = read_account(tx, &self.user).await? else {
            return Ok(CloseUser::Unknown);
        };
        if account.is_last_administrator() {
            return Ok(CloseUser::LastAdministrator);
        }
        let (user, mut script) = (account.user, Script::default());
        let close = Statement::new("UPDATE users SET disabled = 1, closed = 1 WHERE id = $1");
        script.add(close.bind(user.id.as_str()));
        for (table, index) in [
            ("sessions", "sessions_of_user"),
            ("tokens", "tokens_of_user"),
        ] {
            let delete = tx.dialect().delete_by_index(table, index);
            let delete = bulk::statement(format!("{delete} WHERE user_id = $1"));
            script.add(Statement::new(delete).bind(user.id.as_str()));
        }
        // Whoever gets the name next must not inherit the rights of this user.
        let rules = "DELETE FROM acl_rules WHERE subject_kind = 'user' AND subject = $1";
        let rules = script.add(Statement::new(rules).bind(user.username.as_str()));
        let deleted_rules = tx.run(script).await?.changed(&rules) > 0;
        // The change of the user ends whatever MQTT session rests on a session or a token.
        let policy = deleted_rules.then_some(Changed::Policy);
        let changes: Vec<_> = policy
            .into_iter()
            .chain([Changed::User(user.username)])
            .collect();
        record(tx, &changes, self.now).await?;
        Ok(CloseUser::Closed)
    }

    fn changes(output: &CloseUser) -> bool {
        *output == CloseUser::Closed
    }
}

#[derive(Clone, Copy)]
enum Table {
    Messages,
    Notifications,
}

struct DeletionStep {
    user: UserId,
    table: Table,
    rows: i64,
}

impl Operation for DeletionStep {
    /// How many rows were deleted, and how long that took.
    type Output = (u64, Duration);

    /// Rows that a crash brings back are deleted with the account.
    const DURABLE: bool = false;

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(u64, Duration), StoreError> {
        let started = Instant::now();
        let user = self.user.as_str();
        let read = Statement::new(match self.table {
            Table::Messages => "SELECT id FROM messages WHERE user_id = $1 ORDER BY id LIMIT $2",
            Table::Notifications => {
                "SELECT seq FROM notifications WHERE user_id = $1 ORDER BY seq LIMIT $2"
            }
        });
        let mut script = Script::default();
        let keys = script.add(read.bind(user).bind(self.rows));
        let results = tx.run(script).await?;
        let deleted = match self.table {
            Table::Messages => {
                let ids = results.rows(&keys).map(|row| row.try_get("id"));
                let ids = ids.collect::<Result<Vec<String>, _>>()?;
                stored_bytes::delete_messages(tx, &ids, Which::All).await?
            }
            Table::Notifications => {
                let keys = results
                    .rows(&keys)
                    .map(|row| Ok((user, row.try_get("seq")?)));
                let keys = keys.collect::<Result<Vec<_>, sqlx::Error>>()?;
                stored_bytes::delete_notifications(tx, &keys).await?
            }
        };
        Ok((deleted, started.elapsed()))
    }
}

struct HaveForgotten {
    username: Username,
    now: Timestamp,
}

impl Operation for HaveForgotten {
    type Output = ();

    fn lock(&self, locks: &mut Locks) {
        locks.rights();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let forgotten = Changed::Forgotten(self.username.clone());
        record(tx, &[forgotten], self.now).await
    }
}

struct Remove(UserId);

impl Remove {
    /// Deletes what messages there are, so that they are counted: no trigger does.
    async fn delete_messages(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let left = Statement::new(
            "SELECT m.id FROM users u JOIN messages m ON m.user_id = u.id WHERE u.id = $1 AND u.closed = 1",
        );
        let mut script = Script::default();
        let left = script.add(left.bind(self.0.as_str()));
        let results = tx.run(script).await?;
        let ids = results.rows(&left).map(|row| row.try_get("id"));
        let ids = ids.collect::<Result<Vec<String>, _>>()?;
        stored_bytes::delete_messages(tx, &ids, Which::All).await?;
        Ok(())
    }
}

impl Operation for Remove {
    type Output = ();

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.0);
        // It goes with the account, as a cursor is moved that needs the account.
        locks.inbox(&self.0);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        if tx.dialect() == Dialect::MySql {
            self.delete_messages(tx).await?;
        }
        // All that is left of the user goes with it: ON DELETE CASCADE.
        let remove = Statement::new("DELETE FROM users WHERE id = $1 AND closed = 1");
        tx.execute(remove.bind(self.0.as_str())).await?;
        Ok(())
    }
}
