//! The section `[http]`.

use std::net::SocketAddr;

use poem::http::Uri;
use serde::{Deserialize, Serialize};

use super::ConfigError;

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    pub(crate) listen: SocketAddr,
    pub(crate) allowed_origins: Vec<String>,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8443).into(),
            allowed_origins: vec![],
        }
    }
}

impl Http {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.allowed_origins.iter().position(|o| !is_origin(o)) {
            Some(other) => Err(ConfigError(format!(
                "http.allowed_origins: number {} is not an origin such as https://app.example",
                other + 1
            ))),
            None => Ok(()),
        }
    }
}

/// Whether this is a scheme, a host and perhaps a port, and nothing else (RFC 6454).
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return false;
    };
    let host = match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    ["http", "https"].contains(&scheme)
        && !host.contains('*')
        && text.eq_ignore_ascii_case(&format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing<const N: usize>(origins: [&str; N]) -> Http {
        Http {
            allowed_origins: origins.map(String::from).into(),
            ..Http::default()
        }
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        let http = allowing([
            "https://app.example",
            "http://[::1]:8080",
            "https://App.example:444",
        ]);
        http.check().unwrap();
        for other in [
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example?a",
            "https://*.example",
            "https://user@app.example",
            "https://app.example:99999",
            "https://app.example:",
            "mqtt://app.example",
            "null",
            "*",
        ] {
            let error = allowing([other]).check().unwrap_err().to_string();
            assert!(error.starts_with("http.allowed_origins: "), "{other}");
        }
    }
}
