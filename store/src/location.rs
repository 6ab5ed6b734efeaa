//! Where the database is, and connections to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection};

use crate::dialect::{self, Dialect, Fault, ListPool};
use crate::lists::{self, Lists};
use crate::readers::{self, ReaderPool, Readers};
use crate::server::Server;
use crate::server_pool::ServerPool;
use crate::{DatabaseUrl, StoreError};

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) enum Location {
    /// A file of SQLite.
    File(DatabaseFile),
    /// A server.
    Server(Server),
}

/// A database file.
#[derive(Debug, Clone)]
pub(crate) struct DatabaseFile {
    url: String,
    path: PathBuf,
}

impl Location {
    /// Checks the address of a database.
    pub(crate) fn parse(url: DatabaseUrl) -> Result<Self, StoreError> {
        match url.dialect() {
            Some(Dialect::Postgres | Dialect::MySql) => Server::parse(&url).map(Self::Server),
            Some(Dialect::Sqlite) | None => DatabaseFile::parse(&url).map(Self::File),
        }
    }

    /// Which database it is.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::File(_) => Dialect::Sqlite,
            Self::Server(server) => server.dialect(),
        }
    }

    /// Its file; a server has none that we know.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file.path()),
            Self::Server(_) => None,
        }
    }

    /// Connects the writer.
    pub(crate) async fn connect_writer(&self) -> Result<AnyConnection, StoreError> {
        match self {
            Self::File(file) => file.connect_writer().await,
            Self::Server(server) => server.connect_with(self.dialect().writer()).await,
        }
    }

    /// Connects the writer of what need not be durable; a file has one for all.
    pub(crate) async fn connect_soft_writer(&self) -> Result<Option<AnyConnection>, StoreError> {
        match self {
            Self::File(_) => Ok(None),
            Self::Server(_) => self.connect_writer().await.map(Some),
        }
    }

    /// Makes a connection that reads by itself: it looks tokens up.
    pub(crate) async fn connect_reader(&self) -> Result<AnyConnection, StoreError> {
        match self {
            Self::File(file) => file.connect_reader().await,
            Self::Server(server) => server.connect_with(self.dialect().tokens()).await,
        }
    }

    /// Makes `count` connections that read.
    pub(crate) async fn connect_readers(&self, count: u32) -> Result<Readers, StoreError> {
        let pool = match self {
            Self::File(file) => ReaderPool::File(file.connect_readers(count).await?),
            Self::Server(server) => {
                let settings = self.dialect().reader();
                let pool = ServerPool::connect(server.clone(), count, settings, readers::PATIENCE);
                ReaderPool::Server(pool.await?)
            }
        };
        Ok(Readers::new(pool, self.dialect()))
    }

    /// Makes `count` connections for lists.
    pub(crate) async fn connect_lists(&self, count: u32) -> Result<Lists, StoreError> {
        match self {
            Self::File(file) => {
                let connected = ListPool::connect(&file.url, count).await;
                let pool = connected.map_err(|error| file.explain(error))?;
                Ok(Lists::File(pool))
            }
            Self::Server(server) => {
                let settings = self.dialect().lists();
                let pool = ServerPool::connect(server.clone(), count, settings, lists::PATIENCE);
                Ok(Lists::Server(pool.await?))
            }
        }
    }

    /// Waits for what the database is asked when it is opened; a server may be silent.
    pub(crate) async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        match self {
            Self::File(file) => asked.await.map_err(|error| file.explain(error)),
            Self::Server(server) => server.answer(asked).await,
        }
    }

    /// What `error` means to who opens the database.
    pub(crate) fn explain(&self, error: sqlx::Error) -> StoreError {
        match self {
            Self::File(file) => file.explain(error),
            Self::Server(server) => server.explain(error),
        }
    }

    /// What the database is called to who opens it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(file) => file.path.display().to_string(),
            Self::Server(server) => server.name(),
        }
    }
}

impl DatabaseFile {
    /// Checks the address of a database file.
    pub(crate) fn parse(url: &DatabaseUrl) -> Result<Self, StoreError> {
        Ok(Self {
            url: url.expose().to_owned(),
            path: dialect::file_of(url.expose())?,
        })
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a log that is not of this file, before SQLite takes it.
    pub(crate) async fn check_log(&self) -> Result<(), StoreError> {
        if dialect::is_foreign(&self.path).await {
            let path = self.path.clone();
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

    /// Connects without ever writing to the file, not even what is in its log.
    pub(crate) async fn connect_read_only(&self) -> Result<AnyConnection, StoreError> {
        sqlx::any::install_default_drivers();
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let connected = async {
            let url = format!("{}{separator}mode=ro", self.url);
            let mut conn = AnyConnection::connect(&url).await?;
            dialect::set_up_reader(&mut conn).await?;
            Ok(conn)
        };
        connected.await.map_err(|error| self.explain(error))
    }

    async fn connect_reader(&self) -> Result<AnyConnection, StoreError> {
        let connected = async {
            let mut conn = AnyConnection::connect(&self.url).await?;
            dialect::set_up_reader(&mut conn).await?;
            Ok(conn)
        };
        connected.await.map_err(|error| self.explain(error))
    }

    async fn connect_readers(&self, count: u32) -> Result<AnyPool, StoreError> {
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

    /// What `error` means to who opens it.
    pub(crate) fn explain(&self, error: sqlx::Error) -> StoreError {
        let path = self.path.clone();
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
            Some(Fault::Locked | Fault::Stopped | Fault::Unreachable | Fault::Conflict) | None => {
                error.into()
            }
        }
    }
}
