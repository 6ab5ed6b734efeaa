//! Whose rights are decided on.

use crate::role::Role;
use crate::username::Username;

/// The client whose rights are decided on.
#[derive(Debug, Clone, Copy)]
pub struct Principal<'a> {
    /// The user it is logged in as.
    pub username: &'a Username,
    /// The role of that user.
    pub role: Role,
    /// The client id: any text, chosen by the client.
    pub client_id: &'a str,
}
