//! The task that writes: batch after batch.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Connection as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, sleep_until, timeout};

use super::aside::Aside;
use super::batch::{Batch, Mode, Queued};
use super::connection::Connection;
use super::failure::{Doubt, Failure, is_broken, until};
use super::group::Round;
use super::locks::Locks;
use super::log::Log;
use super::observers::Observers;
use super::old_marks::OldMarks;
use super::operation::Channel;
use super::pace::{LEAST, Pace};
use super::patience::{TRANSACTION, UNDO, answered};
use super::transaction::TransactionKind;
use super::waiting::State;
use crate::StoreError;
use crate::dialect::Dialect;
use crate::location::Location;
use crate::open_files::OpenFiles;
use crate::server;

/// How long writes may have a transaction each before the rest has its turn.
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
    /// What others were in the way of.
    aside: Aside,
    /// Of the last commit, until it is known what came of it: nothing is written before.
    doubt: Option<Doubt>,
    /// `None` after a failure, until the next batch.
    conn: Option<Connection>,
    operations: mpsc::Receiver<Box<dyn Queued>>,
    stop: Arc<Notify>,
    observers: Observers,
}

impl Task {
    pub(super) fn new(
        channel: Channel,
        location: Location,
        conn: AnyConnection,
        operations: mpsc::Receiver<Box<dyn Queued>>,
        stop: Arc<Notify>,
        observers: Observers,
    ) -> Self {
        Self {
            files: OpenFiles::of(location.file()),
            log: Log::of(location.file()),
            marks: (channel == Channel::Soft).then(|| OldMarks::new(location.dialect())),
            pace: Pace::of(location.dialect()),
            aside: Aside::new(),
            doubt: None,
            conn: Some(Connection::new(conn, location.dialect(), &observers)),
            location,
            operations,
            stop,
            observers,
        }
    }

