//! The one task that writes.
//!
//! Making a commit durable costs far more than the statements in it, so writes that arrive while
//! another transaction is being committed share the next one.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::any::Any;
use sqlx::{AnyConnection, Connection, Transaction};
use tokio::sync::mpsc::{self, error::SendTimeoutError, error::TrySendError};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::open::Location;
use crate::{StoreError, dialect};

/// How many writes wait for the writer.
const QUEUE: usize = 1024;

/// How many writes share a transaction.
const BATCH: usize = 256;

/// How long a write waits for room in the queue.
const PATIENCE: Duration = Duration::from_secs(10);

/// A write.
pub(crate) trait Operation: Send + Sync + 'static {
    /// What its caller learns once it is durable.
    type Answer: Send + 'static;

    /// Does the write, in a transaction that others share. If it fails, none of it is kept.
    ///
    /// May be run more than once: only the last run is kept, the others leave no trace in the
    /// database and must leave none elsewhere.
    fn run(
        &self,
        conn: &mut AnyConnection,
    ) -> impl Future<Output = Result<Self::Answer, StoreError>> + Send;

    /// Whether a message may be due after the write was committed with this answer.
    fn wakes_worker(&self, _answer: &Self::Answer) -> bool {
        false
    }
}

/// What came of a write.
type Outcome<O> = Result<<O as Operation>::Answer, StoreError>;

/// The way to the task that writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Queued>>,
    /// Tells the task to take what is queued and to end.
    stop: Arc<Notify>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task with its connection. It makes another one at `location` if this one fails,
    /// and tells `wake` of every commit after which a message may be due.
    pub(crate) fn start(location: Location, conn: AnyConnection, wake: Arc<Notify>) -> Self {
        let (queue, operations) = mpsc::channel(QUEUE);
        let stop = Arc::new(Notify::new());
        let task = Task {
            location,
            conn: Some(conn),
            operations,
            stop: Arc::clone(&stop),
            wake,
        };
        Self {
            queue,
            stop,
            task: Mutex::new(Some(tokio::spawn(task.run()))),
        }
    }

    /// Writes. Waits up to [`PATIENCE`] for room in the queue.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Outcome<O> {
        let (caller, answer) = oneshot::channel();
        let waiting = Box::new(Waiting::new(operation, caller));
        let sent = self.queue.send_timeout(waiting, PATIENCE).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Busy,
            SendTimeoutError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Writes, if there is room in the queue.
    pub(crate) async fn try_write<O: Operation>(&self, operation: O) -> Outcome<O> {
        let (caller, answer) = oneshot::channel();
        let waiting = Box::new(Waiting::new(operation, caller));
        self.queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::Closed,
        })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Waits until everything queued is written and the connection is closed. Only the first call
    /// waits.
    pub(crate) async fn close(&self) {
        self.stop.notify_one();
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the database writer failed");
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

/// A write in the queue.
trait Queued: Send {
    /// Runs it and remembers how that went; says whether it went well.
    fn run<'a>(&'a mut self, conn: &'a mut AnyConnection) -> BoxFuture<'a, bool>;

    /// Why the last run failed, if that was no fault of its own: on this connection, others would fail, too.
    fn broken(&self) -> Option<StoreError>;

    /// Whether a message may be due now that it is committed.
    fn wakes_worker(&self) -> bool;

    /// Answers its caller, with `failure` if the transaction failed.
    fn answer(self: Box<Self>, failure: Option<&StoreError>);
}

struct Waiting<O: Operation> {
    operation: O,
    /// How the last run went.
    outcome: Outcome<O>,
    caller: oneshot::Sender<Outcome<O>>,
}

impl<O: Operation> Waiting<O> {
    fn new(operation: O, caller: oneshot::Sender<Outcome<O>>) -> Self {
        Self {
            operation,
            outcome: Err(StoreError::Closed),
            caller,
        }
    }
}

impl<O: Operation> Queued for Waiting<O> {
    fn run<'a>(&'a mut self, conn: &'a mut AnyConnection) -> BoxFuture<'a, bool> {
        async move {
            let run = AssertUnwindSafe(self.operation.run(conn)).catch_unwind();
            self.outcome = run.await.unwrap_or(Err(StoreError::Panicked));
            self.outcome.is_ok()
        }
        .boxed()
    }

    fn broken(&self) -> Option<StoreError> {
        match &self.outcome {
            Err(error @ StoreError::Storage { .. }) => Some(error.clone()),
            _ => None,
        }
    }

    fn wakes_worker(&self) -> bool {
        let outcome = self.outcome.as_ref();
        outcome.is_ok_and(|answer| self.operation.wakes_worker(answer))
    }

    fn answer(self: Box<Self>, failure: Option<&StoreError>) {
        let outcome = match failure {
            Some(failure) => Err(failure.clone()),
            None => self.outcome,
        };
        // A caller that has stopped waiting does not undo what was written.
        let _ = self.caller.send(outcome);
    }
}

/// What the task owns.
struct Task {
    location: Location,
    /// `None` after a failure, until the next batch.
    conn: Option<AnyConnection>,
    operations: mpsc::Receiver<Box<dyn Queued>>,
    stop: Arc<Notify>,
    wake: Arc<Notify>,
}

impl Task {
    /// Writes batch after batch until it is told to stop or no one can write any more.
    async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let received = tokio::select! {
                biased;
                () = self.stop.notified() => {
                    // From here on, nothing is added and the rest is received.
                    self.operations.close();
                    continue;
                }
                received = self.operations.recv_many(&mut batch, BATCH) => received,
            };
            if received == 0 {
                break;
            }
            self.write(&mut batch).await;
        }
        self.disconnect().await;
    }

    /// Writes a batch and answers it.
    async fn write(&mut self, batch: &mut Vec<Box<dyn Queued>>) {
        let committed = self.commit(batch).await;
        if let Err(error) = &committed {
            tracing::error!(%error, writes = batch.len(), "a database transaction failed");
            // Whatever state it is in, closing it undoes what was not committed.
            self.disconnect().await;
        }
        if committed.is_ok() && batch.iter().any(|waiting| waiting.wakes_worker()) {
            self.wake.notify_one();
        }
        for waiting in batch.drain(..) {
            waiting.answer(committed.as_ref().err());
        }
    }

    async fn commit(&mut self, batch: &mut [Box<dyn Queued>]) -> Result<(), StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => self.conn.insert(conn),
            None => self.conn.insert(self.location.connect_writer().await?),
        };
        if commit_together(conn, batch).await? || batch.len() == 1 {
            return Ok(());
        }
        commit_each(conn, batch).await
    }

    async fn disconnect(&mut self) {
        if let Some(conn) = self.conn.take()
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, "the database connection was not closed cleanly");
        }
    }
}

