//! A transaction in a file.
//!
//! To hand something over to SQLite's thread and to be woken by it costs more than most statements, so as much as possible is
//! handed over at once: what begins a transaction with its first script, and what ends it with its last.

use std::mem;

use sqlx::AnyConnection;

use crate::StoreError;
use crate::dialect::{BEGIN_WRITE, MARK_LOG};
use crate::statement::{Results, Script, Statement, run_joined};

// How durable a commit is, SQLite takes from a setting of the connection: FULL, but for what need not be. It is set when the
// statement is prepared, not when it is run, so no such text is kept prepared.
const FULL: &str = "PRAGMA synchronous = FULL";
const NORMAL: &str = "PRAGMA synchronous = NORMAL";

/// A connection to a file.
pub(super) struct FileConnection<'c> {
    pub(super) conn: &'c mut AnyConnection,
    /// Whether what it commits is as durable as can be.
    pub(super) is_full: &'c mut bool,
}

/// A transaction in a file, of which sqlx does not know. If it is neither committed nor rolled back, the connection is to be closed.
pub(super) struct FileTransaction<'c> {
    to: FileConnection<'c>,
    durable: bool,
    /// What comes before the next script.
    before: Script,
    has_begun: bool,
    /// What is written with the next script or with the commit.
    deferred: Script,
    /// Whether anything ever was.
    has_deferred: bool,
    /// Whether it was that which failed.
    has_deferred_failed: bool,
}

impl<'c> FileTransaction<'c> {
    /// One that survives a power failure once it is committed if it is `durable`, and says to which file the log belongs if it is
    /// `marked`.
    pub(super) async fn new(
        to: FileConnection<'c>,
        durable: bool,
        marked: bool,
    ) -> Result<Self, StoreError> {
        let mut before = Script::default();
        if durable {
            if !*to.is_full {
                run_once(to.conn, &[FULL]).await?;
                *to.is_full = true;
            }
            before.add(Statement::new(BEGIN_WRITE));
        } else {
            *to.is_full = false;
            run_once(to.conn, &[NORMAL, BEGIN_WRITE]).await?;
        }
        if marked {
            before.add(Statement::new(MARK_LOG));
        }
        Ok(Self {
            to,
            durable,
            before,
            has_begun: !durable,
            deferred: Script::default(),
            has_deferred: false,
            has_deferred_failed: false,
        })
    }

    /// Whether something was deferred: then a commit that fails may be the fault of that.
    pub(super) fn has_deferred(&self) -> bool {
        self.has_deferred
    }

    /// Whether something that was deferred failed before the commit, in the run of somebody else.
    pub(super) fn has_deferred_failed(&self) -> bool {
        self.has_deferred_failed
    }

    /// Runs a script later, at the latest with the commit.
    pub(super) fn defer(&mut self, mut script: Script) {
        self.has_deferred |= !script.0.is_empty();
        self.deferred.0.append(&mut script.0);
    }

    /// Runs what was deferred, and then a script.
    pub(super) async fn run(&mut self, script: Script) -> Result<Results, StoreError> {
        if !self.deferred.0.is_empty() {
            // By itself: what is handed over together has to be one of few texts.
            let deferred = mem::take(&mut self.deferred);
            let run = self.hand_over(deferred).await;
            self.has_deferred_failed = run.is_err();
            run?;
        }
        self.hand_over(script).await
    }

    async fn hand_over(&mut self, script: Script) -> Result<Results, StoreError> {
        let mut all = mem::take(&mut self.before);
        let before = all.0.len();
        all.0.extend(script.0);
        self.has_begun |= before > 0;
        let mut results = run_joined(self.to.conn, all).await?;
        results.0.drain(..before);
        Ok(results)
    }

    /// Commits, and returns after that is as durable as it is to be. If it fails, all is undone.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let committed = self.try_commit().await;
        if committed.is_err() {
            // What failed may have undone it already.
            let _ = self.rollback().await;
        }
        committed
    }

    async fn try_commit(&mut self) -> Result<(), StoreError> {
        let mut script = mem::take(&mut self.deferred);
        if self.durable {
            script.add(Statement::new("COMMIT"));
            self.hand_over(script).await?;
            return Ok(());
        }
        self.hand_over(script).await?;
        self.end("COMMIT").await
    }

    /// Undoes all.
    pub(super) async fn rollback(mut self) -> Result<(), StoreError> {
        match self.has_begun {
            true => self.end("ROLLBACK").await,
            false => Ok(()),
        }
    }

    async fn end(&mut self, how: &'static str) -> Result<(), StoreError> {
        run_once(self.to.conn, &[how, FULL]).await?;
        *self.to.is_full = true;
        Ok(())
    }

    /// The connection, after the transaction has begun.
    #[cfg(test)]
    pub(super) async fn connection(&mut self) -> Result<&mut AnyConnection, StoreError> {
        self.run(Script::default()).await?;
        Ok(self.to.conn)
    }
}

/// Runs texts that are not kept prepared.
async fn run_once(conn: &mut AnyConnection, texts: &[&'static str]) -> Result<(), StoreError> {
    let mut script = Script::default();
    script.add_all(texts.iter().map(|text| Statement::new(*text).once()));
    run_joined(conn, script).await.map(drop)
}