    /// Writes batch after batch until it has to stop or no one can write any more.
    pub(super) async fn run(mut self) {
        let mut queued = vec![];
        loop {
            let most = self.pace.most().min(self.aside.room());
            let waits = self.aside.len() > 0;
            tokio::select! {
                biased;
                () = self.stop.notified() => {
                    // From here on, nothing is added and the rest is received.
                    self.operations.close();
                    continue;
                }
                received = self.operations.recv_many(&mut queued, most), if most > 0 => {
                    if received == 0 && !waits {
                        break;
                    }
                    if received == 0 {
                        sleep_until(self.aside.look_at().into()).await;
                    }
                }
                () = sleep_until(self.aside.look_at().into()), if waits => {}
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
        let since = Instant::now();
        let mut new = Batch::of(queued.drain(..));
        let locked = &StoreError::Locked;
        self.aside
            .fail_late(since + LEAST, locked, &self.observers.wake);
        let mut batch = self.aside.take_due(&self.observers.wake);
        let tried = batch.len();
        self.aside.hold_back(&mut new);
        // Too much of their time has gone while others were written.
        new.fail_open(since + self.pace.least(), &StoreError::Busy);
        new.send_settled(&self.observers.wake);
        let before = tried + self.aside.len();
        batch.append(new);
        if before > 0 {
            batch.mode = Mode::Hasty;
        }
        self.commit_patiently(&mut batch).await;
        self.aside.put(batch);
        self.aside.rest(before, tried > 0, since.elapsed());
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

    /// Writes a batch; what may succeed later again and again, until its caller has waited long enough. What others are in the
    /// way of is left.
    async fn commit_patiently(&mut self, batch: &mut Batch) {
        let mut pause = FIRST_PAUSE;
        while batch.len() > 0 {
            let committed = self.commit(batch).await;
            batch.send_settled(&self.observers.wake);
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
        batch.send_settled(&self.observers.wake);
        let error_aside = if *is_passing {
            error
        } else {
            &StoreError::Locked
        };
        self.aside
            .fail_late(next + LEAST, error_aside, &self.observers.wake);
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
        let (since, writes) = (Instant::now(), batch.shared());
        let end = deadline.map(|deadline| deadline.max(since + TRANSACTION));
        let written = until(end, self.write_open(batch)).await;
        if batch.shared() > 0 && end.is_some_and(|end| end <= Instant::now()) {
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
            self.conn = Some(Connection::new(conn, dialect, &self.observers));
        }
        if let Some(conn) = &mut self.conn
            && let Some(Doubt { mark, .. }) = &self.doubt
        {
            let committed = conn.has_committed(mark).await.map_err(before_commit)?;
            tracing::debug!(committed, "a commit without an answer");
            let fault = self.doubt.take().and_then(|doubt| doubt.fault);
            batch.resolve(committed, fault.as_ref());
            batch.send_settled(&self.observers.wake);
        }
        Ok(())
    }

    /// Writes what is open: in one transaction, and then those in one of their own that are to have it.
    async fn write_open(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let kind = TransactionKind {
            dialect: self.location.dialect(),
            durable: batch.is_durable(),
            marked: self.log.is_to_be_marked(),
            // Those that have one each: whose fault it is, is known then.
            careful: true,
            haste: None,
        };
        let is_server = kind.dialect != Dialect::Sqlite;
        while batch.shared() > 0 {
            let haste = (batch.mode == Mode::Hasty).then(|| self.aside.haste());
            let careful = batch.is_careful;
            let kind = TransactionKind {
                haste,
                careful,
                ..kind
            };
            let committed = self.commit_together(batch, kind).await;
            if committed.as_ref().is_err_and(Failure::is_of_a_few) {
                batch.mode = Mode::Hasty;
            }
            committed?;
            batch.send_settled(&self.observers.wake);
        }
        let Some(conn) = &mut self.conn else {
            return Ok(());
        };
        let haste = is_server.then(|| self.aside.haste());
        let mut round = Round {
            conn,
            kind: TransactionKind { haste, ..kind },
            doubt: &mut self.doubt,
            wake: &self.observers.wake,
            passed_over: Locks::default(),
            until: is_server.then(|| Instant::now() + ROUND),
        };
        for group in batch.apart() {
            group.run_each(&mut round).await?;
        }
        self.aside.pass_over(round.passed_over);
        Ok(())
    }

    /// Commits those that share a transaction, but for those that others are in the way of, if it is hasty. None is kept if a
    /// kind of them fails.
    async fn commit_together(
        &mut self,
        batch: &mut Batch,
        kind: TransactionKind,
    ) -> Result<(), Failure> {
        let Self {
            conn: Some(conn),
            doubt,
            pace,
            aside,
            ..
        } = self
        else {
            return Ok(());
        };
        let before_commit = |error| Failure::before_commit(error, kind.dialect);
        let (mut tx, mark) = conn.begin(kind).await.map_err(before_commit)?;
        match batch.mode {
            _ if kind.dialect == Dialect::Sqlite => {}
            Mode::Patient => tx.lock(&batch.locks()).await.map_err(before_commit)?,
            Mode::Hasty => {
                let in_line = mem::take(&mut batch.in_line);
                if kind.dialect == Dialect::Postgres {
                    tx.lock(&in_line).await.map_err(before_commit)?;
                }
                let locked = tx.lock_free(&batch.locks()).await.map_err(before_commit)?;
                aside.put_locked(batch, locked, pace.most());
            }
        }
        // How long others are in the way does not depend on how much is to be written.
        let since = Instant::now();
        let is_kept = batch.shared() > 0
            && batch.run(&mut tx).await.map_err(|error| {
                if matches!(error, StoreError::TooSlow) {
                    pace.took_in_vain(batch.shared(), since.elapsed());
                }
                before_commit(error)
            })?;
        if !is_kept {
            return tx.rollback().await.map_err(before_commit);
        }
        let until_commit = since.elapsed();
        batch.committing();
        *doubt = mark.map(Doubt::of);
        let has_deferred = tx.has_deferred();
        match tx.commit().await {
            Err(error) if has_deferred && !is_broken(&error) => {
                batch.resolve(false, None);
                batch.is_careful = true;
                return Ok(());
            }
            committed => committed.map_err(|error| Doubt::commit_failed(doubt, error))?,
        }
        *doubt = None;
        batch.resolve(true, None);
        pace.took(batch.shared(), until_commit, since.elapsed());
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
