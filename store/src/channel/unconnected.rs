//! A channel that is connected to no database.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::bundle::Bundle;
use super::incoming::{Incoming, Received};
use super::outgoing::{Outgoing, pause};
use super::shared::know;
use crate::NodeId;

/// What a node sends and receives, without a database, a task and a clock: whoever has it carries the bundles. With it, many nodes
/// can be looked at in one process.
#[derive(Debug)]
pub struct UnconnectedChannel {
    own: NodeId,
    /// That of the last bundle.
    number: i64,
    outgoing: Outgoing,
    incoming: Incoming,
    others: watch::Sender<Arc<[NodeId]>>,
}

impl UnconnectedChannel {
    /// That of a node that knows no others.
    #[must_use]
    pub fn of(own: NodeId) -> Self {
        Self {
            own,
            number: 0,
            outgoing: Outgoing::default(),
            incoming: Incoming::default(),
            others: watch::Sender::new([].into()),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn own(&self) -> &NodeId {
        &self.own
    }

    /// Says which nodes stand. This one does not count.
    pub fn know(&self, nodes: impl IntoIterator<Item = NodeId>) {
        let others = nodes.into_iter().filter(|node| *node != self.own);
        know(others, &self.others, &self.incoming, &self.outgoing);
    }

    /// Whether no other node is known.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.others.borrow().is_empty()
    }

    /// Adds a frame to what waits to be sent.
    pub fn send(&self, frame: String) {
        match self.is_alone() {
            true => self.outgoing.lose(1),
            false => self.outgoing.add(vec![frame], None),
        }
    }

    /// Whether something waits to be sent.
    #[must_use]
    pub fn has_to_send(&self) -> bool {
        self.outgoing.wait().now_or_never().is_some()
    }

    /// The bundles that one statement sends now, as texts; a sign of life if nothing waits.
    pub fn bundles(&mut self) -> Vec<String> {
        let mut due = self.outgoing.take();
        let bundles = due.numbered(&self.own, &mut self.number);
        due.taken();
        bundles.iter().map(Bundle::text).collect()
    }

    /// How long after it the next statement may follow.
    #[must_use]
    pub fn pause(&self) -> std::time::Duration {
        pause(self.others.borrow().len())
    }

    /// Takes a bundle of another node.
    pub fn receive(&self, bundle: &str) {
        if let Some(bundle) = Bundle::parse(bundle) {
            self.incoming.take(bundle);
        }
    }

    /// Its connection was lost: something may be missing.
    pub fn miss(&self) {
        self.incoming.miss();
    }

    /// What has come and was not read yet.
    pub fn received(&self) -> Option<Received> {
        self.incoming.next().now_or_never()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_from_one_to_the_other_is_received() {
        let mut ann = UnconnectedChannel::of(NodeId::new());
        let bob = UnconnectedChannel::of(NodeId::new());
        let both = [ann.own().clone(), bob.own().clone()];
        ann.send("to nobody".to_owned());
        for node in [&ann, &bob] {
            node.know(both.clone());
            assert_eq!(node.received(), Some(Received::Missed));
        }
        ann.send("one".to_owned());
        assert!(ann.has_to_send());
        for bundle in ann.bundles() {
            bob.receive(&bundle);
        }
        assert_eq!(bob.received(), Some(Received::Missed), "what was before");
        let frame = Received::Frame {
            from: ann.own().clone(),
            frame: "one".to_owned(),
        };
        assert_eq!(bob.received(), Some(frame));
        assert_eq!(bob.received(), None);
        assert!(!ann.has_to_send());
        drop(ann.bundles());
        assert!(!ann.bundles().iter().any(|bundle| {
            bob.receive(bundle);
            bob.received() != Some(Received::Missed)
        }));
    }
}
