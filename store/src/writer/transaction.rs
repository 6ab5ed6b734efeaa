//! The transaction that the operations of a batch share.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{AnyConnection, Either, Executor as _};

use super::locks::{LockMode, Locks};
use super::patience::answered;
use crate::StoreError;
use crate::counts::Counts;
use crate::dialect::{Dialect, begin_write};
use crate::statement::{Results, Script, Statement, StatementResult};

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct TransactionKind {
    pub(super) dialect: Dialect,
    /// Whether it survives a power failure once it is committed.
    pub(super) durable: bool,
    /// Whether it says to which file the log belongs.
    pub(super) marked: bool,
    /// How long it waits at most for what others have locked, if not as long as usual.
    pub(super) haste: Option<Duration>,
}

impl TransactionKind {
    /// What begins it.
    pub(super) fn begin(self) -> &'static str {
        begin_write(self.dialect, self.durable, self.marked)
    }
}

/// The transaction that the operations of a batch share.
pub(crate) struct Transaction<'c> {
    conn: &'c mut AnyConnection,
    dialect: Dialect,
    counts: Counts,
}

impl<'c> Transaction<'c> {
    pub(super) fn new(conn: &'c mut AnyConnection, dialect: Dialect) -> Self {
        Self {
            conn,
            dialect,
            counts: Counts::default(),
        }
    }

    /// Whose texts it understands.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Locks what operations lock, and waits for what others have locked.
    pub(super) async fn lock(&mut self, locks: &Locks) -> Result<(), StoreError> {
        let (script, _) = locks.script(self.dialect, LockMode::Wait);
        self.run(script).await.map(drop)
    }

    /// Locks what operations lock, but for what others have locked: that is returned.
    pub(crate) async fn lock_free(&mut self, locks: &Locks) -> Result<Locks, StoreError> {
        let (script, rows) = locks.script(self.dialect, LockMode::Skip);
        let mut missing = locks.clone();
        missing.remove(&rows.read(&self.run(script).await?)?);
        if missing.is_empty() {
            return Ok(missing);
        }
        // What is not there, as of an account that was deleted, is nobody's.
        let (script, rows) = missing.script(self.dialect, LockMode::Look);
        rows.read(&self.run(script).await?)
    }

    /// What an operation changes of what is counted.
    pub(crate) fn count(&mut self, counts: &Counts) {
        self.counts.add(counts);
    }

    /// Writes what all operations have counted, as the last before the commit: once, and not in the order of the operations.
    pub(super) async fn write_counts(&mut self) -> Result<(), StoreError> {
        self.run(self.counts.script(self.dialect)).await.map(drop)
    }

    /// Runs a phase: all of its statements, in order, until one fails.
    pub(crate) async fn run(&mut self, script: Script) -> Result<Results, StoreError> {
        let mut results = Vec::with_capacity(script.0.len());
        for statement in script.0 {
            results.push(self.run_one(statement).await?);
        }
        Ok(Results(results))
    }

    async fn run_one(&mut self, statement: Statement) -> Result<StatementResult, StoreError> {
        let mut stream = self.conn.fetch_many(statement.query(self.dialect)?);
        let result = async {
            let mut result = StatementResult::default();
            while let Some(one) = stream.try_next().await? {
                match one {
                    Either::Left(done) => result.changed += done.rows_affected(),
                    Either::Right(row) => result.rows.push(row),
                }
            }
            Ok(result)
        };
        answered(self.dialect, result).await
    }

    /// Runs one statement, and returns how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        Ok(self.run_one(statement).await?.changed)
    }

    /// The connection, for what tests do to it.
    #[cfg(test)]
    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        self.conn
    }
}
