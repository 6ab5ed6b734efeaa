//! Sessions of browsers that have signed in.

use std::fmt;
use std::time::Duration;

use crate::{SessionId, Timestamp, User};

/// A browser that has signed in.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// What its user knows it by.
    pub id: SessionId,
    /// The SHA-256 of its secret, as text. The secret itself is only in the browser's cookie.
    pub secret_hash: String,
    /// Who signed in.
    pub user: User,
    /// What the browser must repeat with unsafe requests.
    pub csrf_token: String,
    /// When it was last used, within some minutes.
    pub last_used_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("last_used_at", &self.last_used_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session that was not used for so long has ended.
    pub const MAX_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
}

/// What was last used then, or before, has ended by `now`.
pub(crate) fn unused_since(now: Timestamp) -> i64 {
    let idle = i64::try_from(Session::MAX_IDLE.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_sub(idle)
}
