//! The servers that are measured, each in a process and a folder of its own, on free ports of the loopback.

pub(crate) mod herald;
pub(crate) mod mosquitto;
pub(crate) mod routed;
pub(crate) mod rumqttd;

use std::{
    io::Read as _,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::{
    client::Login,
    process::Process,
    transport::{Target, Transport},
};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);

/// The names of the accounts that may publish to shared topics begin so. Not `admin`, whose password the server checks at
/// its start.
const ADMIN: &str = "publisher";

/// How many of those accounts there are: enough for all publishers.
const ADMINS: usize = 8;

/// How many sessions one of them has at most: what Herald lets a user have.
const SESSIONS: usize = 64;

/// A running server. It ends when dropped.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) process: Process,
    targets: Vec<Target>,
    /// Removed when the last server that uses it has ended.
    _folder: Option<Arc<TempDir>>,
}

impl Server {
    /// Where it takes connections of this kind.
    pub(crate) fn target(&self, transport: Transport) -> anyhow::Result<&Target> {
        let target = self.targets.iter().find(|t| t.transport == transport);
        target.with_context(|| format!("{} has no listener for {transport}", self.name))
    }
}

/// `count` users, each with a secret of its own, which has the form of a token.
pub(crate) fn users(count: usize) -> Vec<Login> {
    (0..count).map(|i| login(&format!("user{i:06}"))).collect()
}

/// One of those who may publish to shared topics.
pub(crate) fn admin() -> Login {
    login(&format!("{ADMIN}0"))
}

/// All who may publish to shared topics.
fn admins() -> impl Iterator<Item = Login> {
    (0..ADMINS).map(|i| login(&format!("{ADMIN}{i}")))
}

/// `count` sessions of those who may publish to shared topics, at most 512.
pub(crate) fn publishers(count: usize) -> Vec<Login> {
    let sessions = admins().flat_map(|admin| std::iter::repeat_n(admin, SESSIONS));
    let numbered = |(i, admin)| Login {
        client_id: format!("publisher{i:06}"),
        ..admin
    };
    sessions.take(count).enumerate().map(numbered).collect()
}

fn login(name: &str) -> Login {
    Login {
        client_id: name.to_owned(),
        name: name.to_owned(),
        password: format!("hrld_{name:x>43}"),
    }
}

/// An address that nobody listens on.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until somebody listens on `address`.
fn await_listener(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    await_start(process, || TcpStream::connect(address).ok())?;
    Ok(())
}

/// Waits until `ready` has something.
fn await_start<T>(
    process: &mut Process,
    mut ready: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + START;
    loop {
        if let Some(status) = process.child().try_wait()? {
            bail!("it ended at its start: {status}");
        }
        if let Some(ready) = ready() {
            return Ok(ready);
        }
        if Instant::now() > deadline {
            bail!("it did not start in time");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Ends this process when the one that started it is gone: the other end of its standard input.
fn end_with_parent() {
    thread::spawn(|| {
        let mut rest = vec![];
        // An error is an end, too.
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
}
