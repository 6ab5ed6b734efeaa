//! Connections for lists of a SQLite file: they are its own, as nothing else can stop a statement that runs.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _};
use sqlx::any::AnyRow;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Executor as _, Sqlite, SqlitePool};

use super::READER_PRAGMAS;
use crate::{StoreError, bulk};

/// How long a list waits for a free connection.
const WAIT: Duration = Duration::from_secs(5);

/// How often a statement is asked whether it is to go on, in instructions of SQLite: some thousand times a second.
const STEPS: i32 = 10_000;

/// How many rows are read before they are taken.
const ROWS_AHEAD: usize = 4;

/// A parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param<'a> {
    Text(&'a str),
    Int(i64),
}

/// A few connections.
#[derive(Debug)]
pub(crate) struct ListPool(SqlitePool);

impl ListPool {
    /// Connects `count` to the database file with the address `url`.
    pub(crate) async fn connect(url: &str, count: u32) -> Result<Self, sqlx::Error> {
        let url = sqlx::any::AnyConnectOptions::from_str(url)?.database_url;
        let options = SqliteConnectOptions::from_url(&url)?.row_buffer_size(ROWS_AHEAD);
        let pool = SqlitePoolOptions::new()
            .max_connections(count.max(1))
            .acquire_timeout(WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(|conn, _| {
                Box::pin(async move { conn.execute(READER_PRAGMAS).await.map(drop) })
            })
            .connect_with(options)
            .await?;
        Ok(Self(pool))
    }

    /// Waits for a free connection. Its statements are stopped after `limit`, and when what is returned is dropped.
    pub(crate) async fn begin(&self, limit: Duration) -> Result<ListReading, StoreError> {
        let mut conn = self.0.acquire().await?;
        let reading = Arc::new(());
        let waits = Arc::downgrade(&reading);
        let end = Instant::now() + limit;
        let goes_on = move || waits.strong_count() > 0 && Instant::now() < end;
        conn.lock_handle()
            .await?
            .set_progress_handler(STEPS, goes_on);
        Ok(ListReading {
            conn,
            _reading: reading,
        })
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }
}

/// A connection in use.
pub(crate) struct ListReading {
    conn: PoolConnection<Sqlite>,
    _reading: Arc<()>,
}

impl ListReading {
    pub(crate) fn rows<'a>(
        &'a mut self,
        statement: String,
        params: &[Param<'_>],
    ) -> impl Stream<Item = Result<AnyRow, sqlx::Error>> + Send + 'a {
        let mut query = sqlx::query::<Sqlite>(bulk::statement(statement));
        for param in params {
            query = match *param {
                Param::Text(text) => query.bind(text.to_owned()),
                Param::Int(number) => query.bind(number),
            };
        }
        let rows = query.fetch(&mut *self.conn);
        rows.map(|row| AnyRow::try_from(&row?))
    }
}
