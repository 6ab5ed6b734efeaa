//! The section `[log]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::logging;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
    /// Empty: standard error.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Text,
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Auto,
            file: PathBuf::new(),
        }
    }
}

impl Log {
    /// Checks that it says what is to be logged.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match logging::filter(&self.level) {
            Some(_) => Ok(()),
            None => Err(ConfigError(
                "log.level (or HERALD_LOG): off, error, warn, info, debug or trace, or directives such as \
                 info,herald_broker=debug"
                    .into(),
            )),
        }
    }
}
