//! What the sender and the receiver of a channel share.

use std::sync::Arc;

use tokio::sync::watch;

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::server::Server;
use crate::{NodeId, Store};

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) store: Store,
    pub(super) server: Server,
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Incoming,
    /// The other nodes, in order.
    pub(super) others: watch::Sender<Arc<[NodeId]>>,
}

impl Channel {
    pub(super) fn is_alone(&self) -> bool {
        self.others.borrow().is_empty()
    }

    /// Waits until there are other nodes.
    pub(super) async fn joined_by_others(&self) {
        let mut others = self.others.subscribe();
        // The sender is here.
        let _ = others.wait_for(|others| !others.is_empty()).await;
    }

    /// Waits until there are no other nodes.
    pub(super) async fn alone(&self) {
        let mut others = self.others.subscribe();
        let _ = others.wait_for(|others| others.is_empty()).await;
    }
}
