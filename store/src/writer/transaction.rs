//! The transaction that the operations of a batch share.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use sqlx::{Any, AnyConnection, Either, Executor as _};

use super::file_transaction::FileTransaction;
use super::locks::{LockMode, Locks};
use super::patience::answered;
use crate::counts::Counts;
use crate::credential_cache::Ending;
use crate::dialect::Dialect;
use crate::statement::{Results, Script, Statement, StatementResult};
use crate::{Changed, StoreError};

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct TransactionKind {
    pub(super) dialect: Dialect,
    /// Whether it survives a power failure once it is committed.
    pub(super) durable: bool,
    /// Whether it says to which file the log belongs.
    pub(super) marked: bool,
    /// Whether all is run at once that need not be, so that it is known what fails.
    pub(super) careful: bool,
    /// How long it waits at most for what others have locked, if not as long as usual.
    pub(super) haste: Option<Duration>,
}

/// The transaction that the operations of a batch share.
pub(crate) struct Transaction<'c> {
    begun: Begun<'c>,
    dialect: Dialect,
    counts: Counts,
    /// Whether nothing is deferred, so that it is known whose fault it is if something fails.
    careful: bool,
    ending: Ending,
}

/// Where a transaction is.
pub(super) enum Begun<'c> {
    File(FileTransaction<'c>),
    Server(sqlx::Transaction<'c, Any>),
}

impl<'c> Transaction<'c> {
    pub(super) fn new(begun: Begun<'c>, kind: TransactionKind, ending: Ending) -> Self {
        Self {
            begun,
            dialect: kind.dialect,
            counts: Counts::default(),
            careful: kind.careful,
            ending,
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

    /// What an operation changes of rights: what was remembered of it is forgotten when this has ended, before anyone learns how.
    pub(crate) fn changes_rights(&mut self, changes: &[Changed]) {
        self.ending.add(changes);
    }

    /// Writes what all operations have counted, as the last before the commit: once, and not in the order of the operations.
    pub(super) async fn write_counts(&mut self) -> Result<(), StoreError> {
        self.defer(self.counts.script(self.dialect)).await
    }

    /// Runs a phase: all of its statements, in order, until one fails.
    pub(crate) async fn run(&mut self, script: Script) -> Result<Results, StoreError> {
        if script.0.is_empty() {
            return Ok(Results(vec![]));
        }
        match &mut self.begun {
            Begun::File(file) => file.run(script).await,
            Begun::Server(conn) => {
                let mut results = Vec::with_capacity(script.0.len());
                for statement in script.0 {
                    results.push(run_on_server(conn, statement, self.dialect).await?);
                }
                Ok(Results(results))
            }
        }
    }

    /// Runs a phase of which nothing has to be known: if that costs less, with what is run next, or as it is committed. If it fails
    /// then, all is run again, and this waits for it.
    pub(crate) async fn defer(&mut self, script: Script) -> Result<(), StoreError> {
        match &mut self.begun {
            Begun::File(file) if !self.careful => {
                file.defer(script);
                Ok(())
            }
            Begun::File(_) | Begun::Server(_) => self.run(script).await.map(drop),
        }
    }

    /// Runs one statement, and returns how many rows it changed.
    pub(crate) async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        let mut script = Script::default();
        let part = script.add(statement);
        Ok(self.run(script).await?.changed(&part))
    }

    /// Whether something that was deferred failed before the commit, in the run of somebody else.
    pub(super) fn has_deferred_failed(&self) -> bool {
        matches!(&self.begun, Begun::File(file) if file.has_deferred_failed())
    }

    /// Whether a commit that fails may be the fault of what was deferred.
    pub(super) fn has_deferred(&self) -> bool {
        matches!(&self.begun, Begun::File(file) if file.has_deferred())
    }

    /// Commits.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self.begun {
            Begun::File(file) => file.commit().await,
            Begun::Server(begun) => answered(self.dialect, begun.commit()).await,
        }
    }

    /// Undoes all.
    pub(super) async fn rollback(self) -> Result<(), StoreError> {
        match self.begun {
            Begun::File(file) => file.rollback().await,
            Begun::Server(begun) => answered(self.dialect, begun.rollback()).await,
        }
    }

    /// The connection, for what tests do to it.
    #[cfg(test)]
    pub(crate) async fn connection(&mut self) -> Result<&mut AnyConnection, StoreError> {
        match &mut self.begun {
            Begun::File(file) => file.connection().await,
            Begun::Server(begun) => Ok(begun),
        }
    }
}

async fn run_on_server(
    conn: &mut AnyConnection,
    statement: Statement,
    dialect: Dialect,
) -> Result<StatementResult, StoreError> {
    let mut stream = conn.fetch_many(statement.query(dialect)?);
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
    answered(dialect, result).await
}
