//! A load balancer of TCP, with the configuration that operators are given.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::fs::MetadataExt as _,
};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{Herald, ports::free_ports, wait::until};

/// Where Debian has it.
const PROGRAM: &str = "/usr/sbin/haproxy";

/// What operators are given, for nodes with the first three of these addresses, followed by a port.
const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../ops/haproxy.cfg");
const NODES: [&str; 3] = ["10.89.0.11", "10.89.0.12", "10.89.0.13"];

/// HAProxy before three servers. Dropping it kills it.
pub struct HaProxy {
    https: String,
    mqtts: String,
    folder: TempDir,
    _child: Child,
}

impl HaProxy {
    /// Starts it before servers that run.
    pub async fn start(servers: &[Herald; 3]) -> Self {
        let ports = free_ports(2);
        let [https, mqtts] = [ports[0], ports[1]].map(|port| format!("127.0.0.1:{port}"));
        let folder = TempDir::with_prefix("herald-").unwrap();
        let path = folder.path().join("haproxy.cfg");
        fs::write(&path, filled_in(servers, &https, &mqtts)).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(PROGRAM);
        // Not in the background.
        command.arg("-db").arg("-f").arg(&path);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.kill_on_drop(true).spawn();
        let child = child.unwrap_or_else(|e| panic!("{PROGRAM}: {e}. Run `cargo xtask setup`."));
        let mut started = Self {
            https,
            mqtts,
            folder,
            _child: child,
        };
        until("HAProxy's start", async || {
            let ended = started._child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", started.log());
            TcpStream::connect(&started.mqtts).ok()
        })
        .await;
        started
    }

    /// Address of HTTPS and WSS.
    #[must_use]
    pub fn https(&self) -> &str {
        &self.https
    }

    /// Address of MQTT over TLS.
    #[must_use]
    pub fn mqtts(&self) -> &str {
        &self.mqtts
    }

    /// What it has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// The configuration with the addresses of these servers, and these of its own.
fn filled_in(servers: &[Herald; 3], https: &str, mqtts: &str) -> String {
    let mut text = fs::read_to_string(CONFIGURATION).unwrap();
    let mut put = |place: &str, address: &str| {
        assert_eq!(text.matches(place).count(), 1, "{place}");
        text = text.replace(place, address);
    };
    put("bind :443", &format!("bind {https}"));
    put("bind :8883", &format!("bind {mqtts}"));
    for (node, herald) in NODES.iter().zip(servers) {
        put(&format!("{node}:8443"), herald.http_address());
        put(&format!("{node}:8883"), herald.tls_address());
    }
    // Only root may become somebody else.
    let user = ["user haproxy", "group haproxy"];
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        for line in user {
            put(line, "");
        }
    }
    text
}
