//! The address of a database, which may hold a password.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sqlx::any::AnyConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::StoreError;
use crate::dialect::Dialect;

/// What stands for a password, and for all that may hold one.
const HIDDEN: &str = "***";

/// What all connections are called on the server.
const APPLICATION: (&str, &str) = ("application_name", "herald");

/// How many statements a connection to MySQL keeps prepared, each in a few lengths: preparing one is a round trip.
const STATEMENTS: (&str, &str) = ("statement-cache-capacity", "256");

/// The parameters that the address of a PostgreSQL or MySQL server may have, and whether they name a file.
const POSTGRES: [(&str, bool); 6] = [
    ("sslmode", false),
    ("sslrootcert", true),
    ("sslcert", true),
    ("sslkey", true),
    ("host", false),
    ("user", false),
];
const MYSQL: [(&str, bool); 5] = [
    ("ssl-mode", false),
    ("ssl-ca", true),
    ("ssl-cert", true),
    ("ssl-key", true),
    ("socket", false),
];

/// The address of a database: `sqlite://PATH`, `postgres://USER@HOST:PORT/DATABASE` or `mysql://...`. `Debug`, `Display` and
/// serde show it without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address as it is, with its password: to connect with, and never to be shown.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What comes behind `sqlite://`; `None` if it is the address of something else.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&str> {
        self.0.strip_prefix("sqlite://")
    }

    /// Which kind of database it is of.
    pub(crate) fn dialect(&self) -> Option<Dialect> {
        Dialect::of_url(&self.0)
    }

    /// The same server, and this password.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`] if there is none to have one, or it has one already.
    pub fn with_password(&self, password: &str) -> Result<Self, StoreError> {
        let wrong = |reason: &str| Err(url_error(reason));
        if self.sqlite_path().is_some() {
            return wrong("a database file has no password");
        }
        let mut url = parse(&self.0)?.database_url;
        if url.password().is_some() {
            return wrong("it has a password already");
        }
        match url.set_password(Some(password)) {
            Ok(()) => Ok(Self(url.into())),
            Err(()) => wrong("it names no host"),
        }
    }

    /// Checks the address of a server, as far as that can be done without it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Url`], which quotes no value.
    pub fn check_server(&self) -> Result<(), StoreError> {
        let options = self.parse_server()?;
        for (key, value) in options.database_url.query_pairs() {
            let is_file = POSTGRES
                .iter()
                .chain(&MYSQL)
                .any(|known| *known == (&*key, true));
            if is_file && let Err(error) = std::fs::File::open(Path::new(&*value)) {
                return Err(url_error(&format!(
                    "the file of {key} cannot be read: {error}"
                )));
            }
        }
        Ok(())
    }

    /// The address of a server, if it has nothing in it that we do not know.
    fn parse_server(&self) -> Result<AnyConnectOptions, StoreError> {
        let (known, others): (&[_], &[_]) = match self.dialect() {
            Some(Dialect::Postgres) => (&POSTGRES, &MYSQL),
            Some(Dialect::MySql) => (&MYSQL, &POSTGRES),
            Some(Dialect::Sqlite) | None => return Err(url_error("it is of no database server")),
        };
        let wrong = |reason: &str| Err(url_error(reason));
        let options = parse(&self.0)?;
        let url = &options.database_url;
        if url.fragment().is_some() {
            return wrong("it has a #; write %23 in a name or a password");
        }
        if url.path().trim_matches('/').is_empty() {
            return wrong("it names no database: put /NAME behind the host");
        }
        for (key, _) in url.query_pairs() {
            if key == "password" {
                return wrong("a password stands before the @, or in database.password_file");
            }
            if known.iter().all(|known| known.0 != key) {
                let names: Vec<_> = known.iter().map(|known| known.0).collect();
                let names = names.join(", ");
                // A name that is known is no secret.
                return match others.iter().find(|other| other.0 == key) {
                    Some((name, _)) => wrong(&format!("it has {name}; known are {names}")),
                    None => wrong(&format!("it has an unknown parameter; known are {names}")),
                };
            }
        }
        let parsed = match self.dialect() {
            Some(Dialect::MySql) => MySqlConnectOptions::from_str(&self.0).is_ok(),
            _ => PgConnectOptions::from_str(&self.0).is_ok(),
        };
        match parsed {
            true => Ok(options),
            false => wrong("a value of its parameters is not known"),
        }
    }

    /// The address of a server, with what all connections of ours have.
    pub(crate) fn of_server(&self) -> Result<Self, StoreError> {
        self.check_server()?;
        let mut url = self.parse_server()?.database_url;
        let (name, value) = match self.dialect() {
            Some(Dialect::MySql) => STATEMENTS,
            _ => APPLICATION,
        };
        url.query_pairs_mut().append_pair(name, value);
        Ok(Self(url.into()))
    }

    /// The server and the database, without a password and parameters.
    pub(crate) fn server(&self) -> String {
        let Ok(options) = self.parse_server() else {
            return HIDDEN.into();
        };
        let mut url = options.database_url;
        let _ = url.set_password(None);
        url.set_query(None);
        url.into()
    }

    /// Whether both lead to one database of a server, as far as addresses tell: whoever connects, and however.
    pub(crate) fn is_same_database(&self, other: &Self) -> bool {
        let place = |address: &Self| {
            let dialect = address.dialect()?;
            let url = address.parse_server().ok()?.database_url;
            let port = url.port().unwrap_or(match dialect {
                Dialect::MySql => 3306,
                Dialect::Postgres | Dialect::Sqlite => 5432,
            });
            let socket = url
                .query_pairs()
                .find(|(key, _)| key == "host" || key == "socket");
            let socket = socket.map(|(_, folder)| folder.into_owned());
            let host = url.host_str().map(str::to_ascii_lowercase);
            Some((dialect, host, port, socket, url.path().to_owned()))
        };
        place(self).is_some_and(|place_of_this| Some(place_of_this) == place(other))
    }

    /// The user who connects; empty if the system's is meant.
    pub(crate) fn user(&self) -> String {
        let options = parse(&self.0).ok();
        options.map_or_else(String::new, |options| {
            options.database_url.username().to_owned()
        })
    }
}

