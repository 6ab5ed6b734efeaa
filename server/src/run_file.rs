//! `run.json`: where a running server listens.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::Context as _;
use herald_store::Timestamp;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

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

/// The server that has written the file and runs.
pub(crate) struct Running {
    pub(crate) pid: i32,
    pub(crate) version: String,
    /// When it was ready.
    pub(crate) since: Timestamp,
}

impl Running {
    /// `None` if there is none: a server that was killed leaves its file behind.
    pub(crate) fn read(data_dir: &Path) -> anyhow::Result<Option<Self>> {
        #[derive(Deserialize)]
        struct Read {
            pid: i32,
            version: String,
        }
        let path = data_dir.join("run.json");
        let problem = || format!("cannot read {}", path.display());
        let text = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(problem)?,
        };
        let written = fs::metadata(&path).and_then(|file| file.modified());
        let written = written.with_context(problem)?;
        let Read { pid, version } = serde_json::from_slice(&text).with_context(problem)?;
        let is_there = Pid::from_raw(pid).is_some_and(|pid| {
            // Of another account's process it says that it may not be told anything.
            test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
        });
        let since = written.duration_since(SystemTime::UNIX_EPOCH);
        Ok(is_there.then(|| Self {
            pid,
            version,
            since: Timestamp::from_millis(0) + since.unwrap_or_default(),
        }))
    }
}
