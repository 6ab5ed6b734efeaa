//! What the sender and the receiver of a channel share.

use std::sync::Arc;

use tokio::sync::watch;

use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::server::Server;
use crate::{NodeId, Store};

/// What nodes tell each other through a channel: each has its own, so that none waits for what the others have to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Where to look in the database.
    Hints,
    /// What is published to shared topics, as it is.
    SharedTopics,
}

impl Purpose {
    /// What is listened to.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hints => "herald_nodes",
            Self::SharedTopics => "herald_shared",
        }
    }

    /// Where bundles are rows.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Hints => "node_frames",
            Self::SharedTopics => "shared_frames",
        }
    }
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) purpose: Purpose,
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

    /// Says which nodes stand. This one does not count.
    pub(super) fn know(&self, nodes: impl IntoIterator<Item = NodeId>) {
        let own = self.store.node();
        let others = nodes.into_iter().filter(|node| Some(node) != own.as_ref());
        know(others, &self.others, &self.incoming, &self.outgoing);
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

/// Notes which `others` stand, beside those that are `known`.
pub(super) fn know(
    others: impl Iterator<Item = NodeId>,
    known: &watch::Sender<Arc<[NodeId]>>,
    incoming: &Incoming,
    outgoing: &Outgoing,
) {
    let mut others: Vec<_> = others.collect();
    others.sort_unstable();
    incoming.retain(&others);
    let is_new = |known: &mut Arc<[NodeId]>| {
        let is_new = **known != *others;
        if is_new {
            *known = others.as_slice().into();
        }
        is_new
    };
    if known.send_if_modified(is_new) {
        // What one that has come has sent before, and what one that is gone could not send any more.
        incoming.miss();
        outgoing.hurry();
    }
}
