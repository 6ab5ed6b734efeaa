//! Accounts.

use std::fmt;

use herald_acl::{Role, Username};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::Page;
use crate::dialect::Param;
use crate::page::{JsonBytes, item_bytes};
use crate::writer::Operation;
use crate::{Store, StoreError, Timestamp, UserId};

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its name, which never changes.
    pub username: Username,
    /// What it is trusted with.
    pub role: Role,
    /// The hash of its password, in the format of whoever made it (PHC string).
    pub password_hash: String,
    /// Whether it may not sign in.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("username", &self.username)
            .field("role", &self.role)
            .field("disabled", &self.disabled)
            .field("created_at", &self.created_at)
            .finish_non_exhaustive()
    }
}

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

    /// The account with this name.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn user_by_name(&self, username: &Username) -> Result<Option<User>, StoreError> {
        sqlx::query(
            "SELECT id, username, role, password_hash, disabled, created_at
             FROM users WHERE username = $1",
        )
        .bind(username.as_str())
        .fetch_optional(self.readers())
        .await?
        .map(|row| user(&row))
        .transpose()
    }

    /// Up to `limit` accounts by name, those after `after`.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn list_users(
        &self,
        after: Option<&Username>,
        limit: u32,
    ) -> Result<Page<User>, StoreError> {
        let text = "SELECT id, username, role, password_hash, disabled, created_at
             FROM users WHERE username > $1 ORDER BY username LIMIT $2";
        let params = [
            Param::Text(after.map_or("", Username::as_str)),
            Param::Int(i64::from(limit) + 1),
        ];
        self.lists()
            .page(text.to_owned(), &params, limit, user)
            .await
    }

    /// How many accounts there are.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub async fn count_users(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users")
            .fetch_one(self.readers())
            .await?;
        Ok(count.unsigned_abs())
    }
}

impl JsonBytes for User {
    fn json_bytes(&self) -> usize {
        item_bytes([Some(self.username.as_str())])
    }
}

/// Reads an account from a row that has its columns.
pub(crate) fn user(row: &AnyRow) -> Result<User, StoreError> {
    let username: &str = row.try_get("username")?;
    let role: &str = row.try_get("role")?;
    Ok(User {
        id: UserId::from_string(row.try_get::<String, _>("id")?),
        username: parse_username(username)?,
        role: role
            .parse()
            .map_err(|_| StoreError::Invalid { what: "role" })?,
        password_hash: row.try_get("password_hash")?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        created_at: Timestamp::from_millis(row.try_get("created_at")?),
    })
}

/// Reads a name that the database holds.
pub(crate) fn parse_username(text: &str) -> Result<Username, StoreError> {
    Username::parse(text).map_err(|_| StoreError::Invalid { what: "username" })
}

struct Create(User);

impl Operation for Create {
    type Answer = CreateUser;

    async fn run(&self, conn: &mut AnyConnection) -> Result<CreateUser, StoreError> {
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
        .execute(conn)
        .await?;
        Ok(match inserted.rows_affected() {
            0 => CreateUser::Taken,
            _ => CreateUser::Created(user.clone()),
        })
    }

    fn changes(answer: &CreateUser) -> bool {
        matches!(answer, CreateUser::Created(_))
    }
}
