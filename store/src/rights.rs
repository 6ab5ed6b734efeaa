//! Changes of who may do what.

use herald_acl::Username;

/// A change of rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RightsChange {
    /// Its number. They are given in the order of commits, and none is left out.
    pub id: i64,
    /// What has changed.
    pub changed: Changed,
}

/// What has changed of who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The access rules.
    Policy,
    /// A user was disabled or is being deleted, or has another role.
    User(Username),
    /// The password of a user.
    Password(Username),
    /// A token was revoked, or a session of a browser has ended.
    Credential {
        /// Whose it was.
        owner: Username,
        /// The id of the token or the session. No two are the same.
        id: String,
    },
    /// A user who is gone is to be forgotten: all rights have ended before, and the name is not free yet.
    Forgotten(Username),
}
