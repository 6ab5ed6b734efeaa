//! How long the writer waits for a server.

use std::time::Duration;

use tokio::time::timeout;

use crate::dialect::Dialect;
use crate::{StoreError, server};

/// How long a write to a server may take in all, from when it is queued until its caller is told what came of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long before that it is given up, so that its caller is told why.
pub(super) const GRACE: Duration = Duration::from_millis(250);

/// How long a server may take for one answer: longer than it gives itself for a statement. One that is slower is silent, and
/// another connection to it may be answered at once.
const ANSWER: Duration = Duration::from_secs(6);

/// How long a transaction may take in all.
pub(super) const TRANSACTION: Duration = Duration::from_secs(8);

/// How long it may take to undo what was begun; otherwise another connection is made.
pub(super) const UNDO: Duration = Duration::from_secs(1);

/// How much of its time a write has to have left when it is begun in a transaction of its own.
pub(super) const LEAST_ALONE: Duration = Duration::from_millis(500);

/// Waits for what a database is asked. A server that is silent has lost the connection.
pub(super) async fn answered<T>(
    dialect: Dialect,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    if dialect == Dialect::Sqlite {
        return Ok(asked.await?);
    }
    match timeout(ANSWER, asked).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(server::silence()),
    }
}
