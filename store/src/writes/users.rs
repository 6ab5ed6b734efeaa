//! Accounts that are made.

use herald_acl::{Role, Username};
use sqlx::Row as _;

use crate::dialect::Dialect;
use crate::statement::{Script, Statement};
use crate::writer::{Operation, Transaction};
use crate::{Store, StoreError, Timestamp, User, UserId};

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
        let Self(user) = self;
        let mut script = Script::default();
        script.add_all(insert(user, tx.dialect()));
        let owner = Statement::new("SELECT id FROM users WHERE username = $1");
        let owner = script.add(owner.bind(user.username.as_str()));
        let results = tx.run(script).await?;
        let owner = results.rows(&owner).next();
        let owner: Option<&str> = owner.map(|row| row.try_get("id")).transpose()?;
        Ok(if owner == Some(user.id.as_str()) {
            CreateUser::Created(user.clone())
        } else {
            CreateUser::Taken
        })
    }

    fn changes(output: &CreateUser) -> bool {
        matches!(output, CreateUser::Created(_))
    }
}

/// What makes the account, unless another one has the name, and its queue and its inbox: those who lock or change them rely on
/// that they are there.
fn insert(user: &User, dialect: Dialect) -> Vec<Statement> {
    let taken = dialect.on_conflict(&["username"], &[]);
    let account = format!(
        "INSERT INTO users (id, username, role, password_hash, created_at)
         VALUES ($1, $2, $3, $4, $5) {taken}"
    );
    let account = Statement::made(account)
        .bind(user.id.as_str())
        .bind(user.username.as_str())
        .bind(user.role.as_str())
        .bind(user.password_hash.as_str())
        .bind(user.created_at.as_millis());
    let rows = [
        "INSERT INTO user_queues (user_id, open) SELECT id, 0 FROM users WHERE id = $1",
        "INSERT INTO inboxes (user_id) SELECT id FROM users WHERE id = $1",
    ];
    let rows = rows.map(|row| Statement::new(row).bind(user.id.as_str()));
    [account].into_iter().chain(rows).collect()
}
