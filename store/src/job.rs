//! What a worker is handed.

use std::sync::Arc;

use herald_acl::Username;
use uuid::Uuid;

use crate::{MessageId, Timestamp, UserId};

/// The right of one worker to finish the messages of one claim. Every claim has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(pub(crate) Arc<str>);

impl Lease {
    pub(crate) fn new() -> Self {
        Self(Uuid::now_v7().to_string().into())
    }
}

/// A message that was claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The message's id.
    pub id: MessageId,
    /// Whose it is.
    pub user_id: UserId,
    /// The name of whose it is.
    pub username: Username,
    /// What was sent.
    pub body: String,
    /// How often it has been claimed, this time included.
    pub attempt: i64,
    /// How many of the attempts before failed; a claim whose worker died is not one of them.
    pub failures: i64,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it was due.
    pub due: Timestamp,
    /// The right to finish it.
    pub lease: Lease,
}
