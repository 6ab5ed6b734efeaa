//! A mosquitto that is a bridge to the server.

use std::fs;

use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Transport, Version,
    herald::Herald,
    lines::Lines,
    names::password,
    ports::free_ports,
    raw::{Connect, Raw},
};

/// A broker of its own on loopback, and its bridge. Dropping it kills it.
pub struct MosquittoBridge {
    _folder: TempDir,
    _lines: Lines,
    address: String,
}

impl MosquittoBridge {
    /// A bridge of this user with the defaults of mosquitto, and `settings`, by lines.
    pub async fn start(
        herald: &Herald,
        transport: Transport,
        username: &str,
        settings: &[&str],
    ) -> Self {
        let folder = TempDir::with_prefix("mosquitto-").unwrap();
        let address = format!("127.0.0.1:{}", free_ports(1)[0]);
        let port = address.rsplit_once(':').unwrap().1;
        let bridge = match transport {
            Transport::Tls => {
                let (ca, address) = (herald.ca(), herald.tls_address());
                format!("address {address}\nbridge_cafile {}", ca.display())
            }
            Transport::Tcp => format!("address {}", herald.tcp_address()),
        };
        // Of root, it would become another user, who cannot read the certificate.
        let config = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nconnection herald\n\
             {bridge}\nremote_username {username}\nremote_password {}\n{}\n",
            password(username),
            settings.join("\n")
        );
        let file = folder.path().join("mosquitto.conf");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("mosquitto");
        // Debian does not have it on the path of everyone.
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin"));
        command.arg("-c").arg(file);
        let mut lines = Lines::start("mosquitto", &mut command);
        let runs = |line: &str| line.ends_with(" running").then_some(());
        lines.find("its start", runs).await;
        Self {
            _folder: folder,
            _lines: lines,
            address,
        }
    }

    /// A client of the mosquitto, not of the server.
    pub async fn client(&self) -> Raw {
        let mut client = Raw::over(&self.address, Version::V311).await;
        assert_eq!(client.login(&Connect::of("anyone")).await, 0);
        client
    }
}
