//! Changes of accounts: password, role, disabling.

use herald_acl::Role;
use sqlx::Row as _;

use super::rights_changes::record;
use super::sessions::end_all;
use crate::statement::{Script, Statement};
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

/// What has to be known of an account that is to change.
pub(super) struct Account {
    pub(super) user: User,
    /// Whether it is being deleted.
    closed: bool,
    /// How many others administer; not counted if it does not administer itself.
    other_administrators: i64,
}

impl Account {
    /// Whether nobody else administers if this one does not any more.
    pub(super) fn is_last_administrator(&self) -> bool {
        administers(&self.user) && self.other_administrators == 0
    }
}

fn administers(user: &User) -> bool {
    user.role == Role::Admin && !user.disabled
}

/// Reads an account; `None`: there is none. The caller has locked the rights.
pub(super) async fn read_account(
    tx: &mut Transaction<'_>,
    id: &UserId,
) -> Result<Option<Account>, StoreError> {
    let mut script = Script::default();
    let account = Statement::new(
        "SELECT id, username, role, password_hash, disabled, created_at, closed
         FROM users WHERE id = $1",
    );
    let account = script.add(account.bind(id.as_str()));
    let results = tx.run(script).await?;
    let Some(row) = results.rows(&account).next() else {
        return Ok(None);
    };
    let user = user(row)?;
    // Only for an administrator: it reads all accounts.
    let other_administrators = match administers(&user) {
        true => count_other_administrators(tx, id).await?,
        false => 0,
    };
    Ok(Some(Account {
        user,
        closed: row.try_get::<i64, _>("closed")? != 0,
        other_administrators,
    }))
}

async fn count_other_administrators(
    tx: &mut Transaction<'_>,
    id: &UserId,
) -> Result<i64, StoreError> {
    let mut script = Script::default();
    let others = Statement::new(
        "SELECT COUNT(*) AS others FROM users WHERE role = $1 AND disabled = 0 AND id <> $2",
    );
    let others = script.add(others.bind(Role::Admin.as_str()).bind(id.as_str()));
    let results = tx.run(script).await?;
    let others = results.rows(&others).next();
    Ok(others.ok_or(sqlx::Error::RowNotFound)?.try_get("others")?)
}

/// What comes of a change of `before`.
fn decide(before: &Account, update: &UserUpdate) -> UpdateUser {
    let user = &before.user;
    if before.closed {
        return UpdateUser::Unknown;
    }
    let expected = update.expected_hash.as_ref();
    if expected.is_some_and(|hash| *hash != user.password_hash) {
        return UpdateUser::PasswordChanged;
    }
    let hash = update.password_hash.as_ref();
    let after = User {
        role: update.role.unwrap_or(user.role),
        disabled: update.disabled.unwrap_or(user.disabled),
        password_hash: hash.unwrap_or(&user.password_hash).clone(),
        ..user.clone()
    };
    if !administers(&after) && before.is_last_administrator() {
        return UpdateUser::LastAdministrator;
    }
    UpdateUser::Updated(after)
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
        let Some(before) = read_account(tx, &self.user).await? else {
            return Ok(UpdateUser::Unknown);
        };
        let decided = decide(&before, &self.update);
        let (UpdateUser::Updated(after), before) = (&decided, &before.user) else {
            return Ok(decided);
        };
        let write = Statement::new(
            "UPDATE users SET role = $1, disabled = $2, password_hash = $3 WHERE id = $4",
        )
        .bind(after.role.as_str())
        .bind(i64::from(after.disabled))
        .bind(after.password_hash.as_str())
        .bind(after.id.as_str());
        tx.execute(write).await?;
        let new_password = self.update.password_hash.is_some();
        if new_password || after.disabled {
            let kept = self.update.keep_session.as_deref();
            end_all(tx, after, kept.filter(|_| !after.disabled), self.now).await?;
        }
        let mut changes = vec![];
        if new_password {
            changes.push(Changed::Password(after.username.clone()));
        }
        if after.role != before.role || after.disabled != before.disabled {
            changes.push(Changed::User(after.username.clone()));
        }
        record(tx, &changes, self.now).await?;
        Ok(decided)
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

    fn lock(&self, locks: &mut Locks) {
        locks.queue(&self.user);
    }

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<bool, StoreError> {
        let rehash = Statement::new(
            "UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3",
        )
        .bind(self.new.as_str())
        .bind(self.user.as_str())
        .bind(self.old.as_str());
        Ok(tx.execute(rehash).await? > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(role: Role, disabled: bool, other_administrators: i64) -> Account {
        Account {
            user: User {
                id: UserId::from_string("a"),
                username: "ada".parse().unwrap(),
                role,
                password_hash: "old".into(),
                disabled,
                created_at: Timestamp::from_millis(0),
            },
            closed: false,
            other_administrators,
        }
    }

    #[test]
    fn the_last_administrator_who_can_sign_in_stays_one() {
        let demote = || UserUpdate {
            role: Some(Role::User),
            ..UserUpdate::default()
        };
        let disable = || UserUpdate {
            disabled: Some(true),
            ..UserUpdate::default()
        };
        for update in [demote(), disable()] {
            let decided = decide(&account(Role::Admin, false, 0), &update);
            assert_eq!(decided, UpdateUser::LastAdministrator);
            for (role, disabled, others) in [
                (Role::Admin, false, 1),
                (Role::Admin, true, 0),
                (Role::User, false, 0),
            ] {
                let decided = decide(&account(role, disabled, others), &update);
                assert!(matches!(decided, UpdateUser::Updated(_)), "{decided:?}");
            }
        }
    }

    #[test]
    fn nothing_changes_of_a_closed_account_or_if_another_password_was_expected() {
        let mut update = UserUpdate {
            password_hash: Some("new".into()),
            expected_hash: Some("other".into()),
            ..UserUpdate::default()
        };
        let mut before = account(Role::User, false, 1);
        assert_eq!(decide(&before, &update), UpdateUser::PasswordChanged);
        update.expected_hash = Some("old".into());
        let UpdateUser::Updated(after) = decide(&before, &update) else {
            panic!("it is the expected one");
        };
        assert_eq!(after.password_hash, "new");
        before.closed = true;
        assert_eq!(decide(&before, &update), UpdateUser::Unknown);
    }
}
