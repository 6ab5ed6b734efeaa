//! Why a client may not do what it asks for.

use std::sync::Arc;

use crate::topics::FILTER_BYTES;

/// Why a client may not do what it asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The rule with this id denies it.
    #[error("an access rule denies it")]
    Rule(Arc<str>),
    /// No rule allows it.
    #[error("no access rule allows it")]
    NoRule,
    /// No rule can allow anyone to publish there: it is below `users/` and not the user's own
    /// `messages`, or starts with `$`.
    #[error("nobody may publish there")]
    Reserved,
    /// It is another user's below `users/`, which rules can open to administrators only.
    #[error("only administrators receive what is another user's")]
    NotAdministrator,
    /// A shared subscription to an inbox or to `$SYS`, which every session gets all of.
    #[error("inboxes and $SYS cannot be shared")]
    NotShareable,
    /// The filter has more than [`FILTER_BYTES`] bytes.
    #[error("a subscription's filter has at most {FILTER_BYTES} bytes")]
    FilterTooLong,
}
