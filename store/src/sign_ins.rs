//! Sign-ins that failed, and those that were right: counted for all servers that share a database.

use std::fmt::Write as _;
use std::time::Duration;

use crate::Timestamp;

/// How long a failure counts, from the first one of its window.
pub const SIGN_IN_WINDOW: Duration = Duration::from_secs(5 * 60);

/// What sign-ins are counted by, as a digest: of one length, whatever was tried as a name, and not to be read at a glance. It can be
/// guessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignInKey(String);

impl SignInKey {
    /// That with this digest.
    #[must_use]
    pub fn from_digest(digest: [u8; 32]) -> Self {
        let mut text = String::with_capacity(64);
        for byte in digest {
            // A String takes all.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    pub(crate) fn from_text(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is counted by a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInCount {
    /// By which.
    pub key: SignInKey,
    /// Failures of this window; 0 of what was right.
    pub failures: u32,
    /// Until when they count, or the right one does.
    pub ends_at: Timestamp,
}
