//! The one task that writes.
//!
//! Making a commit durable costs far more than the statements in it, so writes that arrive while
//! another transaction is being committed share the next one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::AnyConnection;
use tokio::sync::mpsc::{self, error::SendTimeoutError, error::TrySendError};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout_at;

use crate::dialect::Dialect;
use crate::location::Location;
use crate::owned_task::OwnedTask;
use crate::{StoreError, server};
use batch::Queued;
pub(crate) use locks::Locks;
pub(crate) use operation::Operation;
use operation::WriteResult;
use patience::{GRACE, PATIENCE};
use task::Task;
pub(crate) use transaction::Transaction;
use waiting::Waiting;

/// How many writes wait for the writer.
const QUEUE: usize = 1024;

/// The way to the task that writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Queued>>,
    /// How long a write is repeated; `None`: it is not, and takes as long as it does.
    limit: Option<Duration>,
    /// Asks the task to write what is queued and to end.
    stop: Arc<Notify>,
    task: OwnedTask,
}

impl Writer {
    /// Starts the task with its connection. It makes another one at `location` if this one fails,
    /// and notifies `wake` of every commit after which a message may be due.
    pub(crate) fn start(location: Location, conn: AnyConnection, wake: Arc<Notify>) -> Self {
        let (queue, operations) = mpsc::channel(QUEUE);
        let stop = Arc::new(Notify::new());
        let limit = match location.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres | Dialect::MySql => Some(PATIENCE - GRACE),
        };
        let task = Task::new(location, conn, operations, Arc::clone(&stop), wake);
        Self {
            queue,
            limit,
            stop,
            task: OwnedTask::spawn(task.run()),
        }
    }

    /// Writes. Waits up to [`PATIENCE`] for room in the queue.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> WriteResult<O> {
        let (caller, result) = oneshot::channel();
        let deadline = self.deadline();
        let waiting = Box::new(Waiting::new(operation, deadline, caller));
        let sent = self.queue.send_timeout(waiting, PATIENCE).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Busy,
            SendTimeoutError::Closed(_) => StoreError::Closed,
        })?;
        outcome::<O>(result, deadline).await
    }

    /// Writes, if there is room in the queue.
    pub(crate) async fn try_write<O: Operation>(&self, operation: O) -> WriteResult<O> {
        let (caller, result) = oneshot::channel();
        let deadline = self.deadline();
        let waiting = Box::new(Waiting::new(operation, deadline, caller));
        self.queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::Closed,
        })?;
        outcome::<O>(result, deadline).await
    }

    /// Queues a write that nobody waits for, if there is room.
    pub(crate) fn note<O: Operation>(&self, operation: O) {
        let (caller, _) = oneshot::channel();
        let waiting = Waiting::new(operation, self.deadline(), caller);
        // Dropped if there is no room: all that waits is more important.
        let _ = self.queue.try_send(Box::new(waiting));
    }

    /// Until when what is queued now may take.
    fn deadline(&self) -> Option<Instant> {
        Some(Instant::now() + self.limit?)
    }

    /// Whether nothing waits in the queue.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.capacity() == QUEUE
    }

    /// Waits until everything queued is written and the connection is closed. Only the first call
    /// waits.
    pub(crate) async fn close(&self) {
        self.stop.notify_one();
        self.task.join("the database writer").await;
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// What came of a write. A server that says nothing is not waited for for long after `deadline`.
async fn outcome<O: Operation>(
    result: oneshot::Receiver<WriteResult<O>>,
    deadline: Option<Instant>,
) -> WriteResult<O> {
    let received = match deadline {
        None => result.await,
        Some(deadline) => match timeout_at((deadline + GRACE).into(), result).await {
            Ok(received) => received,
            Err(_) => return Err(server::silence()),
        },
    };
    received.unwrap_or(Err(StoreError::Closed))
}

mod batch;
mod connection;
mod failure;
mod group;
mod locks;
mod log;
mod old_marks;
mod operation;
mod pace;
mod patience;
mod task;
mod transaction;
mod waiting;

#[cfg(test)]
mod tests;
