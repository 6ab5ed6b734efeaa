//! Who hears of what is written.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::credential_cache::CredentialCache;

/// Who is told of commits.
#[derive(Clone)]
pub(crate) struct Observers {
    /// Notified of each after which a message may be due.
    pub(crate) wake: Arc<Notify>,
    /// Forgets what they end.
    pub(crate) credentials: Arc<CredentialCache>,
}
