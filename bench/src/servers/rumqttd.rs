//! Stock `rumqttd`, as its library starts it, in a process of its own.

use std::{
    collections::HashMap,
    env,
    net::SocketAddr,
    process::{Command, Stdio},
};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

use super::{Server, await_listener, end_with_parent, free_address};
use crate::{
    process::Process,
    transport::{Target, Transport},
};

/// Starts it for `connections` clients.
pub(crate) fn start(connections: usize) -> anyhow::Result<Server> {
    let address = free_address()?;
    let mut process = Process::start(
        Command::new(env::current_exe()?)
            .args(["serve-rumqttd", &address.to_string()])
            .arg(connections.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null()),
    )?;
    await_listener(&mut process, address)?;
    Ok(Server {
        name: "rumqttd",
        process,
        targets: vec![Target {
            transport: Transport::Tcp,
            address,
            trust: None,
        }],
        _folder: None,
    })
}

/// What that process does: the settings of the `rumqttd.toml` that comes with it, but for the address and the number of
/// connections. It has no accounts.
pub(crate) fn serve(address: SocketAddr, connections: usize) -> anyhow::Result<()> {
    end_with_parent();
    let settings = ServerSettings {
        name: "v4-1".into(),
        listen: address,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 60_000,
            max_payload_size: 20_480,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: true,
        },
    };
    let config = Config {
        router: RouterConfig {
            max_connections: connections,
            max_outgoing_packet_count: 200,
            max_segment_size: 100 * 1024 * 1024,
            max_segment_count: 10,
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("1".into(), settings)])),
        ..Config::default()
    };
    Ok(Broker::new(config).start()?)
}
