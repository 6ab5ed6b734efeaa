//! What an error says about the database.

use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// What an error says about the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Somebody else has the lock.
    Locked,
    /// It cannot be opened or written.
    Unwritable,
    /// The file is not a database.
    NotADatabase,
    /// The database is damaged.
    Corrupt,
    /// A statement was stopped.
    Stopped,
    /// Another writer was in the way: the transaction was undone.
    Conflict,
    /// Its server is not there, or takes nobody for the moment.
    Unreachable,
}

/// What sqlx makes of a connection to PostgreSQL that ends before the first answer, as those do that a killed server had not
/// accepted: it takes the end of the stream for this byte.
const NO_ANSWER: &str = "unexpected response from SSLRequest: 0x00";

/// What `error` says about the database, if anything.
pub(crate) fn fault(error: &sqlx::Error) -> Option<Fault> {
    match error {
        sqlx::Error::Io(_) => return Some(Fault::Unreachable),
        sqlx::Error::Protocol(text) if text.starts_with(NO_ANSWER) => {
            return Some(Fault::Unreachable);
        }
        _ => {}
    }
    let error = error.as_database_error()?;
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        return fault_of_postgres(error);
    }
    if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return fault_of_mysql(error);
    }
    error.try_downcast_ref::<SqliteError>()?;
    let code: i32 = error.code()?.parse().ok()?;
    // https://sqlite.org/rescode.html: the low byte is the primary result code.
    match code & 0xff {
        5 | 6 => Some(Fault::Locked),
        9 => Some(Fault::Stopped),
        // PERM, READONLY, IOERR, FULL, CANTOPEN
        3 | 8 | 10 | 13 | 14 => Some(Fault::Unwritable),
        11 => Some(Fault::Corrupt),
        26 => Some(Fault::NotADatabase),
        _ => None,
    }
}

/// What an error of MariaDB or MySQL says, by its number.
fn fault_of_mysql(error: &MySqlDatabaseError) -> Option<Fault> {
    match error.number() {
        // Also if it was killed.
        1317 | 1969 | 3024 => Some(Fault::Stopped),
        // What waited was undone, and not what it waited in.
        1205 | 3572 => Some(Fault::Locked),
        // A deadlock, too many locks, a row or table that has changed since: the transaction was undone as a whole.
        1020 | 1206 | 1213 | 1412 | 3101 => Some(Fault::Conflict),
        // A full disk or table, an error of the disk.
        1021 | 1026 | 1114 => Some(Fault::Unwritable),
        1034 | 1194 | 1195 | 1712 => Some(Fault::Corrupt),
        // Too many connections, of all or of this user, or too many that failed; shutting down; killed, idle for too
        // long; errors of the network.
        1040
        | 1041
        | 1053
        | 1129
        | 1135
        | 1152
        | 1158..=1161
        | 1184
        | 1203
        | 1226
        | 1927
        | 3032
        | 3169
        | 4031 => Some(Fault::Unreachable),
        // It only reads, and did not when Herald started: it changes places with its standby.
        1036 | 1290 | 1792 | 1836 => Some(Fault::Unreachable),
        // What is prepared has to be prepared again, which another connection does.
        1615 => Some(Fault::Unreachable),
        _ => None,
    }
}

/// What an error of PostgreSQL says, by its SQLSTATE (appendix A of its manual).
fn fault_of_postgres(error: &PgDatabaseError) -> Option<Fault> {
    match error.code() {
        "57014" => Some(Fault::Stopped),
        "55P03" => Some(Fault::Locked),
        // A serialization failure, a deadlock: nothing was written, and the same may be done again.
        "40001" | "40P01" => Some(Fault::Conflict),
        // A full disk, an error of the disk.
        "53100" | "58030" => Some(Fault::Unwritable),
        "XX001" | "XX002" => Some(Fault::Corrupt),
        // Told to end, starting up or shutting down, too many connections, idle for too long, also in a transaction, or a
        // transaction that lasted.
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" | "25P04" => {
            Some(Fault::Unreachable)
        }
        // It only reads, and did not when Herald started: it changes places with its standby.
        "25006" => Some(Fault::Unreachable),
        code if code.starts_with("08") => Some(Fault::Unreachable),
        _ => None,
    }
}

/// What the database says is wrong.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error.as_database_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

/// Whether `error` says that another process has the database locked.
pub(crate) fn is_locked(error: &sqlx::Error) -> bool {
    fault(error) == Some(Fault::Locked)
}

/// Whether `error` says that the database is damaged.
pub(crate) fn says_damaged(error: &sqlx::Error) -> bool {
    matches!(fault(error), Some(Fault::Corrupt | Fault::NotADatabase))
}
