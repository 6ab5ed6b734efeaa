//! Copies of a database.

use std::path::Path;

use sqlx::{Connection as _, Executor as _};

use crate::location::DatabaseFile;
use crate::{StoreError, StoreOptions, dialect};

/// Writes a copy of the database `from` to the new file `to`, which only its owner can read: as it is at one moment, with
/// what is in its log, and without what was deleted. The database may be in use meanwhile. The copy is durable.
///
/// # Errors
///
/// [`StoreError::Unwritable`] if there is such a file; otherwise what is wrong with the database or the disk.
pub async fn copy_database(from: &Path, to: &Path) -> Result<(), StoreError> {
    let unwritable = |e: std::io::Error| StoreError::Unwritable {
        path: to.to_owned(),
        reason: e.to_string(),
    };
    let path = to.to_str().ok_or_else(|| StoreError::Url {
        reason: "the path of the copy is not UTF-8".into(),
    })?;
    let source = DatabaseFile::parse(&StoreOptions::sqlite(from).url)?;
    source.check_log().await?;
    let mut conn = source.connect_writer().await?;
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(to).await.map_err(unwritable)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(path).execute(&mut conn);
    let copied = copied.await.map(drop).map_err(StoreError::from);
    conn.close().await?;
    // The pages of a copy are not where they are in the database: its log is not that of the copy.
    let copied = match copied {
        Ok(()) => dialect::renew_log_mark(to).await.map_err(StoreError::from),
        error => error,
    };
    if copied.is_err() {
        // An unfinished copy is useless. If it cannot be removed either, the first error still says more.
        let _ = tokio::fs::remove_file(to).await;
        return copied;
    }
    file.sync_all().await.map_err(unwritable)
}

/// Takes what is in the log of the database `file`, which nobody uses, into the file itself.
///
/// # Errors
///
/// A [`StoreError`] if it cannot be read or written: it is damaged, perhaps.
pub async fn settle_database(file: &Path) -> Result<(), StoreError> {
    let location = DatabaseFile::parse(&StoreOptions::sqlite(file).url)?;
    location.check_log().await?;
    let mut conn = location.connect_writer().await?;
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").await?;
    conn.close().await?;
    Ok(())
}
