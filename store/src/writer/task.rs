//! The task that writes: batch after batch.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

use super::batch::{Batch, Queued};
use super::connection::Connection;
use super::failure::{Doubt, Failure};
use super::group::Round;
use super::locks::Locks;
use super::log::Log;
use super::old_marks::OldMarks;
use super::operation::Channel;
use super::pace::{LEAST, Pace};
use super::patience::{TRANSACTION, UNDO, answered};
use super::transaction::{Transaction, TransactionKind};
use super::waiting::State;

use crate::StoreError;
use crate::dialect::Dialect;
use crate::location::Location;
use crate::open_files::OpenFiles;
use crate::server;

/// How many writes are put aside at most, until others are out of their way.
const ASIDE: usize = 1024;

/// How long what others are in the way of may be tried before the rest has its turn.
const ROUND: Duration = Duration::from_millis(500);

/// How long a batch waits before it is repeated: the first time, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How long a connection to MySQL is idle at most: that server ends what is idle for longer than 10 s, as it cannot tell a server
/// that is gone and has rows locked from one that has nothing to write.
const IDLE: Duration = Duration::from_secs(5);

/// What the task owns.
pub(super) struct Task {
    location: Location,
    files: OpenFiles,
    log: Log,
    /// `None` where another task forgets them.
    marks: Option<OldMarks>,
    pace: Pace,
    /// What others were in the way of, in order. It is tried again from `look_at` on, while the rest goes on.
    aside: Batch,
    look_at: Instant,
    pause: Duration,
    /// Of the last commit, until it is known what came of it: nothing is written before.
    doubt: Option<Doubt>,
    /// `None` after a failure, until the next batch.
    conn: Option<Connection>,
    operations: mpsc::Receiver<Box<dyn Queued>>,
    stop: Arc<Notify>,
    wake: Arc<Notify>,
}

