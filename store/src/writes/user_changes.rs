//! Changes of accounts: password, role, disabling.

use herald_acl::Role;
use sqlx::{AnyConnection, Row};

use super::rights_changes::record;
use super::sessions::end_all;
use crate::users::user;
use crate::writer::{Locks, Operation, Transaction};
use crate::{Changed, Store, StoreError, Timestamp, User, UserId};

/// What is to change of an account; `None` stays as it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserUpdate {
    /// What it is trusted with.
    pub role: Option<Role>,
    /// Whether it may not sign in. Disabling it ends its browser sessions; its tokens do not work
    /// until it is enabled again.
    pub disabled: Option<bool>,
    /// The hash of its password. A new one ends its browser sessions; its tokens stay.
    pub password_hash: Option<String>,
    /// The session whose secret has this hash stays when the password changes.
    pub keep_session: Option<String>,
    /// Nothing is changed if the hash of the password is another one by now.
    pub expected_hash: Option<String>,
}

/// What came of [`Store::update_user`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateUser {
    /// All was changed; this is the account now.
    Updated(User),
    /// There is no such account, or it is being deleted.
    Unknown,
    /// Nothing was changed: the password is not the expected one any more.
    PasswordChanged,
    /// Nothing was changed: no administrator would be left who can sign in.
    LastAdministrator,
}

impl Store {
    /// Changes an account, all at once or not at all.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn update_user(
        &self,
        user: &UserId,
        update: UserUpdate,
        now: Timestamp,
    ) -> Result<UpdateUser, StoreError> {
        self.write(Update {
            user: user.clone(),
            update,
            now,
        })
        .await
    }

    /// Writes the same password down with another hash, unless the password has changed since `old` was read. Ends
    /// nothing. Returns whether it did.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn rehash_password(
        &self,
        user: &UserId,
        old: &str,
        new: &str,
    ) -> Result<bool, StoreError> {
        self.write(Rehash {
            user: user.clone(),
            old: old.to_owned(),
            new: new.to_owned(),
        })
        .await
    }

    /// Sets the password hash of an account and ends its browser sessions, except the one whose
    /// secret has the hash `keep_session`. Tokens stay. Returns whether the account exists.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written.
    pub async fn set_password(
        &self,
        user: &UserId,
        password_hash: &str,
        keep_session: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let update = UserUpdate {
            password_hash: Some(password_hash.to_owned()),
            keep_session: keep_session.map(str::to_owned),
            ..UserUpdate::default()
        };
        let updated = self.update_user(user, update, now).await?;
        Ok(matches!(updated, UpdateUser::Updated(_)))
    }
}

pub(crate) async fn find(
    conn: &mut AnyConnection,
    id: &UserId,
) -> Result<Option<User>, StoreError> {
    sqlx::query(
        "SELECT id, username, role, password_hash, disabled, created_at
         FROM users WHERE id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(conn)
    .await?
    .map(|row| user(&row))
    .transpose()
}

/// Whether the account is being deleted.
async fn is_closed(conn: &mut AnyConnection, id: &UserId) -> Result<bool, StoreError> {
    let closed: Option<i64> = sqlx::query_scalar("SELECT closed FROM users WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(closed.is_some_and(|closed| closed != 0))
}

/// Whether someone else administers if `user` does not any more.
pub(crate) async fn is_last_administrator(
    conn: &mut AnyConnection,
    user: &User,
) -> Result<bool, StoreError> {
    if user.role != Role::Admin || user.disabled {
        return Ok(false);
    }
    let others = sqlx::query(
        "SELECT COUNT(*) AS others FROM users WHERE role = $1 AND disabled = 0 AND id <> $2",
    )
    .bind(Role::Admin.as_str())
    .bind(user.id.as_str())
    .fetch_one(conn)
    .await?;
    Ok(others.try_get::<i64, _>("others")? == 0)
}

struct Update {
    user: UserId,
    update: UserUpdate,
    now: Timestamp,
}

impl Operation for Update {
    type Output = UpdateUser;

    fn lock(&self, locks: &mut Locks) {
        // The queue stands for the user's sessions and tokens, which may end.
        locks.queue(&self.user);
        locks.rights();
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<UpdateUser, StoreError> {
        let conn = tx.connection();
        let update = &self.update;
        let Some(before) = find(conn, &self.user).await? else {
            return Ok(UpdateUser::Unknown);
        };
        if is_closed(conn, &self.user).await? {
            return Ok(UpdateUser::Unknown);
        }
        let expected = update.expected_hash.as_ref();
        if expected.is_some_and(|hash| *hash != before.password_hash) {
            return Ok(UpdateUser::PasswordChanged);
        }
        let after = User {
            role: update.role.unwrap_or(before.role),
            disabled: update.disabled.unwrap_or(before.disabled),
            password_hash: update
                .password_hash
                .clone()
                .unwrap_or_else(|| before.password_hash.clone()),
            ..before.clone()
        };
        let administers = after.role == Role::Admin && !after.disabled;
        if !administers && is_last_administrator(conn, &before).await? {
            return Ok(UpdateUser::LastAdministrator);
        }
        sqlx::query("UPDATE users SET role = $2, disabled = $3, password_hash = $4 WHERE id = $1")
            .bind(after.id.as_str())
            .bind(after.role.as_str())
            .bind(i64::from(after.disabled))
            .bind(after.password_hash.as_str())
            .execute(&mut *conn)
            .await?;
        if update.password_hash.is_some() {
            end_all(tx, &after, update.keep_session.as_deref(), self.now).await?;
            let changed = Changed::Password(after.username.clone());
            record(tx.connection(), &[changed], self.now).await?;
        }
        if after.disabled {
            end_all(tx, &after, None, self.now).await?;
        }
        if after.role != before.role || after.disabled != before.disabled {
            let changed = Changed::User(after.username.clone());
            record(tx.connection(), &[changed], self.now).await?;
        }
        Ok(UpdateUser::Updated(after))
    }

    fn changes(output: &UpdateUser) -> bool {
        matches!(output, UpdateUser::Updated(_))
    }
}

struct Rehash {
    user: UserId,
    old: String,
    new: String,
}

impl Operation for Rehash {
    type Output = bool;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let conn = tx.connection();
        let hashed =
            sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
                .bind(self.user.as_str())
                .bind(self.old.as_str())
                .bind(self.new.as_str())
                .execute(conn)
                .await?;
        Ok(hashed.rows_affected() > 0)
    }
}
