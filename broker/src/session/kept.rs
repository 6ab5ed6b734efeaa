//! What of a session may outlive its connection (MQTT 5 section 4.1).

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
};

use herald_acl::{TopicFilter, TopicName, topics};

use super::{
    Granted, Handover, Place, Replay, Will,
    in_flight::{InFlight, Sending},
};
use crate::{
    bus::{Delivery, SessionId},
    feed::Feed,
    mailbox::Mailbox,
    user_bytes::Held,
    wire::Qos,
};

/// One session's state, which one task has at any time: that of its connection, or the one that waits for the next.
pub(crate) struct Kept {
    pub(super) id: SessionId,
    pub(super) place: Place,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) granted: Vec<Granted>,
    /// Delivery of the user's inbox, if that is subscribed to.
    pub(super) inbox: Option<Feed>,
    /// The inbox has a cursor for the client id, as CONNECT asked for a session that is kept. So it stays to the session's
    /// end, though a later CONNECT or DISCONNECT asks for that end.
    pub(super) has_cursor: bool,
    pub(super) in_flight: InFlight,
    /// What the session holds of its user's bytes, the mailbox apart.
    pub(super) held: Held,
    /// QoS 2 PUBLISHes that were taken and wait for their PUBREL.
    pub(super) received: HashSet<u16>,
    /// Subscriptions that still get what is retained.
    pub(super) replays: VecDeque<Replay>,
    /// Shared messages taken from the mailbox and not sent yet.
    pub(super) shared: VecDeque<Delivery>,
    /// The will, while the session has no connection and its delay has not passed.
    pub(super) will: Option<Box<Will>>,
    /// The session goes on; else this is but the place for a new one.
    pub(super) goes_on: bool,
}

impl Kept {
    /// A session that begins.
    pub(super) fn new(id: SessionId, place: Place, mailbox: Arc<Mailbox>) -> Self {
        Self {
            id,
            place,
            mailbox,
            granted: vec![],
            inbox: None,
            has_cursor: false,
            in_flight: InFlight::default(),
            held: Held::default(),
            received: HashSet::new(),
            replays: VecDeque::new(),
            shared: VecDeque::new(),
            will: None,
            goes_on: false,
        }
    }

    /// Adds a subscription, or replaces the one to the same filter.
    pub(super) fn grant(&mut self, granted: Granted) {
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
        self.subscriptions_changed();
    }

    /// Ends a subscription. `false` if there is none to this filter.
    pub(super) fn drop_subscription(&mut self, filter: &TopicFilter) -> bool {
        let Some(at) = self.granted.iter().position(|g| &g.filter == filter) else {
            return false;
        };
        let key = self.granted.remove(at).key;
        self.subscriptions_changed();
        self.place.stop(filter);
        self.replays.retain(|r| r.subscription != key);
        if filter.is_shared() {
            // Other members of the group can still have what waits for this one.
            let is_of = |d: &Delivery| d.is_for(key);
            let taken = std::mem::take(&mut self.shared);
            let (lost, left): (VecDeque<_>, _) = taken.into_iter().partition(is_of);
            self.shared = left;
            self.reassign(lost);
            self.reassign(self.mailbox.take_shared(Some(key)));
        }
        let inbox = topics::inbox(self.place.username());
        if self.inbox.is_some() && !self.granted.iter().any(|g| g.is_for(&inbox)) {
            self.inbox = None;
            self.in_flight.forget_notifications();
        }
        true
    }

    /// Ends the subscriptions to `inbox`, unless delivery of it has begun.
    pub(super) fn drop_inbox_without_place(&mut self, inbox: &TopicName) {
        if self.inbox.is_some() {
            return;
        }
        let all = self.granted.iter().filter(|g| g.is_for(inbox));
        let lost: Vec<TopicFilter> = all.map(|g| g.filter.clone()).collect();
        for filter in &lost {
            self.drop_subscription(filter);
        }
    }

    /// Tells the mailbox how many there are, and whether the session is owed messages: the inbox is not in it.
    fn subscriptions_changed(&self) {
        let above_0 = |g: &Granted| g.qos != Qos::AtMostOnce && !topics::is_durable(&g.filter);
        let owed = self.granted.iter().any(above_0);
        self.mailbox.set_subscriptions(self.granted.len(), owed);
    }

    /// Tells the mailbox how many packets are in flight.
    pub(super) fn in_flight_changed(&self) {
        self.mailbox.set_in_flight(self.in_flight.len());
    }

    fn reassign(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        for delivery in deliveries.into_iter().filter(Delivery::is_shared) {
            self.place.reassign(delivery);
        }
    }

    /// What the client may not have any more: other members of the group it came for may.
    pub(super) fn give_up(&self, sending: Sending) {
        if sending.qos == Qos::AtLeastOnce {
            self.reassign([sending.delivery]);
        }
    }

    /// The connection is gone, the session is not.
    pub(super) fn park(&mut self) {
        self.place.stop_copies();
        self.in_flight.park();
        self.in_flight_changed();
        self.shared.retain(|d| d.message.qos != Qos::AtMostOnce);
        for replay in &mut self.replays {
            // What is published meanwhile may not be kept for the session: better twice than not at all.
            replay.last = u64::MAX;
        }
        self.go_offline();
        if let Some(feed) = &mut self.inbox {
            feed.park(self.in_flight.notifications());
        }
        self.settle_held(0);
    }

    /// What the session holds of shared messages, in bytes.
    fn shared_bytes(&self) -> usize {
        let shared = self.shared.iter().map(|d| d.message.size());
        self.in_flight.bytes() + shared.sum::<usize>()
    }

    /// Gives back what the session does not hold any more of its user's bytes. `output`: what the socket has not taken.
    pub(super) fn settle_held(&mut self, output: usize) {
        let ready = self.inbox.as_ref().map_or(0, Feed::ready_bytes);
        self.held.keep(self.shared_bytes() + ready + output);
    }

    /// Others know that the session has no connection.
    pub(super) fn go_offline(&self) {
        self.mailbox.go_offline(self.shared_bytes());
    }

    /// The session is over: forgets all that it had, but not an order to end. What other members of its groups can take goes
    /// to them.
    pub(super) fn clear(&mut self) {
        self.place.stop_all();
        self.granted = vec![];
        self.inbox = None;
        self.has_cursor = false;
        self.mailbox.forget_skip();
        self.received = HashSet::new();
        self.replays = VecDeque::new();
        self.goes_on = false;
        self.subscriptions_changed();
        let sent = std::mem::take(&mut self.in_flight).into_unacknowledged();
        self.reassign(sent);
        let taken = std::mem::take(&mut self.shared);
        self.reassign(taken);
        self.reassign(self.mailbox.take_shared(None));
        self.held = Held::default();
    }

    /// Gives up the place of a session that is over, or hands it to the connection that waits for it.
    pub(super) fn end(mut self: Box<Self>) {
        while let Some(claim) = self.place.leave() {
            match claim.send(Handover::of_place(self)).map_err(Handover::take) {
                Ok(()) | Err(None) => return,
                // That connection has given up.
                Err(Some(kept)) => self = kept,
            }
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
