//! The section `[database]`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use herald_store::{DatabaseUrl, StoreError, StoreOptions};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Stands for `data_dir` at the beginning of a path.
const DATA_DIR: &str = "{data_dir}";

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) url: DatabaseUrl,
    pub(crate) password_file: PathBuf,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite://{data_dir}/herald.db".into(),
            password_file: PathBuf::new(),
        }
    }
}

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DatabaseLocation {
    /// A file of SQLite, which need not exist.
    File(PathBuf),
    /// A server; the address has the password.
    Server(DatabaseUrl),
}

impl DatabaseLocation {
    /// What the store opens there.
    pub(crate) fn options(&self) -> StoreOptions {
        match self {
            Self::File(file) => StoreOptions::sqlite(file),
            Self::Server(url) => StoreOptions::at(url.clone()),
        }
    }
}

impl Database {
    /// Where the URL says that the database is.
    pub(crate) fn location(&self, data_dir: &Path) -> Result<DatabaseLocation, ConfigError> {
        let Some(path) = self.url.sqlite_path() else {
            return self.server().map(DatabaseLocation::Server);
        };
        if !self.password_file.as_os_str().is_empty() {
            return Err(ConfigError(
                "database.password_file: a database file has no password".into(),
            ));
        }
        file(path, data_dir).map(DatabaseLocation::File)
    }

    fn server(&self) -> Result<DatabaseUrl, ConfigError> {
        self.url
            .check_server()
            .map_err(|error| wrong("url", error))?;
        let file = &self.password_file;
        if file.as_os_str().is_empty() {
            return Ok(self.url.clone());
        }
        let error = |why: &str| {
            ConfigError(format!(
                "database.password_file: '{}': {why}",
                file.display()
            ))
        };
        let password = fs::read_to_string(file).map_err(|e| error(&e.to_string()))?;
        // An editor ends the line.
        let password = password.trim_end_matches(['\r', '\n']);
        if password.is_empty() {
            return Err(error("it is empty"));
        }
        let url = self.url.with_password(password);
        url.map_err(|error| wrong("password_file", error))
    }
}

/// The key, and what is wrong with its value. Errors do not repeat it: it may hold a password.
fn wrong(key: &str, error: StoreError) -> ConfigError {
    let why = match error {
        StoreError::Url { reason } => reason,
        error => error.to_string(),
    };
    ConfigError(format!("database.{key}: {why}"))
}

/// The file that what stands behind `sqlite://` names.
fn file(path: &str, data_dir: &Path) -> Result<PathBuf, ConfigError> {
    let error = |why: &str| Err(ConfigError(format!("database.url: {why}")));
    if path.is_empty() {
        return error("it names no file");
    }
    if path.contains(['?', '#']) {
        return error(
            "it takes no parameters (?...) and no fragment (#...); in the name of a file, write %3F and %23",
        );
    }
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return error("what its % signs stand for is no UTF-8");
    };
    if path.contains('\0') {
        return error("a name of a file has no NUL");
    }
    // Only at the start, and not decoded: the folder's own name is not part of a URL.
    match path.strip_prefix(DATA_DIR) {
        Some(below) => Ok(data_dir.join(below.trim_start_matches('/'))),
        None => Ok(path.into_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(url: &str) -> Database {
        Database {
            url: url.into(),
            ..Database::default()
        }
    }

    fn refused(database: &Database) -> String {
        let location = database.location(Path::new("data"));
        location.unwrap_err().to_string()
    }

    #[test]
    fn a_url_names_a_file_as_urls_do() {
        let data_dir = Path::new("my%20data?");
        for (url, path) in [
            ("sqlite://{data_dir}/herald.db", "my%20data?/herald.db"),
            ("sqlite:///srv/a%20b/herald.db", "/srv/a b/herald.db"),
            ("sqlite:///srv/a b%3F/%C3%BC.db", "/srv/a b?/ü.db"),
            ("sqlite://herald.db", "herald.db"),
        ] {
            let location = database(url).location(data_dir).unwrap();
            assert_eq!(location, DatabaseLocation::File(path.into()), "{url}");
        }
    }

    #[test]
    fn what_names_no_database_is_refused_and_not_repeated() {
        for url in [
            "oracle://me:s3cret@host/db",
            "postgres://me:s3cret@host",
            "postgres://me:s3cret@host/db?pass=s3cret",
            "sqlite://",
            "sqlite:herald.db",
            "sqlite:///s3cret.db?mode=rwc",
            "sqlite:///s3cret.db#x",
            "sqlite:///s3cret%FF.db",
            "sqlite:///s3cret%00.db",
            "",
        ] {
            let error = refused(&database(url));
            assert!(error.starts_with("database.url: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_password_comes_from_a_file_and_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let password_file = dir.path().join("password");
        let with = |url: &str| Database {
            password_file: password_file.clone(),
            ..database(url)
        };
        let given = with("postgres://me@host/db");
        let error = refused(&given);
        assert!(error.starts_with("database.password_file: "), "{error}");
        fs::write(&password_file, "s3cret\n").unwrap();
        let location = given.location(Path::new("data")).unwrap();
        let DatabaseLocation::Server(url) = &location else {
            panic!("{location:?}");
        };
        assert_eq!(url.expose(), "postgres://me:s3cret@host/db");
        let shown = format!("{given:?} {location:?} {:?}", location.options());
        assert!(!shown.contains("s3cret"), "{shown}");
        for url in ["postgres://me:other@host/db", "sqlite://herald.db"] {
            let error = refused(&with(url));
            assert!(error.starts_with("database.password_file: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        fs::write(&password_file, "\n").unwrap();
        assert!(refused(&given).contains("empty"));
    }

    #[test]
    fn a_password_of_a_url_is_not_printed() {
        let database = database("postgres://me:s3cret@host/db");
        let printed = format!("{database:?} {}", toml::to_string(&database).unwrap());
        assert!(!printed.contains("s3cret"), "{printed}");
        assert!(printed.contains("postgres://me:***@host/db"), "{printed}");
    }
}
