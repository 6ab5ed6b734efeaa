//! Backups of the database, and back.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use herald_store::{InboxProgress, Store, StoreOptions, copy_database, settle_database};

use super::print;
use crate::{
    config::{Config, DatabaseLocation},
    data_dir, inbox_mark,
};

/// Writes a copy of the server's own database to the new file `file`.
pub(crate) async fn backup(config: &Config, file: &Path) -> anyhow::Result<()> {
    let database = file_of(config)?;
    exists(&database)?;
    if file.exists() {
        bail!("there is a file {} already", file.display());
    }
    copy_database(&database, file).await?;
    print(format_args!("wrote {}", file.display()))?;
    Ok(())
}

/// Puts the database `file` into the place of the server's own. Until the last step, which is a single one, the server's own
/// is as it was.
pub(crate) async fn restore(config: &Config, file: &Path) -> anyhow::Result<()> {
    let database = file_of(config)?;
    exists(file)?;
    data_dir::create(&config.data_dir)?;
    let _lock = data_dir::lock(&config.data_dir)?;
    let _database_lock = data_dir::lock_database(&database)?;
    let fresh = beside(&database, ".restoring");
    for ending in ["", "-wal", "-shm"] {
        remove(&beside(&fresh, ending))?;
    }
    copy_database(file, &fresh).await?;
    let progress = begin_epoch(&fresh).await?;
    let kept = match database.exists() {
        true => Some(keep(&database).await?),
        false => None,
    };
    // Whatever is left of the log of the database that was there, or of another, is not of this one.
    for ending in ["-wal", "-shm"] {
        remove(&beside(&database, ending))?;
    }
    fs::rename(&fresh, &database)
        .with_context(|| format!("cannot replace {}", database.display()))?;
    inbox_mark::note(&config.data_dir, progress)?;
    print(format_args!("restored {}", database.display()))?;
    if let Some(kept) = kept {
        print(format_args!("what was there is {}", kept.display()))?;
    }
    Ok(())
}

/// Checks a database, brings its tables to this version, and begins a new epoch in it.
async fn begin_epoch(database: &Path) -> anyhow::Result<InboxProgress> {
    let store = Store::open(StoreOptions::sqlite(database)).await?;
    let begun = async {
        store.begin_epoch().await?;
        store.inbox_progress().await
    };
    let begun = begun.await;
    store.close().await;
    Ok(begun?)
}

/// Keeps the database that is there under another name, too, in the place of the one kept before.
async fn keep(database: &Path) -> anyhow::Result<PathBuf> {
    let kept = beside(database, ".before-restore");
    let cannot = || format!("cannot keep {}", database.display());
    for ending in ["", "-wal", "-shm"] {
        remove(&beside(&kept, ending))?;
    }
    // One that is damaged is kept with its log.
    let settled = settle_database(database).await;
    if let Err(error) = settled {
        tracing::warn!(%error, "the database that was there is kept as it is");
        let log = beside(database, "-wal");
        if log.exists() {
            fs::copy(&log, beside(&kept, "-wal")).with_context(cannot)?;
        }
    }
    match fs::hard_link(database, &kept) {
        Ok(()) => {}
        // Not every file system has links.
        Err(_) => {
            fs::copy(database, &kept).with_context(cannot)?;
        }
    }
    Ok(kept)
}

/// The server's own database, which has to be a file.
fn file_of(config: &Config) -> anyhow::Result<PathBuf> {
    match config.database_location()? {
        DatabaseLocation::File(file) => Ok(file),
        DatabaseLocation::Server(_) => {
            bail!(
                "the database is on a server: back it up and restore it there, as with pg_dump or mariadb-dump"
            )
        }
    }
}

fn exists(database: &Path) -> anyhow::Result<()> {
    if !database.is_file() {
        bail!("there is no database at {}", database.display());
    }
    Ok(())
}

fn remove(file: &Path) -> anyhow::Result<()> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