/// Not what the parser says: it may quote a password.
fn parse(url: &str) -> Result<AnyConnectOptions, StoreError> {
    AnyConnectOptions::from_str(url).map_err(|_| url_error("it is not a URL"))
}

fn url_error(reason: &str) -> StoreError {
    StoreError::Url {
        reason: reason.to_owned(),
    }
}

impl From<String> for DatabaseUrl {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sqlite_path().is_some() {
            return f.write_str(&self.0);
        }
        let Ok(options) = self.parse_server() else {
            // Whatever it is, any part of it may be of a password.
            return f.write_str(if self.0.is_empty() { "" } else { HIDDEN });
        };
        let mut url = options.database_url;
        if url.password().is_some() {
            let _ = url.set_password(Some(HIDDEN));
        }
        f.write_str(url.as_str())
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The usual error would repeat what it found.
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| D::Error::custom("it must be text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_the_same_whoever_connects_to_it() {
        let is_same = |one: &str, other: &str| {
            DatabaseUrl::from(one).is_same_database(&DatabaseUrl::from(other))
        };
        for (one, other) in [
            (
                "postgres://me:1@host/db",
                "postgresql://you@HOST:5432/db?sslmode=require",
            ),
            ("mysql://host/db", "mariadb://me@host:3306/db"),
            (
                "postgres:///db?host=/run&user=a",
                "postgres:///db?user=b&host=/run",
            ),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
        for other in [
            "postgres://me@host/other",
            "postgres://me@host:5433/db",
            "postgres://me@another/db",
            "mysql://me@host/db",
            "mysql://me@host:5432/db",
            "sqlite://host/db",
            "",
        ] {
            assert!(!is_same("postgres://me@host/db", other), "{other}");
        }
        assert!(!is_same(
            "postgres:///db?host=/run",
            "postgres:///db?host=/tmp"
        ));
        assert!(!is_same("sqlite://a", "sqlite://a"));
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://me:s3cret@host/db",
            "postgresql://me:s3cret@[::1]:5433/db?sslmode=require",
            "mysql://me:s3cret@host/db",
            "mariadb://me:s%33cret@host/db?pass=s3cret",
            "postgres://host/db?password=s3cret",
            "postgres://host/db#s3cret",
            "postgres://me:s3cret@ho st/db",
            "postgres://s3cret:1#2@host/db",
            "postgres://s3cret:1?2@host/db",
            "s3cret",
            "oracle://me:s3cret@host/db",
            "://s3cret",
        ] {
            let url = DatabaseUrl::from(url);
            let shown = [
                format!("{url} {url:?}"),
                serde_json::to_string(&url).unwrap(),
                url.server(),
                format!("{:?}", url.check_server()),
                format!("{:?}", url.of_server()),
                format!("{:?}", url.with_password("s3cret")),
            ];
            for shown in shown {
                assert!(!shown.contains("s3cret"), "{shown}");
                assert!(!shown.contains("s%33cret"), "{shown}");
            }
        }
    }

    #[test]
    fn what_is_no_password_is_shown() {
        for (url, shown) in [
            (
                "sqlite://{data_dir}/herald.db",
                "sqlite://{data_dir}/herald.db",
            ),
            ("postgres://me@host:5433/db", "postgres://me@host:5433/db"),
            (
                "postgres://me:pass@host/db?sslmode=require",
                "postgres://me:***@host/db?sslmode=require",
            ),
        ] {
            assert_eq!(DatabaseUrl::from(url).to_string(), shown);
        }
    }

    #[test]
    fn an_address_has_what_connections_need() {
        for url in [
            "postgres://me@host/db",
            "postgresql://me:pass@host:5433/db?sslmode=verify-full",
            "postgres:///db?host=/var/run/postgresql&user=me",
            "postgres://me@%2Fvar%2Frun%2Fpostgresql/db",
            "mysql://me@host/db?ssl-mode=REQUIRED",
            "mariadb://me@host/db",
        ] {
            DatabaseUrl::from(url).check_server().unwrap();
        }
        for (url, why) in [
            ("postgres://me@host", "names no database"),
            ("postgres://me@host/", "names no database"),
            ("postgres://me@host:port/db", "not a URL"),
            ("postgres://me@host/db?sslmode=perhaps", "not known"),
            (
                "postgres://me@host/db?ssl-mode=require",
                "known are sslmode",
            ),
            ("mysql://me@host/db?sslmode=require", "known are ssl-mode"),
            (
                "postgres://me@host/db?sslrootcert=/nowhere/ca.pem",
                "sslrootcert",
            ),
            ("postgres://host/db?password=x", "before the @"),
            ("sqlite:///herald.db", "no database server"),
        ] {
            let error = DatabaseUrl::from(url).check_server().unwrap_err();
            assert!(error.to_string().contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn a_password_of_its_own_is_the_servers() {
        let url = DatabaseUrl::from("postgres://me@host/db");
        let with = url.with_password("p@ss:/%?#").unwrap();
        let options = PgConnectOptions::from_str(with.expose());
        assert!(format!("{options:?}").contains("p@ss:/%?#"));
        assert!(with.with_password("another").is_err());
        assert!(
            DatabaseUrl::from("sqlite:///a.db")
                .with_password("x")
                .is_err()
        );
    }
}
