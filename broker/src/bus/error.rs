//! What the bus refuses.

/// Why the bus did not take something.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BusError {
    #[error("too many retained messages, or too large")]
    RetainedFull,
    #[error("shared topics are not available right now")]
    Unavailable,
}
