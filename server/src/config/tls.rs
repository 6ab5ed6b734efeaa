//! The section `[tls]`.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::ConfigError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TlsMode {
    Auto,
    Files,
    Off,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            mode: TlsMode::Auto,
            cert: PathBuf::new(),
            key: PathBuf::new(),
        }
    }
}

impl Tls {
    /// `http` is where HTTP is served.
    pub(super) fn check(&self, http: SocketAddr) -> Result<(), ConfigError> {
        match self.mode {
            TlsMode::Off if !http.ip().is_loopback() => Err(ConfigError(format!(
                "tls.mode: off serves the loopback only, and {http} is beyond it"
            ))),
            TlsMode::Auto | TlsMode::Off => Ok(()),
            TlsMode::Files => {
                let files = [("tls.cert", &self.cert), ("tls.key", &self.key)];
                match files.into_iter().find(|(_, path)| !path.is_file()) {
                    Some((key, path)) => Err(ConfigError(format!(
                        "{key}: there is no file '{}'",
                        path.display()
                    ))),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(mode: TlsMode, http: [u8; 4]) -> String {
        let tls = Tls {
            mode,
            ..Tls::default()
        };
        tls.check((http, 8443).into()).unwrap_err().to_string()
    }

    #[test]
    fn without_tls_only_the_loopback_is_served() {
        let text = refused(TlsMode::Off, [0, 0, 0, 0]);
        assert!(text.starts_with("tls.mode: "), "{text}");
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let text = refused(TlsMode::Files, [127, 0, 0, 1]);
        assert!(text.starts_with("tls.cert: "), "{text}");
    }
}
