//! The session state of MQTT 5 section 4.1.

use std::collections::{HashSet, VecDeque};

use herald_acl::{TopicFilter, TopicName};

use super::{
    in_flight::InFlight,
    subscription::{Granted, Replay},
    will::Will,
};
use crate::{
    delivery::Delivery,
    feed::Feed,
    ids::{SessionId, SubscriptionKey},
    user_bytes::Held,
    wire::Qos,
};

/// One session's state, which one task has at any time: that of its connection, or the one that waits for the next.
pub(crate) struct SessionState {
    pub(crate) id: SessionId,
    pub(crate) granted: Vec<Granted>,
    /// Delivery of the user's inbox, if that is subscribed to.
    pub(crate) inbox: Option<Feed>,
    /// The inbox has a cursor for the client id, as CONNECT asked for a session that is kept. So it stays to the session's
    /// end, though a later CONNECT or DISCONNECT asks for that end.
    pub(crate) has_cursor: bool,
    pub(crate) in_flight: InFlight,
    /// What the session holds of its user's bytes, the mailbox apart.
    pub(crate) held: Held,
    /// QoS 2 PUBLISHes that were taken and wait for their PUBREL.
    pub(crate) received: HashSet<u16>,
    /// Subscriptions that still get what is retained.
    pub(crate) replays: VecDeque<Replay>,
    /// Shared messages taken from the mailbox and not sent yet.
    pub(crate) shared: VecDeque<Delivery>,
    /// The will, while the session has no connection and its delay has not passed.
    pub(crate) will: Option<Box<Will>>,
    /// The next connection goes on with it: Session Present of CONNACK.
    pub(crate) is_present: bool,
}

impl SessionState {
    /// A session that begins.
    pub(crate) fn new(id: SessionId) -> Self {
        Self {
            id,
            granted: vec![],
            inbox: None,
            has_cursor: false,
            in_flight: InFlight::default(),
            held: Held::default(),
            received: HashSet::new(),
            replays: VecDeque::new(),
            shared: VecDeque::new(),
            will: None,
            is_present: false,
        }
    }

    /// Adds a subscription, or replaces the one to the same filter.
    pub(crate) fn grant(&mut self, granted: Granted) {
        let same = |g: &&mut Granted| g.filter == granted.filter;
        match self.granted.iter_mut().find(same) {
            Some(old) => *old = granted,
            None => {
                if self.granted.is_empty() {
                    // Most clients have one.
                    self.granted.reserve_exact(1);
                }
                self.granted.push(granted);
            }
        }
    }

    /// Removes the subscription to `filter`, and delivery of the user's `inbox` with the last one that covers it.
    pub(crate) fn remove(
        &mut self,
        filter: &TopicFilter,
        inbox: &TopicName,
    ) -> Option<SubscriptionKey> {
        let at = self.granted.iter().position(|g| &g.filter == filter)?;
        let key = self.granted.remove(at).key;
        self.replays.retain(|r| r.subscription != key);
        if self.inbox.is_some() && !self.granted.iter().any(|g| g.is_for(inbox)) {
            self.inbox = None;
            self.in_flight.forget_notifications();
        }
        Some(key)
    }

    /// Takes what waits for a subscription.
    pub(crate) fn take_those_for(&mut self, key: SubscriptionKey) -> VecDeque<Delivery> {
        let all = std::mem::take(&mut self.shared);
        let (taken, left) = all.into_iter().partition(|d| d.is_for(key));
        self.shared = left;
        taken
    }

    /// Whether some subscription brings messages that the session must not lose.
    pub(crate) fn is_owed(&self) -> bool {
        self.granted.iter().any(Granted::is_owed)
    }

    /// The connection is gone, the session is not.
    pub(crate) fn park(&mut self) {
        self.is_present = true;
        self.in_flight.park();
        self.shared.retain(|d| d.message.qos != Qos::AtMostOnce);
        for replay in &mut self.replays {
            // What is published meanwhile may not be kept for the session: better twice than not at all.
            replay.last = u64::MAX;
        }
        if let Some(feed) = &mut self.inbox {
            feed.park(self.in_flight.notifications());
        }
        self.settle_held(0);
    }

    /// What the session holds of shared messages, in bytes.
    pub(crate) fn shared_bytes(&self) -> usize {
        let shared = self.shared.iter().map(|d| d.message.size());
        self.in_flight.bytes() + shared.sum::<usize>()
    }

    /// Gives back what the session does not hold any more of its user's bytes. `output`: what the socket has not taken.
    pub(crate) fn settle_held(&mut self, output: usize) {
        let ready = self.inbox.as_ref().map_or(0, Feed::ready_bytes);
        self.held.keep(self.shared_bytes() + ready + output);
    }

    /// The session is over: forgets all that it had, but not the will. Returns the messages that the client has not acknowledged, in order.
    pub(crate) fn clear(&mut self) -> Vec<Delivery> {
        let over = std::mem::replace(self, Self::new(self.id));
        self.will = over.will;
        let sent = over.in_flight.into_unacknowledged();
        sent.chain(over.shared).collect()
    }
}
