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
    /// It is not begun after that, as its caller has stopped waiting.
    pub(super) begin_by: Option<Instant>,
    /// Since when others are in its way.
    pub(super) aside_since: Option<Instant>,
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
            begin_by: None,
            aside_since: None,
            caller,
        }
    }

    /// What it locks.
    pub(super) fn locks(&self) -> Locks {
        let mut locks = Locks::default();
        self.operation.lock(&mut locks);
        locks
    }

    /// Whether it is not repeated any more at `time`.
    pub(super) fn is_over(&self, time: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= time)
    }

    /// Whether it is not begun any more at `time`.
    pub(super) fn is_late(&self, time: Instant) -> bool {
        self.is_over(time) || self.begin_by.is_some_and(|begin_by| begin_by <= time)
    }

    /// The result is what it is from now on.
    pub(super) fn settle(&mut self, failure: &StoreError) {
        self.state = State::Settled;
        self.result = Err(failure.clone());
    }
}
