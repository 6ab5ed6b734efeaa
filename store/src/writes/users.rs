//! Accounts that are made.

use crate::writer::{Operation, Transaction};
use crate::{Store, StoreError, Timestamp, User, UserId};
use herald_acl::{Role, Username};

/// What came of [`Store::create_user`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreateUser {
    /// The account was made.
    Created(User),
    /// Another account has the name.
    Taken,
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if it cannot be written. A name that is taken is not an error.
    pub async fn create_user(
        &self,
        username: &Username,
        role: Role,
        password_hash: &str,
        now: Timestamp,
    ) -> Result<CreateUser, StoreError> {
        self.write(Create(User {
            id: UserId::new(),
            username: username.clone(),
            role,
            password_hash: password_hash.to_owned(),
            disabled: false,
            created_at: now,
        }))
        .await
    }
}

struct Create(User);

impl Operation for Create {
    type Output = CreateUser;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<CreateUser, StoreError> {
        let conn = tx.connection();
        let Self(user) = self;
        let inserted = sqlx::query(
            "INSERT INTO users (id, username, role, password_hash, created_at)
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (username) DO NOTHING",
        )
        .bind(user.id.as_str())
        .bind(user.username.as_str())
        .bind(user.role.as_str())
        .bind(user.password_hash.as_str())
        .bind(user.created_at.as_millis())
        .execute(&mut *conn)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(CreateUser::Taken);
        }
        // Those who lock or change them rely on that they are there.
        for row in [
            "INSERT INTO user_queues (user_id, open) VALUES ($1, 0)",
            "INSERT INTO inboxes (user_id) VALUES ($1)",
        ] {
            let row = sqlx::query(row).bind(user.id.as_str());
            row.execute(&mut *conn).await?;
        }
        Ok(CreateUser::Created(user.clone()))
    }

    fn changes(output: &CreateUser) -> bool {
        matches!(output, CreateUser::Created(_))
    }
}
