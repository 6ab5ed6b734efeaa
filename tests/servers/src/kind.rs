//! Which servers there are, and which the tests use.

use std::{
    env,
    fmt::{self, Display},
    str::FromStr,
};

use anyhow::{Error, bail};

use crate::{mariadb, postgres};

/// The variable that names the databases that are tested, with commas between. Without it these are SQLite and those whose
/// servers are named.
pub const CHOSEN: &str = "HERALD_TEST_DATABASES";

/// Whether the database of this name is among those that were chosen; `None` if none were.
#[must_use]
pub fn is_listed(name: &str) -> Option<bool> {
    let chosen = env::var(CHOSEN).ok()?;
    Some(chosen.split(',').any(|of| of == name))
}

/// A server that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
}

impl ServerKind {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::MariaDb];

    /// As it is written in lists of databases.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
        }
    }

    /// The variable that has the URL of a superuser of the server that all tests share.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "HERALD_TEST_POSTGRES_URL",
            Self::MariaDb => "HERALD_TEST_MARIADB_URL",
        }
    }

    /// The URL of the server that all tests share, or `None` if this database is not tested.
    ///
    /// # Panics
    ///
    /// If this database was chosen and there is no server.
    #[must_use]
    pub fn shared_url(self) -> Option<String> {
        let name = self.name();
        let url = env::var(self.variable()).ok();
        match (is_listed(name), url) {
            (Some(false), _) | (None, None) => None,
            (_, Some(url)) => Some(url),
            (Some(true), None) => panic!("{CHOSEN} has {name}, but {} is not set", self.variable()),
        }
    }

    /// The Debian packages of programs that are missing.
    #[must_use]
    pub fn missing_packages(self) -> Vec<&'static str> {
        match self {
            Self::Postgres => postgres::missing_packages(),
            Self::MariaDb => mariadb::missing_packages(),
        }
    }
}

impl Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ServerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match Self::ALL.into_iter().find(|kind| kind.name() == name) {
            Some(kind) => Ok(kind),
            None => bail!("there is no server {name:?}, but postgres and mariadb"),
        }
    }
}
