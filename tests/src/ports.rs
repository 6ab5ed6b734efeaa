//! Ports for servers that cannot choose one.

use std::{net::TcpListener, ops::RangeInclusive};

use rand::Rng as _;

/// Ports below those that outgoing connections are given.
const OWN_PORTS: RangeInclusive<u16> = 20_000..=32_000;

/// Ports that nobody listens on.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    // All are held until there are enough, so that they differ.
    let mut held = vec![];
    while held.len() < count {
        let port = rand::rng().random_range(OWN_PORTS);
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    held.iter().map(port).collect()
}
