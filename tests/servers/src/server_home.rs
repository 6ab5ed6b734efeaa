//! Where a server is.

use std::path::PathBuf;

use crate::account::Account;

/// Where a server is, and as whom it runs.
pub(crate) struct ServerHome {
    pub(crate) folder: PathBuf,
    pub(crate) account: Account,
}

impl ServerHome {
    /// What the server keeps, and where it runs.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// What the server writes.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}
