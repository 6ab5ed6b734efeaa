//! A write and who waits for it.

use std::time::Instant;

use tokio::sync::oneshot;

use super::locks::Locks;
use super::operation::{Operation, WriteResult};
use crate::StoreError;

/// A write and who waits for it.
pub(super) struct Waiting<O: Operation> {
    pub(super) operation: O,
    pub(super) result: WriteResult<O>,
    pub(super) state: State,
    /// Until when it is repeated; `None`: it is not.
    pub(super) deadline: Option<Instant>,
    pub(super) caller: oneshot::Sender<WriteResult<O>>,
}

/// What is known of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is not written.
    Open,
    /// It is written, with the result that it has, if its transaction was committed.
    Committing,
    /// Nothing changes the result any more.
    Settled,
}

impl<O: Operation> Waiting<O> {
    pub(super) fn new(
        operation: O,
        deadline: Option<Instant>,
        caller: oneshot::Sender<WriteResult<O>>,
    ) -> Self {
        Self {
            operation,
            result: Err(StoreError::Closed),
            state: State::Open,
            deadline,
            caller,
        }
    }

    /// What it locks.
    pub(super) fn locks(&self) -> Locks {
        let mut locks = Locks::default();
        self.operation.lock(&mut locks);
        locks
    }

    /// Whether its caller has stopped waiting by `now`.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}
