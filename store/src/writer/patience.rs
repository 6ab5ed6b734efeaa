//! How long the writer waits for a server.

use std::time::Duration;

use tokio::time::timeout;

use crate::dialect::Dialect;
use crate::{StoreError, server};

/// How long a server may take for one answer: longer than it waits for a lock. One that is slower is silent, and another
/// connection to it may be answered at once.
pub(super) const ANSWER: Duration = Duration::from_secs(6);

/// How much of its time a write has to have left when it is begun. Under more writes than the server keeps up with, all
/// would otherwise be begun too late to end in time.
pub(super) const LEAST: Duration = Duration::from_secs(2);

/// The same for a write in a transaction of its own.
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