impl Task {
    pub(super) fn new(
        channel: Channel,
        location: Location,
        conn: AnyConnection,
        operations: mpsc::Receiver<Box<dyn Queued>>,
        stop: Arc<Notify>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            files: OpenFiles::of(location.file()),
            log: Log::of(location.file()),
            marks: (channel == Channel::Soft).then(|| OldMarks::new(location.dialect())),
            pace: Pace::of(location.dialect()),
            aside: Batch::default(),
            look_at: Instant::now(),
            pause: FIRST_PAUSE,
            doubt: None,
            conn: Some(Connection::new(conn, location.dialect())),
            location,
            operations,
            stop,
            wake,
        }
    }

    /// Writes batch after batch until it has to stop or no one can write any more.
    pub(super) async fn run(mut self) {
        let mut queued = vec![];
        loop {
            let most = self.pace.most().min(ASIDE.saturating_sub(self.aside.len()));
            let waits = self.aside.len() > 0;
            tokio::select! {
                biased;
                () = self.stop.notified() => {
                    // From here on, nothing is added and the rest is received.
                    self.operations.close();
                    continue;
                }
                () = sleep_until(self.look_at.into()), if waits => {}
                received = self.operations.recv_many(&mut queued, most), if most > 0 => {
                    if received == 0 && !waits {
                        break;
                    }
                    if received == 0 {
                        sleep_until(self.look_at.into()).await;
                    }
                }
                () = sleep(IDLE), if self.ends_when_idle() => {
                    self.ping().await;
                    continue;
                }
            }
            self.write(&mut queued).await;
        }
        self.disconnect().await;
    }

    fn ends_when_idle(&self) -> bool {
        self.conn.is_some() && self.location.dialect() == Dialect::MySql
    }

    /// Uses the connection. If it is lost, the next batch makes another one.
    async fn ping(&mut self) {
        if let Some(conn) = &mut self.conn
            && let Err(error) = answered(self.location.dialect(), conn.conn.ping()).await
        {
            tracing::debug!(%error, "an idle connection to the database was lost");
            self.conn = None;
        }
    }

    /// Writes a batch and sends its callers what came of it. What others are in the way of is put aside.
    async fn write(&mut self, queued: &mut Vec<Box<dyn Queued>>) {
        let mut batch = Batch::of(queued.drain(..));
        batch.queue_behind(&mut self.aside);
        // Too much of their time has gone while others were written.
        batch.fail_open(Instant::now() + self.pace.least(), &StoreError::Busy);
        batch.send_settled(&self.wake);
        self.commit_patiently(&mut batch).await;
        batch.append_to(&mut self.aside);
        self.write_aside().await;
        if let Some(conn) = &mut self.conn
            && let Err(error) = self.log.keep_short(&mut conn.conn).await
        {
            tracing::warn!(%error, "the log of the database could not be cut");
            self.disconnect().await;
        }
        if let (Some(conn), Some(marks)) = (&mut self.conn, &mut self.marks)
            && let Err(error) = marks.forget(&mut conn.conn).await
        {
            tracing::debug!(%error, "old marks of the database were not forgotten");
            self.conn = None;
        }
    }

    /// Writes what was put aside, if it is time to try it again.
    async fn write_aside(&mut self) {
        let before = self.aside.len();
        if before == 0 || Instant::now() < self.look_at {
            return;
        }
        let mut aside = mem::take(&mut self.aside);
        aside.fail_late(Instant::now() + LEAST, &StoreError::Locked);
        aside.send_settled(&self.wake);
        // Once nobody is in the way any more, all are written at once.
        (aside.is_apart, aside.is_hasty) = (false, true);
        self.commit_patiently(&mut aside).await;
        if aside.len() < before {
            self.pause = FIRST_PAUSE;
        } else {
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            // Another kind has its turn first.
            aside.kinds.rotate_left(1);
        }
        self.look_at = Instant::now() + self.pause;
        self.aside = aside;
    }

    /// Writes a batch; what may succeed later again and again, until its caller has waited long enough. What others are in the
    /// way of is left.
    async fn commit_patiently(&mut self, batch: &mut Batch) {
        let mut pause = FIRST_PAUSE;
        while batch.len() > 0 {
            let committed = self.commit(batch).await;
            batch.send_settled(&self.wake);
            let Err(failure) = committed else {
                return;
            };
            self.give_up(batch, &failure, pause);
            // Callers are told before any goodbye.
            self.undo(&failure.error).await;
            if batch.len() > 0 {
                tracing::debug!(error = %failure.error, "a database transaction is repeated");
                sleep(pause).await;
                pause = (2 * pause).min(LONGEST_PAUSE);
            }
        }
    }

    /// Tells the callers of what is not repeated after a pause.
    fn give_up(&mut self, batch: &mut Batch, failure: &Failure, pause: Duration) {
        let Failure { error, is_passing } = failure;
        let before = batch.len();
        let next = Instant::now() + pause;
        if *is_passing {
            batch.fail_open(next + LEAST, error);
        } else {
            batch.fail_all(State::Open, error);
        }
        if self.doubt.is_some() {
            // It is asked for as long as somebody waits for it, whatever the reason.
            batch.fail_committing(next);
        } else {
            batch.fail_all(State::Committing, error);
        }
        batch.send_settled(&self.wake);
        self.aside.fail_late(next + LEAST, &StoreError::Locked);
        self.aside.send_settled(&self.wake);
        let writes = before - batch.len();
        if writes > 0 {
            tracing::error!(%error, writes, "a database transaction failed");
        }
    }

    /// Undoes what was not committed because of this error. The connection is kept if the server said it itself.
    async fn undo(&mut self, error: &StoreError) {
        let is_server = self.location.dialect() != Dialect::Sqlite;
        match (error, &mut self.conn) {
            (StoreError::Conflict | StoreError::Locked | StoreError::TooSlow, Some(conn))
                if is_server =>
            {
                if !matches!(timeout(UNDO, conn.undo()).await, Ok(Ok(()))) {
                    self.conn = None;
                }
            }
            // Nothing was begun, and it goes on with the same files once they are back.
            (StoreError::Replaced { .. }, _) => {}
            // Nobody is there to say goodbye to.
            (StoreError::Unreachable { .. }, _) if is_server => self.conn = None,
            // Whatever state it is in, closing it undoes all.
            _ => self.disconnect().await,
        }
    }

    /// Writes a batch. If that fails, some of it may be settled.
    async fn commit(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        // What is written to a file that is not there any more is lost.
        self.files.check().map_err(Failure::fatal)?;
        let deadline = batch.deadline();
        // Nobody waits for it longer.
        until(deadline, self.prepare(batch)).await?;
        if !batch.is_open() {
            return Ok(());
        }
        // What has begun is not cut as soon as nobody waits for it: it would be begun again.
        let (since, writes) = (Instant::now(), batch.len());
        let end = deadline.map(|deadline| deadline.max(since + TRANSACTION));
        let written = until(end, self.write_open(batch)).await;
        if !batch.is_apart && end.is_some_and(|end| end <= Instant::now()) {
            self.pace.took_in_vain(writes, since.elapsed());
        }
        written
    }

    /// Connects, and asks what came of the last commit if that is not known.
    async fn prepare(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let dialect = self.location.dialect();
        let before_commit = |error| Failure::before_commit(error, dialect);
        if self.conn.is_none() {
            let conn = self
                .location
                .connect_writer()
                .await
                .map_err(before_commit)?;
            self.files.opened();
            self.pace.reconnected();
            self.conn = Some(Connection::new(conn, dialect));
        }
        if let Some(conn) = &mut self.conn
            && let Some(Doubt { mark, .. }) = &self.doubt
        {
            let committed = conn.has_committed(mark).await.map_err(before_commit)?;
            tracing::debug!(committed, "a commit without an answer");
            let fault = self.doubt.take().and_then(|doubt| doubt.fault);
            batch.resolve(committed, fault.as_ref());
            batch.send_settled(&self.wake);
        }
        Ok(())
    }

    /// Writes what is open, together or each in a transaction of its own.
    async fn write_open(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let kind = TransactionKind {
            dialect: self.location.dialect(),
            durable: batch.is_durable(),
            marked: self.log.is_to_be_marked(),
            hasty: batch.is_hasty,
        };
        let Self {
            conn: Some(conn),
            doubt,
            pace,
            wake,
            ..
        } = self
        else {
            return Ok(());
        };
        if !batch.is_apart {
            match commit_together(conn, batch, kind, doubt, pace).await {
                Ok(true) => return Ok(()),
                Ok(false) => batch.is_apart = true,
                Err(failure) => {
                    // Some of it need not wait for the rest.
                    batch.is_apart = failure.is_of_a_few();
                    batch.is_hasty |= batch.is_apart;
                    return Err(failure);
                }
            }
        }
        let mut round = Round {
            conn,
            kind,
            doubt,
            wake,
            passed_over: Locks::default(),
            until: batch.is_hasty.then(|| Instant::now() + ROUND),
        };
        for group in &mut batch.kinds {
            group.run_each(&mut round).await?;
        }
        Ok(())
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
    doubt: &mut Option<Doubt>,
    pace: &mut Pace,
) -> Result<bool, Failure> {
    let before_commit = |error| Failure::before_commit(error, kind.dialect);
    let (mut begun, mark) = conn.begin(kind).await.map_err(before_commit)?;
    let mut tx = Transaction::new(&mut begun, kind.dialect);
    let locks = batch.locks();
    let locked = tx.lock(&locks, kind.hasty).await;
    locked.map_err(before_commit)?;
    // How long others are in the way does not depend on how much is to be written.
    let since = Instant::now();
    let is_kept = batch.run(&mut tx).await.map_err(|error| {
        if matches!(error, StoreError::TooSlow) {
            pace.took_in_vain(batch.len(), since.elapsed());
        }
        before_commit(error)
    })?;
    if !is_kept {
        let undone = answered(kind.dialect, begun.rollback()).await;
        undone.map_err(before_commit)?;
        let is_single = batch.len() == 1;
        if is_single {
            batch.settle();
        }
        return Ok(is_single);
    }
    let until_commit = since.elapsed();
    batch.committing();
    *doubt = mark.map(Doubt::of);
    let committed = answered(kind.dialect, begun.commit()).await;
    committed.map_err(|error| Doubt::commit_failed(doubt, error))?;
    *doubt = None;
    batch.resolve(true, None);
    pace.took(batch.len(), until_commit, since.elapsed());
    Ok(true)
}

/// Waits until `deadline` at the longest.
async fn until(
    deadline: Option<Instant>,
    done: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let Some(deadline) = deadline else {
        return done.await;
    };
    let done = timeout_at(deadline.into(), done).await;
    done.unwrap_or_else(|_| Err(Failure::passing(server::silence())))
}
