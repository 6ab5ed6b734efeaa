//! Opening a database file, and saying clearly why it cannot be opened.

use std::path::Path;
use std::sync::Arc;

use sqlx::AnyConnection;
use sqlx::migrate::MigrateError;

use crate::integrity::Check;
use crate::location::Location;
use crate::{StoreError, dialect, migrations};

/// A file of up to so many bytes is checked before it is used. That takes about a tenth of a second.
const CHECKED_FIRST: u64 = 64 * 1024 * 1024;

/// Connects the writer and brings the tables to this version. A file that is not large is checked before that, a large one
/// while it is used. It is made if it does not exist.
pub(crate) async fn prepare(location: &Location) -> Result<(AnyConnection, Check), StoreError> {
    create(location.file()).await?;
    location.check_log().await?;
    let mut conn = location.connect_writer().await?;
    let is_large = is_large(location.file()).await;
    if !is_large {
        check(location, &mut conn).await?;
    }
    let migrated = migrations::run(&mut conn).await;
    migrated.map_err(|error| explain_migration(location, error))?;
    let writable = dialect::try_to_write(&mut conn).await;
    writable.map_err(|error| location.explain(error))?;
    let check = if is_large {
        Check::start(location.clone())
    } else {
        Check::done()
    };
    Ok((conn, check))
}

/// Whether a file is so large that it is checked while it is used. One that cannot be looked at is not.
async fn is_large(file: &Path) -> bool {
    let found = tokio::fs::metadata(file).await;
    found.is_ok_and(|file| file.len() > CHECKED_FIRST)
}

/// Reads all of the file.
async fn check(location: &Location, conn: &mut AnyConnection) -> Result<(), StoreError> {
    let damage = dialect::find_damage(conn).await;
    match damage.map_err(|error| location.explain(error))? {
        None => Ok(()),
        Some(reason) => Err(StoreError::Corrupt {
            path: location.file().to_owned(),
            reason,
        }),
    }
}

fn explain_migration(location: &Location, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if dialect::fault(&error).is_some() =>
        {
            location.explain(error)
        }
        MigrateError::VersionMissing(version) => StoreError::Newer {
            path: location.file().to_owned(),
            version,
        },
        error => StoreError::Migrate(Arc::new(error)),
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
