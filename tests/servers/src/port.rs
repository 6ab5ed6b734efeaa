//! Ports.

use std::net::TcpListener;

use anyhow::{Result, bail};

use crate::secret::random;

/// The first port that is used, and how many: all are below those that outgoing connections are given, so that a server finds its
/// port free when it is started again.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// How many are tried.
const TRIES: usize = 100;

/// A port of loopback that nobody listens on.
pub(crate) fn free() -> Result<u16> {
    for _ in 0..TRIES {
        let port = FIRST + u16::from_ne_bytes(random()?) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port among {TRIES}")
}
