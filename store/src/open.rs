//! Opening a database, and saying clearly why it cannot be opened.

use std::path::Path;
use std::sync::Arc;

use sqlx::AnyConnection;
use sqlx::migrate::MigrateError;

use crate::dialect::Dialect;
use crate::integrity::Check;
use crate::location::{DatabaseFile, Location};
use crate::server::Server;
use crate::{StoreError, dialect, migrations};

/// A file of up to so many bytes is checked before it is used. That takes about a tenth of a second.
const CHECKED_FIRST: u64 = 64 * 1024 * 1024;

/// Connects the writer and brings the tables to this version.
pub(crate) async fn prepare(location: &Location) -> Result<(AnyConnection, Check), StoreError> {
    let (mut conn, check) = match location {
        Location::File(file) => prepare_file(location, file).await?,
        Location::Server(server) => (prepare_server(location, server).await?, Check::done()),
    };
    location.answer(dialect::try_to_write(&mut conn)).await?;
    Ok((conn, check))
}

/// A file that is not large is checked before it is changed, a large one while it is used. It is made if it does not exist.
async fn prepare_file(
    location: &Location,
    file: &DatabaseFile,
) -> Result<(AnyConnection, Check), StoreError> {
    create(file.path()).await?;
    file.check_log().await?;
    let mut conn = file.connect_writer().await?;
    let is_large = is_large(file.path()).await;
    if !is_large {
        check(file, &mut conn).await?;
    }
    let migrated = migrations::run(&mut conn, Dialect::Sqlite).await;
    migrated.map_err(|error| explain_migration(location, error))?;
    let check = if is_large {
        Check::start(file.clone())
    } else {
        Check::done()
    };
    Ok((conn, check))
}

/// The server has to be one that can be used, and the database has to be there.
async fn prepare_server(location: &Location, server: &Server) -> Result<AnyConnection, StoreError> {
    let facts = server.examine().await?;
    tracing::debug!(
        server = server.name(),
        version = facts.version,
        "the database"
    );
    for warning in facts.warnings {
        tracing::warn!("{warning}");
    }
    let dialect = server.dialect();
    let mut conn = server.connect_with(dialect.migrator()).await?;
    let migrated = migrations::run(&mut conn, dialect).await;
    migrated.map_err(|error| explain_migration(location, error))?;
    let texts = [dialect.writer()].into_iter();
    for text in texts.chain(dialect.folds().iter().copied()) {
        server.answer(dialect::set_up(&mut conn, text)).await?;
    }
    Ok(conn)
}

/// Whether a file is so large that it is checked while it is used. One that cannot be looked at is not.
async fn is_large(file: &Path) -> bool {
    let found = tokio::fs::metadata(file).await;
    found.is_ok_and(|file| file.len() > CHECKED_FIRST)
}

/// Reads all of the file.
async fn check(file: &DatabaseFile, conn: &mut AnyConnection) -> Result<(), StoreError> {
    let damage = dialect::find_damage(conn).await;
    match damage.map_err(|error| file.explain(error))? {
        None => Ok(()),
        Some(reason) => Err(StoreError::Corrupt {
            path: file.path().to_owned(),
            reason,
        }),
    }
}

fn explain_migration(location: &Location, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            match location.explain(error) {
                StoreError::Database(error) => StoreError::Migrate(error),
                explained => explained,
            }
        }
        // One that was cut short and is not ours is a newer version's, too.
        MigrateError::VersionMissing(version) | MigrateError::Dirty(version) => StoreError::Newer {
            database: location.name(),
            version,
        },
        error => StoreError::Migrate(Arc::new(sqlx::Error::Migrate(Box::new(error)))),
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
