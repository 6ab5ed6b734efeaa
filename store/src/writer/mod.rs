//! The one task that writes.
//!
//! Making a commit durable costs far more than the statements in it, so writes that arrive while
//! another transaction is being committed share the next one.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection};
use tokio::sync::mpsc::{self, error::SendTimeoutError, error::TrySendError};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::StoreError;
use crate::dialect::Dialect;
use crate::location::Location;
use crate::open_files::OpenFiles;
use crate::owned_task::OwnedTask;
use batch::{Batch, Queued, Waiting};
pub(crate) use locks::Locks;
use log::Log;
pub(crate) use operation::Operation;
use operation::WriteResult;
pub(crate) use transaction::Transaction;
use transaction::TransactionKind;

/// How many writes wait for the writer.
const QUEUE: usize = 1024;

/// How many writes share a transaction.
const BATCH: usize = 256;

/// How long a write waits for room in the queue, and how long a batch is repeated.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a server may take for a batch, longer than it gives each statement, and for a goodbye.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
const LONGEST_CLOSE: Duration = Duration::from_secs(5);

/// How long a batch waits before it is repeated: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The way to the task that writes.
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Queued>>,
    /// Asks the task to write what is queued and to end.
    stop: Arc<Notify>,
    task: OwnedTask,
}

impl Writer {
    /// Starts the task with its connection. It makes another one at `location` if this one fails,
    /// and notifies `wake` of every commit after which a message may be due.
    pub(crate) fn start(location: Location, conn: AnyConnection, wake: Arc<Notify>) -> Self {
        let files = OpenFiles::of(location.file());
        let log = Log::of(location.file());
        let (queue, operations) = mpsc::channel(QUEUE);
        let stop = Arc::new(Notify::new());
        let task = Task {
            location,
            files,
            log,
            conn: Some(conn),
            operations,
            stop: Arc::clone(&stop),
            wake,
        };
        Self {
            queue,
            stop,
            task: OwnedTask::spawn(task.run()),
        }
    }

