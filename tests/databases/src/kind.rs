//! The databases that a test runs on.

use std::{env, fmt};

use herald_test_servers::{ServerKind, is_listed};

/// The variable that has the URL of a superuser of a MySQL server, which nothing starts.
const MYSQL: &str = "HERALD_TEST_MYSQL_URL";

/// A database, as a case of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// The server of `HERALD_TEST_POSTGRES_URL`.
    Postgres,
    /// The server of `HERALD_TEST_MARIADB_URL`.
    MariaDb,
    /// The server of `HERALD_TEST_MYSQL_URL`.
    MySql,
}

impl DatabaseKind {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Sqlite, Self::Postgres, Self::MariaDb, Self::MySql];

    /// The one of this name, as lists of databases have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sqlite" => Self::Sqlite,
            "postgres" => Self::Postgres,
            "mariadb" => Self::MariaDb,
            "mysql" => Self::MySql,
            _ => return None,
        })
    }

    /// Whether this database is tested. If not, prints so.
    ///
    /// # Panics
    ///
    /// If it was chosen and has no server.
    #[must_use]
    pub fn is_chosen(self) -> bool {
        let is_chosen = match self {
            Self::Sqlite => is_listed("sqlite").unwrap_or(true),
            _ => self.server_url().is_some(),
        };
        if !is_chosen {
            eprintln!("not tested: {self}, which was not chosen");
        }
        is_chosen
    }

    /// The URL of a superuser of the server that all tests share, or `None` if this database was not chosen or has no server.
    ///
    /// # Panics
    ///
    /// If it was chosen and has no server.
    #[must_use]
    pub fn server_url(self) -> Option<String> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => ServerKind::Postgres.shared_url(),
            Self::MariaDb => ServerKind::MariaDb.shared_url(),
            Self::MySql => env::var(MYSQL).ok(),
        }
    }
}

impl From<ServerKind> for DatabaseKind {
    fn from(kind: ServerKind) -> Self {
        match kind {
            ServerKind::Postgres => Self::Postgres,
            ServerKind::MariaDb => Self::MariaDb,
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
            Self::MySql => "MySQL",
        })
    }
}
