//! Whether an open database is still the file at its path.
//!
//! A file that is deleted or replaced while it is open goes on taking writes that nobody will ever read again. SQLite does
//! not notice; so it is looked at before each transaction, which costs two calls of the system.

use std::path::{Path, PathBuf};

use crate::StoreError;

/// What distinguishes a file from any other: device and number on it.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(file: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::metadata(file).ok()?;
    Some((found.dev(), found.ino()))
}

/// Elsewhere, a file in use can be neither deleted nor replaced.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(file: &Path) -> Option<Identity> {
    file.exists().then_some(())
}

/// The database and the log beside it.
#[derive(Debug)]
struct Paths {
    file: PathBuf,
    log: PathBuf,
}

/// The files that were opened.
#[derive(Debug)]
pub(crate) struct OpenFiles {
    /// `None` on a server, which has files of its own.
    paths: Option<Paths>,
    identity: Option<Identity>,
    /// `None` while no connection writes: the last one to be closed deletes the log, and the next makes another.
    log_identity: Option<Identity>,
}

impl OpenFiles {
    /// Those of the database `file`, if there is one, which has just been opened.
    pub(crate) fn of(file: Option<&Path>) -> Self {
        let paths = file.map(|file| Paths {
            file: file.to_owned(),
            log: beside(file, "-wal"),
        });
        Self {
            identity: file.and_then(identity),
            log_identity: paths.as_ref().and_then(|paths| identity(&paths.log)),
            paths,
        }
    }

    /// # Errors
    ///
    /// [`StoreError::Replaced`] if other files are there now, or none.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let Some(Paths { file, log }) = &self.paths else {
            return Ok(());
        };
        let is_there = self.identity.is_some() && identity(file) == self.identity;
        let has_log = self.log_identity.is_none() || identity(log) == self.log_identity;
        if is_there && has_log {
            return Ok(());
        }
        Err(StoreError::Replaced { path: file.clone() })
    }

    /// The connection that writes is closed.
    pub(crate) fn closed(&mut self) {
        self.log_identity = None;
    }

    /// There is one again.
    pub(crate) fn opened(&mut self) {
        self.log_identity = self.paths.as_ref().and_then(|paths| identity(&paths.log));
    }
}

/// The file that SQLite keeps beside `file` under this ending.
pub(crate) fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}
