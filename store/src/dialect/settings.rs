//! Settings of connections.

use super::{Dialect, READER_PRAGMAS, WRITER_PRAGMAS, mysql, postgres};

impl Dialect {
    /// For the connection that migrates.
    pub(crate) fn migrator(self) -> &'static str {
        match self {
            Self::Sqlite => WRITER_PRAGMAS,
            Self::Postgres => postgres::MIGRATOR,
            Self::MySql => mysql::MIGRATOR,
        }
    }

    /// For a connection that writes.
    pub(crate) fn writer(self) -> &'static str {
        match self {
            Self::Sqlite => WRITER_PRAGMAS,
            Self::Postgres => postgres::WRITER,
            Self::MySql => mysql::WRITER,
        }
    }

    /// For the connection on which a node says that it is there.
    pub(crate) fn node(self) -> &'static str {
        match self {
            Self::Sqlite => WRITER_PRAGMAS,
            Self::Postgres => postgres::NODE,
            Self::MySql => mysql::NODE,
        }
    }

    /// For connections that read a few rows by their key.
    pub(crate) fn reader(self) -> &'static str {
        match self {
            Self::Sqlite => READER_PRAGMAS,
            Self::Postgres => postgres::READER,
            Self::MySql => mysql::READER,
        }
    }

    /// For the connection that looks tokens up: the same, and less patient.
    pub(crate) fn tokens(self) -> &'static str {
        match self {
            Self::Sqlite => READER_PRAGMAS,
            Self::Postgres => postgres::TOKENS,
            Self::MySql => mysql::TOKENS,
        }
    }

    /// For connections that read lists: the same, and less patient.
    pub(crate) fn lists(self) -> &'static str {
        match self {
            Self::Sqlite => READER_PRAGMAS,
            Self::Postgres => postgres::LISTS,
            Self::MySql => mysql::LISTS,
        }
    }

    /// What adds up what connections have counted that are gone.
    pub(crate) fn folds(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[postgres::FOLD_COUNTS, postgres::FOLD_CHANGES],
            // Those of MySQL share a few rows.
            Self::Sqlite | Self::MySql => &[],
        }
    }
}
