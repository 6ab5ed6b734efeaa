//! `run.json`: where a running server listens.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::data_dir;

/// The real addresses, ports included; `None` is off.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) mqtt_tls: Option<SocketAddr>,
    pub(crate) mqtt_tcp: Option<SocketAddr>,
    /// None yet: there is no listener for metrics. The file has the key already, so that its readers need not change.
    pub(crate) metrics: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Content {
    pid: u32,
    version: &'static str,
    #[serde(flatten)]
    addresses: Addresses,
}

/// The file, which says that the server is ready. It goes with a clean stop.
pub(crate) struct RunFile(PathBuf);

impl RunFile {
    /// Writes it.
    pub(crate) fn write(data_dir: &Path, addresses: Addresses) -> anyhow::Result<Self> {
        let path = data_dir.join("run.json");
        let content = Content {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
            addresses,
        };
        data_dir::write(&path, &serde_json::to_string(&content)?, false)?;
        Ok(Self(path))
    }

    /// Removes what a server that was killed left behind.
    pub(crate) fn forget(data_dir: &Path) {
        let _ = fs::remove_file(data_dir.join("run.json"));
    }

    /// Removes it.
    pub(crate) fn remove(self) {
        if let Err(e) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), error = %e, "run.json could not be removed");
        }
    }
}
