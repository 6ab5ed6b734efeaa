//! What a worker is handed.

use std::sync::Arc;

use herald_acl::Username;
use uuid::Uuid;

use crate::{MessageId, NodeId, Timestamp, UserId};

/// The right of one worker to finish the messages of one claim. Every claim has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(pub(crate) Arc<str>);

impl Lease {
    /// One that begins with the node which has it, if it is on one.
    pub(crate) fn new(node: Option<&NodeId>) -> Self {
        let own = Uuid::now_v7();
        Self(match node {
            Some(node) => format!("{node}.{own}").into(),
            None => own.to_string().into(),
        })
    }

    /// What LIKE finds all leases of a node by.
    pub(crate) fn all_of(node: &NodeId) -> String {
        // Nothing in an id has a meaning to LIKE.
        format!("{node}.%")
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
