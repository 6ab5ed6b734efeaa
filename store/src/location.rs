//! Where the database is, and connections to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection};

use crate::StoreError;
use crate::dialect::{self, Dialect, Fault, ListPool};

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    url: String,
    file: PathBuf,
    dialect: Dialect,
}

impl Location {
    /// Checks the address of a database.
    pub(crate) fn parse(url: String) -> Result<Self, StoreError> {
        let file = dialect::file_of(&url)?;
        // What has a file is SQLite.
        let dialect = Dialect::of_url(&url).unwrap_or(Dialect::Sqlite);
        Ok(Self { url, file, dialect })
    }

    /// Which database it is.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Refuses a log that is not of this file, before SQLite takes it.
    pub(crate) async fn check_log(&self) -> Result<(), StoreError> {
        if dialect::is_foreign(&self.file).await {
            let path = self.file.clone();
            return Err(StoreError::ForeignLog { path });
        }
        Ok(())
    }

    /// Connects the writer.
    pub(crate) async fn connect_writer(&self) -> Result<AnyConnection, StoreError> {
        sqlx::any::install_default_drivers();
        let connected = async {
            let mut conn = AnyConnection::connect(&self.url).await?;
            dialect::set_up_writer(&mut conn).await?;
            Ok(conn)
        };
        connected.await.map_err(|error| self.explain(error))
    }

    /// Makes a connection that reads.
    pub(crate) async fn connect_reader(&self) -> Result<AnyConnection, StoreError> {
        let connected = async {
            let mut conn = AnyConnection::connect(&self.url).await?;
            dialect::set_up_reader(&mut conn).await?;
            Ok(conn)
        };
        connected.await.map_err(|error| self.explain(error))
    }

    /// Makes a pool of `count` connections that read.
    pub(crate) async fn connect_readers(&self, count: u32) -> Result<AnyPool, StoreError> {
        AnyPoolOptions::new()
            .max_connections(count.max(1))
            .acquire_timeout(READER_WAIT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(|conn, _| Box::pin(dialect::set_up_reader(conn)))
            .connect(&self.url)
            .await
            .map_err(|error| self.explain(error))
    }

    /// Makes `count` connections for lists.
    pub(crate) async fn connect_lists(&self, count: u32) -> Result<ListPool, StoreError> {
        let connected = ListPool::connect(&self.url, count).await;
        connected.map_err(|error| self.explain(error))
    }

    /// What `error` means to who opens the database.
    pub(crate) fn explain(&self, error: sqlx::Error) -> StoreError {
        let path = self.file.clone();
        let reason = || dialect::reason(&error);
        match dialect::fault(&error) {
            Some(Fault::Unwritable) => StoreError::Unwritable {
                path,
                reason: reason(),
            },
            Some(Fault::Corrupt) => StoreError::Corrupt {
                path,
                reason: reason(),
            },
            Some(Fault::NotADatabase) => StoreError::NotADatabase { path },
            Some(Fault::Locked | Fault::Stopped) | None => error.into(),
        }
    }
}
