//! The connections that read.

use futures_util::{Stream, StreamExt as _, stream};
use sqlx::AnyPool;
use sqlx::any::AnyRow;

use crate::StoreError;
use crate::dialect::Dialect;
use crate::statement::Statement;

/// Connections that read, and what the statements that they are handed are written in.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    pool: AnyPool,
    dialect: Dialect,
}

impl Readers {
    pub(crate) fn new(pool: AnyPool, dialect: Dialect) -> Self {
        Self { pool, dialect }
    }

    /// Whose texts they understand.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// All rows that a statement returns.
    pub(crate) async fn fetch_all(&self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        let query = statement.query(self.dialect)?;
        Ok(query.fetch_all(&self.pool).await?)
    }

    /// The only row that a statement returns.
    pub(crate) async fn fetch_one(&self, statement: Statement) -> Result<AnyRow, StoreError> {
        let query = statement.query(self.dialect)?;
        Ok(query.fetch_one(&self.pool).await?)
    }

    /// The first row that a statement returns, if any.
    pub(crate) async fn fetch_optional(
        &self,
        statement: Statement,
    ) -> Result<Option<AnyRow>, StoreError> {
        let query = statement.query(self.dialect)?;
        Ok(query.fetch_optional(&self.pool).await?)
    }

    /// The rows that a statement returns, one after the other.
    pub(crate) fn fetch(
        &self,
        statement: Statement,
    ) -> impl Stream<Item = Result<AnyRow, sqlx::Error>> + Send {
        match statement.query(self.dialect) {
            Ok(query) => query.fetch(&self.pool),
            Err(error) => stream::iter([Err(error)]).boxed(),
        }
    }

    /// The connections, for what tests do to them.
    #[cfg(test)]
    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}
