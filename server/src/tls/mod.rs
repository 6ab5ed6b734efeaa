//! Certificates: the operator's own, or those of a local certificate authority made on first start.

mod facts;
mod files;
mod local_ca;
mod pem;

use std::sync::Arc;

use anyhow::Context as _;
use rustls::{ServerConfig, crypto::ring, sign::SingleCertAndKey};

use crate::config::{Config, ConfigError, TlsMode};

pub(crate) use local_ca::LocalCa;

/// What the listeners serve with, for the given application protocols; `None` if TLS is off.
pub(crate) fn server_config(config: &Config) -> anyhow::Result<Option<ServerConfig>> {
    let certified = match config.tls.mode {
        TlsMode::Off => return Ok(None),
        TlsMode::Files => files::load(&config.tls.cert, &config.tls.key)?,
        TlsMode::Auto => {
            let local = LocalCa::in_data_dir(&config.data_dir);
            local.ensure()?;
            local.load()?
        }
    };
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("ring has what TLS 1.2 and 1.3 need")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    Ok(Some(server))
}

/// Says what is wrong with the operator's certificate and key, if that is where they come from.
pub(crate) fn check(config: &Config) -> Result<(), ConfigError> {
    match config.tls.mode {
        TlsMode::Files => files::load(&config.tls.cert, &config.tls.key).map(drop),
        TlsMode::Auto | TlsMode::Off => Ok(()),
    }
}
