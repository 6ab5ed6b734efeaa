//! Why a batch was not committed.

use std::time::Instant;

use tokio::time::timeout_at;

use super::connection::Mark;
use crate::dialect::Dialect;
use crate::{StoreError, server};

/// Why a batch was not committed.
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// What is not settled may succeed later. Nothing of it was written, unless it was being committed.
    pub(super) is_passing: bool,
}

impl Failure {
    /// One that is not repeated.
    pub(super) fn fatal(error: StoreError) -> Self {
        let is_passing = false;
        Self { error, is_passing }
    }

    /// One that is.
    pub(super) fn passing(error: StoreError) -> Self {
        let is_passing = true;
        Self { error, is_passing }
    }

    /// One before the commit. A file of SQLite has its own patience.
    pub(super) fn before_commit(error: StoreError, dialect: Dialect) -> Self {
        Self {
            is_passing: dialect != Dialect::Sqlite && Self::passes(&error),
            error,
        }
    }

    /// Whether others were in the way, or it was too much, and the connection can still be used.
    pub(super) fn is_in_the_way(&self) -> bool {
        self.is_of_a_few() || (self.is_passing && matches!(self.error, StoreError::Conflict))
    }

    /// Whether others were in the way of a few, which the rest need not wait for. After a conflict, all may succeed at once.
    pub(super) fn is_of_a_few(&self) -> bool {
        self.is_passing && is_of_a_few(&self.error)
    }

    /// Whether the same may succeed later.
    pub(super) fn passes(error: &StoreError) -> bool {
        matches!(
            error,
            StoreError::Unreachable { .. }
                | StoreError::Conflict
                | StoreError::Locked
                | StoreError::TooSlow
                // It was another server when this one started: it changes places with its standby, say.
                | StoreError::Refused { .. }
        )
    }
}

/// A commit of which it is not known whether it took place.
pub(super) struct Doubt {
    pub(super) mark: Mark,
    /// What the database said against it: the same would be refused again.
    pub(super) fault: Option<StoreError>,
}

impl Doubt {
    pub(super) fn of(mark: Mark) -> Self {
        Self { mark, fault: None }
    }

    /// The commit failed for this reason. What came of it is to be asked for where a server can have lost its answer.
    pub(super) fn commit_failed(doubt: &mut Option<Self>, error: StoreError) -> Failure {
        let Some(doubt) = doubt else {
            return Failure::fatal(error);
        };
        doubt.fault = (!Failure::passes(&error)).then(|| error.clone());
        Failure::passing(error)
    }
}

/// Whether it is no fault of an operation's own: the connection may be unable to write from now on, as one is that was opened
/// while the file was read-only, or the whole transaction was undone.
pub(super) fn is_broken(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Storage { .. }
            | StoreError::Unreachable { .. }
            | StoreError::Conflict
            // Others would wait as long again.
            | StoreError::Locked
            | StoreError::TooSlow
    )
}

/// Whether it need not fail the rest of a batch.
pub(super) fn is_of_a_few(error: &StoreError) -> bool {
    matches!(error, StoreError::Locked | StoreError::TooSlow)
}

/// Waits until `deadline` at the longest.
pub(super) async fn until(
    deadline: Option<Instant>,
    done: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some(deadline) = deadline else {
        return done.await;
    };
    let done = timeout_at(deadline.into(), done).await;
    done.unwrap_or_else(|_| Err(Failure::passing(server::silence())))
}