/// Runs all in one transaction. If one fails, none is kept, and the answer is `false`.
async fn commit_together(
    conn: &mut AnyConnection,
    batch: &mut [Box<dyn Queued>],
) -> Result<bool, StoreError> {
    let mut tx = begin(conn).await?;
    for waiting in batch {
        if !waiting.run(&mut tx).await {
            // A connection that was made while the file could only be read never writes.
            if let Some(error) = waiting.broken() {
                return Err(error);
            }
            tx.rollback().await?;
            return Ok(false);
        }
    }
    tx.commit().await?;
    Ok(true)
}

/// Runs all in one transaction. Those that fail are undone alone. Two statements a write dearer
/// than [`commit_together`], so it is only used after that failed.
async fn commit_each(
    conn: &mut AnyConnection,
    batch: &mut [Box<dyn Queued>],
) -> Result<(), StoreError> {
    let mut tx = begin(conn).await?;
    for waiting in batch {
        let mut savepoint = tx.begin().await?;
        if waiting.run(&mut savepoint).await {
            savepoint.commit().await?;
        } else if let Some(error) = waiting.broken() {
            return Err(error);
        } else {
            savepoint.rollback().await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

async fn begin(conn: &mut AnyConnection) -> Result<Transaction<'_, Any>, StoreError> {
    Ok(conn.begin_with(dialect::BEGIN_WRITE).await?)
}

#[cfg(test)]
mod tests;