    /// Writes. Waits up to [`PATIENCE`] for room in the queue.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> WriteResult<O> {
        let (caller, result) = oneshot::channel();
        let waiting = Box::new(Waiting::new(operation, caller));
        let sent = self.queue.send_timeout(waiting, PATIENCE).await;
        sent.map_err(|error| match error {
            SendTimeoutError::Timeout(_) => StoreError::Busy,
            SendTimeoutError::Closed(_) => StoreError::Closed,
        })?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Writes, if there is room in the queue.
    pub(crate) async fn try_write<O: Operation>(&self, operation: O) -> WriteResult<O> {
        let (caller, result) = oneshot::channel();
        let waiting = Box::new(Waiting::new(operation, caller));
        self.queue.try_send(waiting).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Closed(_) => StoreError::Closed,
        })?;
        result.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Queues a write that nobody waits for, if there is room.
    pub(crate) fn note<O: Operation>(&self, operation: O) {
        let (caller, _) = oneshot::channel();
        // Dropped if there is no room: all that waits is more important.
        let _ = self
            .queue
            .try_send(Box::new(Waiting::new(operation, caller)));
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

/// What the task owns.
struct Task {
    location: Location,
    files: OpenFiles,
    log: Log,
    /// `None` after a failure, until the next batch.
    conn: Option<AnyConnection>,
    operations: mpsc::Receiver<Box<dyn Queued>>,
    stop: Arc<Notify>,
    wake: Arc<Notify>,
}

impl Task {
    /// Writes batch after batch until it has to stop or no one can write any more.
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

    /// Writes a batch and sends its callers what came of it.
    async fn write(&mut self, queued: &mut Vec<Box<dyn Queued>>) {
        let writes = queued.len();
        let mut batch = Batch::of(queued.drain(..));
        let committed = self.commit_patiently(&mut batch).await;
        if let Err(error) = &committed {
            batch.fail_rest(error);
            tracing::error!(%error, writes, "a database transaction failed");
        }
        if batch.wakes_worker() {
            self.wake.notify_one();
        }
        batch.send_results();
        if let Some(conn) = &mut self.conn
            && let Err(error) = self.log.keep_short(conn).await
        {
            tracing::warn!(%error, "the log of the database could not be cut");
            self.disconnect().await;
        }
    }

    /// Writes a batch; again and again for a limited time, as long as it is known that nothing was written and the same may
    /// succeed later.
    async fn commit_patiently(&mut self, batch: &mut Batch) -> Result<(), StoreError> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.commit(batch).await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.undone && Instant::now() + pause < deadline => {
                    tracing::debug!(error = %failure.error, "a database transaction is repeated");
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
                Err(failure) => return Err(failure.error),
            }
        }
    }

    /// Writes a batch. If that fails, it is not known of all what came of it, unless it was undone.
    async fn commit(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        // What is written to a file that is not there any more is lost.
        self.files.check()?;
        let kind = TransactionKind {
            dialect: self.location.dialect(),
            durable: batch.is_durable(),
            marked: self.log.is_to_be_marked(),
        };
        let committed = match kind.dialect {
            Dialect::Sqlite => self.commit_with(batch, kind).await,
            Dialect::Postgres | Dialect::MySql => {
                let committed = timeout(LONGEST_SILENCE, self.commit_with(batch, kind)).await;
                committed.unwrap_or_else(|_| Err(silence().into()))
            }
        };
        if committed.is_err() {
            // Whatever state it is in, closing it undoes what was not committed.
            self.disconnect().await;
        }
        committed
    }

    async fn commit_with(
        &mut self,
        batch: &mut Batch,
        kind: TransactionKind,
    ) -> Result<(), Failure> {
        let conn = self
            .connected()
            .await
            .map_err(|error| undone(error, kind))?;
        if commit_together(conn, batch, kind).await? {
            return Ok(());
        }
        Ok(batch.run_each(conn, kind).await?)
    }

    /// The connection, made again if it failed.
    async fn connected(&mut self) -> Result<&mut AnyConnection, StoreError> {
        match self.conn.take() {
            Some(conn) => Ok(self.conn.insert(conn)),
            None => {
                let conn = self.location.connect_writer().await?;
                self.files.opened();
                Ok(self.conn.insert(conn))
            }
        }
    }

    async fn disconnect(&mut self) {
        self.files.closed();
        let Some(conn) = self.conn.take() else {
            return;
        };
        let closed = match self.location.dialect() {
            Dialect::Sqlite => conn.close().await.map_err(StoreError::from),
            Dialect::Postgres | Dialect::MySql => {
                let closed = timeout(LONGEST_CLOSE, conn.close()).await;
                closed.map_or_else(|_| Err(silence()), |closed| Ok(closed?))
            }
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "the database connection was not closed cleanly");
        }
    }
}

/// A server that is gone without a word.
fn silence() -> StoreError {
    let reason = "it does not answer any more".into();
    StoreError::Unreachable { reason }
}

/// Why a batch was not committed.
struct Failure {
    error: StoreError,
    /// Nothing of it was written, and the same may succeed later.
    undone: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let undone = false;
        Self { error, undone }
    }
}

/// A failure before a transaction was to be committed. A file of SQLite has its own patience.
fn undone(error: StoreError, kind: TransactionKind) -> Failure {
    let passes = matches!(
        error,
        StoreError::Unreachable { .. }
            | StoreError::Conflict
            | StoreError::Locked
            // It was another server when this one started: a name that is not found for a moment, say.
            | StoreError::Refused { .. }
    );
    Failure {
        undone: passes && kind.dialect != Dialect::Sqlite,
        error,
    }
}

/// Runs all in one transaction. If one of several fails, none is kept, and it returns `false`.
async fn commit_together(
    conn: &mut AnyConnection,
    batch: &mut Batch,
    kind: TransactionKind,
) -> Result<bool, Failure> {
    let begun = conn.begin_with(kind.begin()).await;
    let mut begun = begun.map_err(|error| undone(error.into(), kind))?;
    let mut tx = Transaction::new(&mut begun, kind.dialect);
    let run = batch.run(&mut tx).await;
    if !run.map_err(|error| undone(error, kind))? {
        begun.rollback().await.map_err(StoreError::from)?;
        return Ok(batch.is_single());
    }
    begun.commit().await.map_err(StoreError::from)?;
    batch.committed();
    Ok(true)
}

mod batch;
mod locks;
mod log;
mod operation;
mod transaction;

#[cfg(test)]
mod tests;
