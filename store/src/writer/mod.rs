//! The tasks that write: one to a file, two to a server.
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
pub(crate) use observers::Observers;
use operation::WriteResult;
pub(crate) use operation::{Channel, Operation};
use patience::{GRACE, PATIENCE};
use task::Task;
pub(crate) use transaction::Transaction;
use waiting::Waiting;

/// How many writes wait for a task.
const QUEUE: usize = 1024;

/// The way to the tasks that write.
pub(crate) struct Writer {
    durable: Queue,
    /// `None` to a file, which takes one transaction after the other.
    soft: Option<Queue>,
    /// How long a write is repeated; `None`: it is not, and takes as long as it does.
    limit: Option<Duration>,
}

/// The way to a task that writes.
struct Queue {
    operations: mpsc::Sender<Box<dyn Queued>>,
    /// Asks the task to write what is queued and to end.
    stop: Arc<Notify>,
    task: OwnedTask,
}

impl Queue {
    /// Starts the task with its connection.
    fn start(
        channel: Channel,
        location: Location,
        conn: AnyConnection,
        observers: Observers,
    ) -> Self {
        let (sender, operations) = mpsc::channel(QUEUE);
        let stop = Arc::new(Notify::new());
        let task = Task::new(
            channel,
            location,
            conn,
            operations,
            Arc::clone(&stop),
            observers,
        );
        Self {
            operations: sender,
            stop,
            task: OwnedTask::spawn(task.run()),
        }
    }

    async fn close(&self) {
        self.stop.notify_one();
        self.task.join("the database writer").await;
    }
}

impl Writer {
    /// Starts with its connections. Others are made at `location` if these fail.
    pub(crate) fn start(
        location: Location,
        conn: AnyConnection,
        soft: Option<AnyConnection>,
        observers: Observers,
    ) -> Self {
        let limit = match location.dialect() {
            Dialect::Sqlite => None,
            Dialect::Postgres | Dialect::MySql => Some(PATIENCE - GRACE),
        };
        let soft = soft.map(|conn| {
            let (location, observers) = (location.clone(), observers.clone());
            Queue::start(Channel::Soft, location, conn, observers)
        });
        Self {
            durable: Queue::start(Channel::Durable, location, conn, observers),
            soft,
            limit,
        }
    }

    /// Where an operation waits.
    fn queue<O: Operation>(&self) -> &mpsc::Sender<Box<dyn Queued>> {
        match (O::CHANNEL, &self.soft) {
            (Channel::Soft, Some(soft)) => &soft.operations,
            _ => &self.durable.operations,
        }
    }

    /// Writes. Waits up to [`PATIENCE`] for room in the queue.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> WriteResult<O> {
        let (caller, result) = oneshot::channel();
        let deadline = self.deadline();
        let waiting = Box::new(Waiting::new(operation, deadline, caller));
        let sent = self.queue::<O>().send_timeout(waiting, PATIENCE).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Busy,
            SendTimeoutError::Closed(_) => StoreError::Closed,
        })?;
        outcome::<O>(result, deadline).await
    }

    /// Writes, if there is room in the queue. It is not begun after `begin_by`, nor if it could not be expected to end by then.
    pub(crate) async fn try_write<O: Operation>(
        &self,
        operation: O,
        begin_by: Option<Instant>,
    ) -> WriteResult<O> {
        let (caller, result) = oneshot::channel();
        let deadline = self.deadline();
        let mut waiting = Box::new(Waiting::new(operation, deadline, caller));
        waiting.begin_by = begin_by;
        let sent = self.queue::<O>().try_send(waiting);
        sent.map_err(|error| match error {
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
        let _ = self.queue::<O>().try_send(Box::new(waiting));
    }

    /// Until when what is queued now may take.
    fn deadline(&self) -> Option<Instant> {
        Some(Instant::now() + self.limit?)
    }

    /// Whether nothing waits in any queue.
    pub(crate) fn is_idle(&self) -> bool {
        let mut queues = self.soft.iter().chain([&self.durable]);
        queues.all(|queue| queue.operations.capacity() == QUEUE)
    }

    /// Waits until everything queued is written and the connections are closed. Only the first
    /// call waits.
    pub(crate) async fn close(&self) {
        let soft = async {
            if let Some(soft) = &self.soft {
                soft.close().await;
            }
        };
        tokio::join!(self.durable.close(), soft);
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

mod aside;
mod batch;
mod connection;
mod failure;
mod file_transaction;
mod group;
mod locks;
mod log;
mod observers;
mod old_marks;
mod operation;
mod pace;
mod patience;
mod task;
mod transaction;
mod waiting;

#[cfg(test)]
mod tests;
