//! The audit: who did what, when, and from where.
//!
//! What changes something is recorded in the transaction that changes it: see [`Store::audited`](crate::Store::audited).
//! What only happened, such as a sign-in that failed, is recorded afterwards by
//! [`Store::record_audit`](crate::Store::record_audit).

use std::borrow::Cow;

use crate::Timestamp;

/// Something that was done, or tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// What, as a word of a fixed list of the caller's.
    pub action: Cow<'static, str>,
    /// The name of who did it; `None` if nobody was signed in.
    pub actor: Option<String>,
    /// What it was done to: a username or an id. `None` also stands for the id of what a write makes.
    pub target: Option<String>,
    /// The IP address that it came from; `None`: from the command line.
    pub address: Option<String>,
    /// The HTTP request that asked for it.
    pub request_id: Option<String>,
    /// What else there is to say of it. Never a secret.
    pub detail: Option<String>,
    /// How often it happened, if this stands for more than once.
    pub count: u32,
}
