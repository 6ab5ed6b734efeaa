//! What an error says about the database file.

/// What an error says about the database file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Another process has the lock.
    Locked,
    /// The file cannot be opened or written.
    Unwritable,
    /// The file is not a database.
    NotADatabase,
    /// The database is damaged.
    Corrupt,
    /// A statement was stopped.
    Stopped,
}

/// What `error` says about the database file, if anything.
pub(crate) fn fault(error: &sqlx::Error) -> Option<Fault> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
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
