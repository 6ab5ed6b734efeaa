//! Accounts.

use std::fmt;

use herald_acl::{Role, Username};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::{StoreError, Timestamp, UserId};

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
