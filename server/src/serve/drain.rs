//! A server that is taken out while others stand: its clients go to them before it stops.

use std::time::Duration;

use herald_broker::Broker;
use herald_store::Store;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How long `/readyz` says no before clients are sent away, at most: so that whoever sends them here knows it by then.
const NOTICE: Duration = Duration::from_secs(2);

/// How long it may take to learn whether there are others.
const OTHERS: Duration = Duration::from_secs(2);

/// What it takes to send the clients to other servers.
pub(super) struct Drain {
    pub(super) store: Store,
    pub(super) broker: Broker,
    /// Cancelled when it begins.
    pub(super) draining: CancellationToken,
    /// How long it takes.
    pub(super) time: Duration,
}

impl Drain {
    /// Sends all clients away, unless there is no other server for them.
    pub(super) async fn run(&self) {
        if !self.others_stand().await {
            return;
        }
        self.draining.cancel();
        let notice = NOTICE.min(self.time / 5);
        tracing::info!(
            clients = self.broker.connected(),
            seconds = self.time.as_secs(),
            "draining: clients go to other servers"
        );
        sleep(notice).await;
        self.broker.drain(self.time.saturating_sub(notice)).await;
        tracing::info!("drained");
    }

    async fn others_stand(&self) -> bool {
        if self.store.is_exclusive() {
            return false;
        }
        match timeout(OTHERS, self.store.nodes()).await {
            // This one is among them.
            Ok(Ok(nodes)) => nodes.iter().filter(|node| node.stands).count() > 1,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
