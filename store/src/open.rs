//! Opening a database file, and saying clearly why it cannot be opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::MigrateError;
use sqlx::{AnyConnection, AnyPool, Connection};

use crate::dialect::{self, Fault, ListPool};
use crate::integrity::Check;
use crate::{StoreError, migrations};

/// A file of up to so many bytes is checked before it is used. That takes about a tenth of a second.
const CHECKED_FIRST: u64 = 64 * 1024 * 1024;

/// How long a read waits for a free connection.
const READER_WAIT: Duration = Duration::from_secs(5);

/// Where the database is.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    url: String,
    file: PathBuf,
}

impl Location {
    /// Checks the address of a database.
    pub(crate) fn parse(url: String) -> Result<Self, StoreError> {
        let file = dialect::file_of(&url)?;
        Ok(Self { url, file })
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the file is so large that it is checked while it is used. One that cannot be looked at is not.
    async fn is_large(&self) -> bool {
        let found = tokio::fs::metadata(&self.file).await;
        found.is_ok_and(|file| file.len() > CHECKED_FIRST)
    }

    /// Connects the writer and starts the check of a large file, after bringing the tables to this version, and before that checking the file
    /// if that is not large. It is made if it does not exist.
    pub(crate) async fn prepare(&self) -> Result<(AnyConnection, Check), StoreError> {
        create(&self.file).await?;
        self.check_log().await?;
        let mut conn = self.connect_writer().await?;
        let is_large = self.is_large().await;
        if !is_large {
            self.check(&mut conn).await?;
        }
        let migrated = migrations::run(&mut conn).await;
        migrated.map_err(|error| self.explain_migration(error))?;
        let writable = dialect::try_to_write(&mut conn).await;
        writable.map_err(|error| self.explain(error))?;
        let check = if is_large {
            Check::start(self.clone())
        } else {
            Check::done()
        };
        Ok((conn, check))
    }

    /// Refuses a log that is not of this file, before SQLite takes it.
    pub(crate) async fn check_log(&self) -> Result<(), StoreError> {
        if dialect::is_foreign(&self.file).await {
            let path = self.file.clone();
            return Err(StoreError::ForeignLog { path });
        }
        Ok(())
    }

    /// Reads all of the file.
    async fn check(&self, conn: &mut AnyConnection) -> Result<(), StoreError> {
        let damage = dialect::find_damage(conn).await;
        match damage.map_err(|error| self.explain(error))? {
            None => Ok(()),
            Some(reason) => Err(StoreError::Corrupt {
                path: self.file.clone(),
                reason,
            }),
        }
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

    fn explain(&self, error: sqlx::Error) -> StoreError {
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

    fn explain_migration(&self, error: MigrateError) -> StoreError {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
                if dialect::fault(&error).is_some() =>
            {
                self.explain(error)
            }
            MigrateError::VersionMissing(version) => StoreError::Newer {
                path: self.file.clone(),
                version,
            },
            error => StoreError::Migrate(Arc::new(error)),
        }
    }
}

/// Makes an empty file that only its owner can read, since it will hold password hashes. SQLite
/// gives the files beside it the same permissions.
async fn create(file: &Path) -> Result<(), StoreError> {
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(file).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Unwritable {
            path: file.to_owned(),
            reason: error.to_string(),
        }),
    }
}
