//! Servers that share a database.

use std::time::Duration;

use anyhow::Context as _;
use herald_store::Delay;
use tokio::time::sleep;

use crate::{
    accept,
    client::Login,
    databases::Database,
    servers::{
        Server,
        herald::{Installation, Listeners},
    },
};

/// How long servers take to learn of each other.
const ACQUAINTED: Duration = Duration::from_millis(2500);

/// Servers on one database, with these users; messages have no delay.
pub(crate) struct Cluster<'a> {
    pub(crate) database: &'a Database,
    pub(crate) installation: Installation,
    pub(crate) servers: Vec<Server>,
}

impl<'a> Cluster<'a> {
    /// Starts `nodes`, each of which takes `connections`. `relay`: the URL of what carries shared topics, if not the database.
    pub(crate) async fn start(
        database: &'a Database,
        users: &[Login],
        nodes: usize,
        connections: usize,
        relay: Option<&str>,
    ) -> anyhow::Result<Self> {
        let installation = Installation::create(database, users).await?;
        let store = installation.store().await?;
        let set = store.set_delay(Delay::Fixed { ms: 0 }, false).await;
        store.close().await;
        set?;
        let start = |node| installation.start_node(node, Listeners::Secure, connections, relay);
        let servers = (0..nodes).map(start).collect::<anyhow::Result<_>>()?;
        if nodes > 1 {
            sleep(ACQUAINTED).await;
        }
        Ok(Self {
            database,
            installation,
            servers,
        })
    }

    pub(crate) fn first(&self) -> anyhow::Result<&Server> {
        self.servers.first().context("there is no server")
    }

    pub(crate) fn last(&self) -> anyhow::Result<&Server> {
        self.servers.last().context("there is no server")
    }

    /// Waits until no server has anything left to do.
    pub(crate) async fn rest(&self) -> anyhow::Result<()> {
        for server in &self.servers {
            accept::rest(server).await?;
        }
        Ok(())
    }

    /// Processor time of all servers.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        self.servers.iter().map(|server| server.process.cpu()).sum()
    }

    /// Ends them.
    pub(crate) fn stop(self) {
        for server in self.servers {
            server.process.stop();
        }
    }
}
