//! The section `[log]` of the configuration.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::filter;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(super) format: LogFormat,
    /// Empty: standard error.
    pub(super) file: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
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
    /// What is to be logged.
    pub(crate) fn filter(&self) -> Result<EnvFilter, LogError> {
        filter::parse(&self.level).ok_or(LogError::Level)
    }
}

/// Why nothing can be logged: one line that names the key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    #[error(
        "log.level (or HERALD_LOG): off, error, warn, info, debug or trace, or directives such as info,herald_broker=debug"
    )]
    Level,
    #[error("log.file: '{}' cannot be opened: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("log: its thread cannot be started: {0}")]
    Thread(io::Error),
}
