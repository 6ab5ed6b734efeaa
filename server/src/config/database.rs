//! The section `[database]`.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Stands for `data_dir` at the beginning of a path.
const DATA_DIR: &str = "{data_dir}";

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: "sqlite://{data_dir}/herald.db".into(),
        }
    }
}

impl Database {
    /// The file that the URL names.
    pub(crate) fn file(&self, data_dir: &Path) -> Result<PathBuf, ConfigError> {
        file(&self.url, data_dir)
    }
}

/// The file that `url` names. Errors do not repeat it: it may hold a password.
fn file(url: &str, data_dir: &Path) -> Result<PathBuf, ConfigError> {
    let error = |why: &str| Err(ConfigError(format!("database.url: {why}")));
    let Some(path) = url
        .strip_prefix("sqlite://")
        .filter(|path| !path.is_empty())
    else {
        return error("it is not supported; this version has sqlite://PATH");
    };
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

    #[test]
    fn a_url_names_a_file_as_urls_do() {
        let data_dir = Path::new("my%20data?");
        for (url, path) in [
            ("sqlite://{data_dir}/herald.db", "my%20data?/herald.db"),
            ("sqlite:///srv/a%20b/herald.db", "/srv/a b/herald.db"),
            ("sqlite:///srv/a b%3F/%C3%BC.db", "/srv/a b?/ü.db"),
            ("sqlite://herald.db", "herald.db"),
        ] {
            assert_eq!(file(url, data_dir).unwrap(), Path::new(path), "{url}");
        }
    }

    #[test]
    fn what_names_no_file_is_refused_and_not_repeated() {
        for url in [
            "postgres://me:s3cret@host/db",
            "sqlite://",
            "sqlite:herald.db",
            "sqlite:///s3cret.db?mode=rwc",
            "sqlite:///s3cret.db#x",
            "sqlite:///s3cret%FF.db",
            "sqlite:///s3cret%00.db",
            "",
        ] {
            let error = file(url, Path::new("data")).unwrap_err().to_string();
            assert!(error.starts_with("database.url: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
