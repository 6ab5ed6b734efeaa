//! A user, as clients see one.

use herald_acl::{Role, Username};
use herald_store::{Store, User};
use poem_openapi::{Enum, Object};

use crate::{
    error::{ApiError, Code},
    fields::{DateTime, Id, Name, example::example},
};

/// The username that a client has given, or what is wrong with it.
pub(crate) fn username(name: &Name) -> Result<Username, ApiError> {
    Username::parse(&name.0).map_err(|error| ApiError::invalid(error.to_string()))
}

/// The account with this name.
pub(crate) async fn find(store: &Store, name: &Name) -> Result<User, ApiError> {
    // What is not a username is nobody's.
    let name = Username::parse(&name.0).map_err(|_| no_such_account())?;
    let found = store.user_by_name(&name).await?;
    found.ok_or_else(no_such_account)
}

pub(crate) fn no_such_account() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such account.")
}

/// What an account may do: use Herald (`user`), or administer it, too (`admin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Role", rename_all = "snake_case")]
pub(crate) enum RoleName {
    User,
    Admin,
}

impl From<Role> for RoleName {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::User => Self::User,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// An account.
#[derive(Object)]
#[oai(example, rename = "User")]
pub(crate) struct UserView {
    id: Id,
    username: Name,
    role: RoleName,
    /// Whether the account is locked.
    disabled: bool,
    /// When it was made.
    created_at: DateTime,
}

example!(UserView {
    id,
    username,
    role: RoleName::User,
    disabled: false,
    created_at,
});

/// An account, and how much is kept of it.
#[derive(Object)]
#[oai(example)]
pub(crate) struct Account {
    #[oai(flatten)]
    pub(crate) user: UserView,
    /// The bytes of the user's messages, results and errors that are kept, and a fixed number for each message, notification
    /// and attempt that failed. Sends beyond `limits.stored_bytes` are refused.
    pub(crate) stored_bytes: u64,
}

example!(Account {
    user,
    stored_bytes: 0
});

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: Id::of(user.id),
            username: Name::of(user.username),
            role: user.role.into(),
            disabled: user.disabled,
            created_at: user.created_at.into(),
        }
    }
}
