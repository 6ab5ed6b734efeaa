//! Why a database was not copied.

use crate::StoreError;

/// Why a database was not copied to another one. The text says what to do, and quotes nothing but ids and names of tables.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// One of the databases cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Both are one.
    #[error("{database} cannot be copied to itself; name another database")]
    Same {
        /// Which.
        database: String,
    },
    /// There is no file.
    #[error("there is no database at {file}; correct the address of the database that is copied")]
    Missing {
        /// Where it should be.
        file: String,
    },
    /// Herald did not make its tables.
    #[error(
        "{database} has no tables of Herald; correct the address of the database that is copied"
    )]
    NotHeralds {
        /// Which.
        database: String,
    },
    /// Another version of Herald made its tables.
    #[error(
        "{database} is of an older version of Herald (migration {found}, and this one has {current}); start a server of this \
         version on it once and stop it, or copy it with that version"
    )]
    Older {
        /// Which.
        database: String,
        /// Its last migration.
        found: i64,
        /// The last that there is.
        current: i64,
    },
    /// Another version of Herald made its tables.
    #[error(
        "{database} is of a newer version of Herald (migration {found}, and this one knows {current}); copy it with that version"
    )]
    Newer {
        /// Which.
        database: String,
        /// Its last migration.
        found: i64,
        /// The last that is known.
        current: i64,
    },
    /// A server is at work on it.
    #[error("a server has {database} open; stop all servers on it first")]
    InUse {
        /// Which.
        database: String,
    },
    /// The target has something that is not from a copy that was interrupted.
    #[error("{database} has {what}; name an empty database, which nothing is lost of")]
    NotEmpty {
        /// Which.
        database: String,
        /// What there is.
        what: String,
    },
    /// Somebody copies to it at the moment.
    #[error("{database} is being copied to already; wait for that to end")]
    BeingCopied {
        /// Which.
        database: String,
    },
    /// The source was written to meanwhile.
    #[error(
        "{database} was changed while it was copied ({what}); stop whatever writes to it, and copy it again"
    )]
    Changed {
        /// Which.
        database: String,
        /// What is not as it was.
        what: String,
    },
    /// A text that the target cannot hold.
    #[error(
        "the row {row} of {table} has a NUL character in a text, which the target cannot hold; take it out of the text in {database}"
    )]
    Nul {
        /// Of what is copied.
        database: String,
        /// Where.
        table: &'static str,
        /// Which row.
        row: String,
    },
    /// A row that the target does not take.
    #[error(
        "{database} does not take the row {row} of {table}: {reason}; put that right in the database that is copied"
    )]
    Row {
        /// The target.
        database: String,
        /// Of which table.
        table: &'static str,
        /// Which row.
        row: String,
        /// What it says, without values.
        reason: String,
    },
    /// The copy is not what was copied.
    #[error(
        "the copy is wrong: {what} is not the same in both; copy it again, and if that does not help, report it as a bug"
    )]
    Differs {
        /// What.
        what: String,
    },
    /// A statement lasted too long.
    #[error("{database} did not answer within 10 minutes; copy it again when it does")]
    TimedOut {
        /// Which.
        database: String,
    },
}
