//! When the cursor of a client id is used, and its use under way.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::host::HostError;

/// How often a connected session uses its cursor: a cursor is kept for a day at least.
const EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// When the cursor of a session is to be used, and its use under way. That is not waited for: what the client asks for has
/// nothing to do with it, and it may be a write.
pub(super) struct CursorUse {
    pub(super) due: Instant,
    pub(super) under_way: Option<BoxFuture<'static, Result<Used, HostError>>>,
}

/// What came of a use.
pub(crate) enum Used {
    /// The cursor is there, and the session was at `asked`.
    At { there: i64, asked: i64 },
    /// It was set to there.
    Set(i64),
}

impl CursorUse {
    /// It is due now.
    pub(super) fn new() -> Self {
        Self {
            due: Instant::now(),
            under_way: None,
        }
    }

    /// It is to be used now.
    pub(super) fn use_soon(&mut self) {
        self.due = Instant::now();
    }

    /// It was used otherwise. What is under way is void.
    pub(super) fn is_used(&mut self) {
        self.due = Instant::now() + EVERY;
        self.under_way = None;
    }
}
