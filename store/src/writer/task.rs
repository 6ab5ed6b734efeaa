//! The task that writes: batch after batch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout_at};

use super::batch::{Batch, Queued};
use super::connection::Connection;
use super::failure::{Doubt, Failure};
use super::log::Log;
use super::old_marks::OldMarks;
use super::patience::{ANSWER, LEAST, answered};
use super::transaction::{Transaction, TransactionKind};

use crate::StoreError;
use crate::dialect::Dialect;
use crate::location::Location;
use crate::open_files::OpenFiles;
use crate::server;

/// How many writes share a transaction.
const BATCH: usize = 256;

/// How long a batch waits before it is repeated: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// What the task owns.
pub(super) struct Task {
    location: Location,
    files: OpenFiles,
    log: Log,
    marks: OldMarks,
    /// `None` after a failure, until the next batch.
    conn: Option<Connection>,
    operations: mpsc::Receiver<Box<dyn Queued>>,
    stop: Arc<Notify>,
    wake: Arc<Notify>,
}

impl Task {
    pub(super) fn new(
        location: Location,
        conn: AnyConnection,
        operations: mpsc::Receiver<Box<dyn Queued>>,
        stop: Arc<Notify>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            files: OpenFiles::of(location.file()),
            log: Log::of(location.file()),
            marks: OldMarks::new(location.dialect()),
            conn: Some(Connection::new(conn, location.dialect())),
            location,
            operations,
            stop,
            wake,
        }
    }

    /// Writes batch after batch until it has to stop or no one can write any more.
    pub(super) async fn run(mut self) {
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
        let mut batch = Batch::of(queued.drain(..));
        self.commit_patiently(&mut batch).await;
        if let Some(conn) = &mut self.conn
            && let Err(error) = self.log.keep_short(&mut conn.conn).await
        {
            tracing::warn!(%error, "the log of the database could not be cut");
            self.disconnect().await;
        }
        if let Some(conn) = &mut self.conn
            && let Err(error) = self.marks.forget(&mut conn.conn).await
        {
            tracing::debug!(%error, "old marks of the database were not forgotten");
            self.conn = None;
        }
    }

    /// Writes a batch; what may succeed later again and again, until its caller has waited long enough.
    async fn commit_patiently(&mut self, batch: &mut Batch) {
        let mut pause = FIRST_PAUSE;
        // Too much of their time has gone while others were written.
        batch.fail_late(Instant::now() + LEAST, &StoreError::Busy);
        batch.send_settled(&self.wake);
        while batch.len() > 0 {
            let committed = self.commit(batch).await;
            batch.send_settled(&self.wake);
            let Err(Failure { error, is_passing }) = committed else {
                return;
            };
            let before = batch.len();
            // What is in doubt is asked for as long as somebody waits for it, whatever the reason.
            if is_passing || batch.doubt.is_some() {
                batch.fail_late(Instant::now() + pause, &error);
            } else {
                batch.fail_rest(&error);
            }
            batch.send_settled(&self.wake);
            let writes = before - batch.len();
            if writes > 0 {
                tracing::error!(%error, writes, "a database transaction failed");
            }
            if batch.len() > 0 {
                tracing::debug!(%error, "a database transaction is repeated");
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }

    /// Writes a batch. If that fails, some of it may be settled.
    async fn commit(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        // What is written to a file that is not there any more is lost.
        self.files.check().map_err(Failure::fatal)?;
        let kind = TransactionKind {
            dialect: self.location.dialect(),
            durable: batch.is_durable(),
            marked: self.log.is_to_be_marked(),
        };
        let committed = match batch.deadline() {
            None => self.commit_with(batch, kind).await,
            // Nobody waits for it longer; but what has begun is not cut, unless the server is silent.
            Some(deadline) => {
                let end = deadline.max(Instant::now() + ANSWER);
                let committed = self.commit_with(batch, kind);
                let committed = timeout_at(end.into(), committed).await;
                committed.unwrap_or_else(|_| Err(Failure::passing(server::silence())))
            }
        };
        if let Err(failure) = &committed {
            // Before any goodbye.
            batch.send_settled(&self.wake);
            self.undo(&failure.error).await;
        }
        committed
    }

    /// Undoes what was not committed because of this error. The connection is kept if the server said it itself.
    async fn undo(&mut self, error: &StoreError) {
        let is_server = self.location.dialect() != Dialect::Sqlite;
        match (error, &mut self.conn) {
            (StoreError::Conflict | StoreError::Locked | StoreError::TooSlow, Some(conn))
                if is_server =>
            {
                if conn.undo().await.is_err() {
                    self.conn = None;
                }
            }
            // Nobody is there to say goodbye to.
            (StoreError::Unreachable { .. }, _) if is_server => self.conn = None,
            // Whatever state it is in, closing it undoes all.
            _ => self.disconnect().await,
        }
    }

    async fn commit_with(
        &mut self,
        batch: &mut Batch,
        kind: TransactionKind,
    ) -> Result<(), Failure> {
        let before_commit = |error| Failure::before_commit(error, kind.dialect);
        let wake = Arc::clone(&self.wake);
        let conn = self.connected().await.map_err(before_commit)?;
        if let Some(Doubt { mark, .. }) = &batch.doubt {
            let committed = conn.has_committed(mark).await.map_err(before_commit)?;
            tracing::debug!(committed, "a commit without an answer");
            batch.resolve(committed);
            batch.send_settled(&wake);
        }
        if !batch.is_open() {
            return Ok(());
        }
        if !batch.is_apart {
            if commit_together(conn, batch, kind).await? {
                return Ok(());
            }
            batch.is_apart = true;
        }
        let Batch { kinds, doubt, .. } = batch;
        for group in kinds {
            group.run_each(conn, kind, doubt, &wake).await?;
        }
        Ok(())
    }

    /// The connection, made again if it failed.
    async fn connected(&mut self) -> Result<&mut Connection, StoreError> {
        match self.conn.take() {
            Some(conn) => Ok(self.conn.insert(conn)),
            None => {
                let conn = self.location.connect_writer().await?;
                self.files.opened();
                let conn = Connection::new(conn, self.location.dialect());
                Ok(self.conn.insert(conn))
            }
        }
    }

    async fn disconnect(&mut self) {
        self.files.closed();
        let Some(Connection { conn, .. }) = self.conn.take() else {
            return;
        };
        let closed = match self.location.dialect() {
            Dialect::Sqlite => conn.close().await.map_err(StoreError::from),
            Dialect::Postgres | Dialect::MySql => server::close(conn).await,
        };
        if let Err(error) = closed {
            tracing::warn!(%error, "the database connection was not closed cleanly");
        }
    }
}

/// Runs all in one transaction. If one of several fails by its own fault, none is kept, and it returns `false`.
async fn commit_together(
    conn: &mut Connection,
    batch: &mut Batch,
    kind: TransactionKind,
) -> Result<bool, Failure> {
    let before_commit = |error| Failure::before_commit(error, kind.dialect);
    let (mut begun, mark) = conn.begin(kind).await.map_err(before_commit)?;
    let mut tx = Transaction::new(&mut begun, kind.dialect);
    if !batch.run(&mut tx).await.map_err(before_commit)? {
        let undone = answered(kind.dialect, begun.rollback()).await;
        undone.map_err(before_commit)?;
        let is_single = batch.len() == 1;
        if is_single {
            batch.settle();
        }
        return Ok(is_single);
    }
    batch.committing(mark);
    let committed = answered(kind.dialect, begun.commit()).await;
    committed.map_err(|error| Doubt::commit_failed(&mut batch.doubt, error))?;
    batch.resolve(true);
    Ok(true)
}
