//! A transaction in a file.
//!
//! To hand something over to SQLite's thread and to be woken by it costs more than most statements, so as much as possible is
//! handed over at once: what begins a transaction with its first script, and what ends it with its last.

use sqlx::{AnyConnection, Executor as _};

use super::transaction::TransactionKind;
use crate::StoreError;
use crate::dialect::{BEGIN_WRITE, MARK_LOG};
use crate::statement::{Results, Script, Statement, run_joined};

/// SQLite takes how durable a commit is from a setting of the connection, and reads it as it prepares the statement: so this text
/// is never kept prepared. It is `FULL` but within what need not be durable.
const BEGIN_SOFT: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";
const COMMIT_SOFT: &str = "COMMIT; PRAGMA synchronous = FULL";
const ROLLBACK: &str = "ROLLBACK; PRAGMA synchronous = FULL";

/// A transaction in a file, of which sqlx does not know. If it is neither committed nor rolled back, the connection is to be closed.
pub(super) struct FileTransaction<'c> {
    conn: &'c mut AnyConnection,
    durable: bool,
    /// What comes before the next script.
    before: Script,
    has_begun: bool,
    /// What is written with the next script or with the commit.
    deferred: Script,
    /// Whether anything ever was.
    has_deferred: bool,
}

impl<'c> FileTransaction<'c> {
    pub(super) async fn new(
        conn: &'c mut AnyConnection,
        kind: TransactionKind,
    ) -> Result<Self, StoreError> {
        let mut before = Script::default();
        if kind.durable {
            before.add(Statement::new(BEGIN_WRITE));
        } else {
            conn.execute(BEGIN_SOFT).await?;
        }
        if kind.marked {
            before.add(Statement::new(MARK_LOG));
        }
        Ok(Self {
            conn,
            durable: kind.durable,
            before,
            has_begun: !kind.durable,
            deferred: Script::default(),
            has_deferred: false,
        })
    }

    /// Whether something was deferred: then a commit that fails may be the fault of that.
    pub(super) fn has_deferred(&self) -> bool {
        self.has_deferred
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
            let deferred = std::mem::take(&mut self.deferred);
            self.hand_over(deferred).await?;
        }
        self.hand_over(script).await
    }

    async fn hand_over(&mut self, script: Script) -> Result<Results, StoreError> {
        let mut all = std::mem::take(&mut self.before);
        let before = all.0.len();
        all.0.extend(script.0);
        self.has_begun |= before > 0;
        let mut results = run_joined(self.conn, all).await?;
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
        let mut script = std::mem::take(&mut self.deferred);
        if self.durable {
            // Nothing was run at all.
            if !self.has_begun && script.0.is_empty() {
                return Ok(());
            }
            script.add(Statement::new("COMMIT"));
            self.hand_over(script).await?;
        } else {
            if !script.0.is_empty() || !self.before.0.is_empty() {
                self.hand_over(script).await?;
            }
            self.conn.execute(COMMIT_SOFT).await?;
        }
        Ok(())
    }

    /// Undoes all.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        if self.has_begun {
            self.conn.execute(ROLLBACK).await?;
        }
        Ok(())
    }

    /// The connection, after the transaction has begun.
    #[cfg(test)]
    pub(super) async fn connection(&mut self) -> Result<&mut AnyConnection, StoreError> {
        self.run(Script::default()).await?;
        Ok(self.conn)
    }
}
