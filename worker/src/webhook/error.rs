//! Why a webhook cannot be set up.

/// A setting that cannot be used: why, in one line, without repeating it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebhookError(pub(crate) String);
