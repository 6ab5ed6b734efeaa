//! The connections that read.

use std::time::{Duration, Instant};

use sqlx::AnyPool;
use sqlx::any::AnyRow;
use tokio::time::sleep;

use crate::StoreError;
use crate::dialect::Dialect;
use crate::fetch::{All, Cut, Fetch, First, One};
use crate::page::{JsonBytes, Page};
use crate::server_pool::ServerPool;
use crate::statement::Statement;

/// How long it is waited for what a server reads, which stops by itself earlier.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);

/// How long a server that cannot be reached is asked again by those who can wait, and the pause between.
const OUTAGE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

/// Connections that read, and what the statements that they are handed are written in.
#[derive(Debug, Clone)]
pub(crate) struct Readers {
    pool: ReaderPool,
    dialect: Dialect,
}

/// Where the connections come from.
#[derive(Debug, Clone)]
pub(crate) enum ReaderPool {
    /// Those of a file.
    File(AnyPool),
    /// Those of a server.
    Server(ServerPool),
}

impl Readers {
    pub(crate) fn new(pool: ReaderPool, dialect: Dialect) -> Self {
        Self { pool, dialect }
    }

    /// Whose texts they understand.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// All rows that a statement returns.
    pub(crate) async fn fetch_all(&self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        self.read(statement, All).await
    }

    /// The only row that a statement returns.
    pub(crate) async fn fetch_one(&self, statement: Statement) -> Result<AnyRow, StoreError> {
        self.read(statement, One).await
    }

    /// The first row that a statement returns, if any.
    pub(crate) async fn fetch_optional(
        &self,
        statement: Statement,
    ) -> Result<Option<AnyRow>, StoreError> {
        self.read(statement, First).await
    }

    async fn read<W: Fetch>(
        &self,
        statement: Statement,
        wanted: W,
    ) -> Result<W::Output, StoreError> {
        match &self.pool {
            ReaderPool::File(pool) => wanted.fetch(statement.query(self.dialect)?, pool).await,
            ReaderPool::Server(pool) => pool.read(statement, wanted).await,
        }
    }

    /// Up to `limit` items that a statement returns, and no more than `max_bytes` hold, but one at least.
    pub(crate) async fn page<T, R>(
        &self,
        statement: Statement,
        limit: u32,
        max_bytes: usize,
        read: R,
    ) -> Result<Page<T>, StoreError>
    where
        T: JsonBytes + Send + 'static,
        R: Fn(&AnyRow) -> Result<T, StoreError> + Send + 'static,
    {
        let cut = Cut {
            limit,
            max_bytes,
            read,
        };
        self.read(statement, cut).await
    }

    /// Up to `limit` items that a statement returns, which asks for one more, and no more than `max_bytes` hold, but one at
    /// least. A server that cannot be reached, or has no connection free, is asked again for a while.
    pub(crate) async fn page_patiently<T, R>(
        &self,
        statement: impl Fn() -> Statement,
        limit: u32,
        max_bytes: usize,
        read: R,
    ) -> Result<Page<T>, StoreError>
    where
        T: JsonBytes + Send + 'static,
        R: Fn(&AnyRow) -> Result<T, StoreError> + Clone + Send + 'static,
    {
        let deadline = Instant::now() + OUTAGE;
        loop {
            let page = Cut {
                limit,
                max_bytes,
                read: read.clone(),
            };
            match self.read(statement(), page).await {
                Err(StoreError::Unreachable { .. } | StoreError::Busy)
                    if Instant::now() + PAUSE < deadline =>
                {
                    sleep(PAUSE).await;
                }
                found => return found,
            }
        }
    }

    /// The connections, for what tests do to them.
    #[cfg(test)]
    pub(crate) fn pool(&self) -> &AnyPool {
        match &self.pool {
            ReaderPool::File(pool) => pool,
            ReaderPool::Server(_) => unimplemented!("the tests use a file"),
        }
    }

    pub(crate) async fn close(&self) {
        match &self.pool {
            ReaderPool::File(pool) => pool.close().await,
            ReaderPool::Server(pool) => pool.close().await,
        }
    }
}
