//! The configuration file.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use figment::providers::{Data, Format as _, Toml};

use super::ConfigError;
use crate::cli::Options;

/// Read if it exists and no other file is named.
const DEFAULT_FILE: &str = "herald.toml";

/// The file that `--config` or `HERALD_CONFIG` names, or else `herald.toml`, if there is one.
pub(super) fn read(options: &Options) -> Result<Data<Toml>, ConfigError> {
    let variable = env::var_os("HERALD_CONFIG").filter(|path| !path.is_empty());
    let (by, path) = match (&options.config, variable) {
        (Some(path), _) => ("--config", path.clone()),
        (None, Some(path)) => ("HERALD_CONFIG", PathBuf::from(path)),
        (None, None) if Path::new(DEFAULT_FILE).is_file() => ("", DEFAULT_FILE.into()),
        (None, None) => return Ok(Toml::string("")),
    };
    if !path.is_file() {
        let path = path.display();
        return Err(ConfigError(format!("{by}: there is no file {path}")));
    }
    parses(&path)?;
    Ok(Toml::file_exact(path))
}

/// Says where the file is no TOML, and not what stands there, as the parser would: it may be a secret.
fn parses(path: &Path) -> Result<(), ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|e| ConfigError(format!("{}: it cannot be read: {e}", path.display())))?;
    let Err(error) = text.parse::<toml::Table>() else {
        return Ok(());
    };
    let before = error.span().and_then(|span| text.get(..span.start));
    let place = before.map(|before| {
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        format!(" at line {line}, column {column}")
    });
    Err(ConfigError(format!(
        "{}: it is no TOML{}",
        path.display(),
        place.unwrap_or_default()
    )))
}
