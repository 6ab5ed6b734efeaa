//! Who asks.

use crate::role::Role;
use crate::username::Username;

/// The client that asks.
#[derive(Debug, Clone, Copy)]
pub struct Who<'a> {
    /// The user it is logged in as.
    pub username: &'a Username,
    /// The role of that user.
    pub role: Role,
    /// What the client calls itself: any text, chosen by the client.
    pub client_id: &'a str,
}
