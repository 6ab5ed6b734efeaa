//! What can go wrong with the database.

use std::path::PathBuf;
use std::sync::Arc;

use crate::dialect::{Fault, fault, reason};
use crate::{DelayError, Refusal};

/// Why the database did not do as asked. The text says what to do about it and quotes no data.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// More writes or reads are waiting than the database keeps up with. Nothing was written.
    #[error("the database is busy; try again in a moment")]
    Busy,
    /// A statement took longer than it may. It was stopped, and nothing was written.
    #[error("the database took too long and was stopped; try again later, or ask for less")]
    TooSlow,
    /// Another process has held a lock for too long: of a file for 5 s, of what a write changes on a server for most of the 10 s
    /// that a write may take. Nothing was written.
    #[error("another process has the database locked; try again when it is done")]
    Locked,
    /// Writes of several servers were in each other's way, again and again. Nothing was written.
    #[error("other servers write to the same rows; try again in a moment")]
    Conflict,
    /// The store was closed. Whether a write that was under way was done is not known.
    #[error("the database is closed")]
    Closed,
    /// The system refuses to write the database, or to read it. Whether a write was done is not known if the disk itself
    /// failed. Each later try is a new one.
    #[error(
        "the database cannot be written: {reason}; check that the disk is not full, and that it and the files of the \
         database can be written by this user; it goes on by itself once they can"
    )]
    Storage {
        /// What SQLite says.
        reason: String,
    },
    /// The file was deleted or replaced since it was opened: what would be written to it now would be lost. Nothing was
    /// written.
    #[error(
        "the database {path} was deleted or replaced, or the file {path}-wal was, while the server has it open; nothing is \
         written any more. Put back the same files, and it goes on; or stop the server, put the database there that it is \
         to use, without the -wal and -shm of another (herald restore FILE does that), and start it",
        path = path.display()
    )]
    Replaced {
        /// The database file.
        path: PathBuf,
    },
    /// The address of the database cannot be used.
    #[error(
        "{reason}; write the address of the database as sqlite:///absolute/path/herald.db, \
         postgres://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT/DATABASE"
    )]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// The server of the database cannot be reached, says nothing, or takes nobody for the moment. A later try may succeed.
    /// Whether a write was done is not known.
    #[error(
        "the database server cannot be reached or takes no writes: {reason}; check that it runs, and that database.url names it"
    )]
    Unreachable {
        /// Which server, if that is known, and what the system or the server says.
        reason: String,
    },
    /// The server of the database is there, and it or Herald refuses. Somebody has to change something.
    #[error("the database {server} cannot be used: {refusal}")]
    Refused {
        /// The server and the database, without a password.
        server: String,
        /// What is wrong, and what to do.
        refusal: Refusal,
    },
    /// The file cannot be created, or cannot be written.
    #[error(
        "cannot write the database {}: {reason}; check that its directory exists, that this \
         user may write to it, and that the disk is not full",
        path.display()
    )]
    Unwritable {
        /// The database file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The write-ahead log beside the file is of another database, of an older copy of it or of a newer one. Nothing was
    /// taken from it.
    #[error(
        "the file {path}-wal does not belong to the database {path}: the database was copied into the place of one that had \
         not been stopped cleanly, and what that one wrote last is in {path}-wal. Nothing was changed. To use the database as \
         it is, move {path}-wal and {path}-shm away; to use the one before, put its file back beside them. \
         herald restore FILE does that by itself",
        path = path.display()
    )]
    ForeignLog {
        /// The database file.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error(
        "{path} is not a database, or its first page is damaged, as by a {path}-wal of another one; move these files away, \
         or restore a backup (herald restore FILE)",
        path = path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database, and damaged.
    #[error(
        "the database {path} is damaged: {reason}. If {path}-wal is there and the database was copied into its place, that \
         file is of another database: keep a copy of both, copy the database again, and delete {path}-wal and {path}-shm. \
         Otherwise keep a copy and restore a backup (herald restore FILE)",
        path = path.display()
    )]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// The first damage that was found.
        reason: String,
    },
    /// A later version of Herald has changed the tables.
    #[error(
        "the database {database} was changed by a newer version of Herald (migration {version}) so that this one cannot use it; \
         start that version, or restore a backup"
    )]
    Newer {
        /// The database file, or the server and the database.
        database: String,
        /// The first migration that this version does not know, and cannot pass over.
        version: i64,
    },
    /// `herald migrate` copied another database to this one, and did not come to its end.
    #[error(
        "the database {database} is an unfinished copy of {source_database}; run herald migrate again, which copies it anew"
    )]
    Unfinished {
        /// The database file, or the server and the database.
        database: String,
        /// What was copied.
        source_database: String,
    },
    /// The tables could not be brought to this version. They are as they were.
    #[error("cannot migrate the database: {0}")]
    Migrate(Arc<sqlx::Error>),
    /// The account does not exist (any more).
    #[error("the account does not exist")]
    UnknownUser,
    /// The delay cannot be used.
    #[error(transparent)]
    Delay(#[from] DelayError),
    /// An access rule in the database is invalid. Nobody knows what it was meant to allow or deny.
    #[error("the access rule {id} in the database is invalid: {reason}; correct or delete it")]
    InvalidRule {
        /// Its id.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// So many changes of rights were made since a server last read them that the oldest are not
    /// kept any more. Only a start makes sure that nobody keeps a right that was taken away.
    #[error("changes of rights were forgotten before they were read; start the server again")]
    RightsForgotten,
    /// A row holds something that this version never writes.
    #[error("the database holds an invalid {what}; restore a backup")]
    Invalid {
        /// What should have been there.
        what: &'static str,
    },
    /// A write panicked, which is a bug. Nothing was written; the panic is in the log.
    #[error("internal error while writing to the database")]
    Panicked,
    /// Anything else. Whether a write was done is not known if it failed while committing.
    #[error("database error: {0}")]
    Database(Arc<sqlx::Error>),
}

impl StoreError {
    /// Whether the same may succeed later without anybody changing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy | Self::TooSlow | Self::Locked | Self::Conflict | Self::Unreachable { .. }
        )
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::PoolClosed => Self::Closed,
            error => match fault(&error) {
                Some(Fault::Locked) => Self::Locked,
                Some(Fault::Conflict) => Self::Conflict,
                Some(Fault::Stopped) => Self::TooSlow,
                Some(Fault::Unreachable) => Self::Unreachable {
                    reason: reason(&error),
                },
                Some(Fault::Unwritable) => Self::Storage {
                    reason: reason(&error),
                },
                _ => Self::Database(Arc::new(error)),
            },
        }
    }
}
