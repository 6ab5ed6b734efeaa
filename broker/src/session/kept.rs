//! What of a session may outlive its connection (MQTT 5 section 4.1).

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    sync::Arc,
};

use super::{Granted, Place, Replay, Will, in_flight::InFlight};
use crate::{
    bus::SessionId,
    feed::Feed,
    mailbox::{Delivery, Mailbox},
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
    pub(super) in_flight: InFlight,
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
            in_flight: InFlight::default(),
            received: HashSet::new(),
            replays: VecDeque::new(),
            shared: VecDeque::new(),
            will: None,
            goes_on: false,
        }
    }

    /// The connection is gone, the session is not.
    pub(super) fn park(&mut self) {
        self.mailbox.go_offline();
        self.place.stop_copies();
        self.in_flight.park();
        self.shared.retain(|d| d.message.qos != Qos::AtMostOnce);
        if let Some(feed) = &mut self.inbox {
            feed.park();
        }
    }

    /// The session is over: forgets all that it had. What other members of its groups can take goes to them.
    pub(super) fn clear(&mut self) {
        self.place.stop_all();
        self.granted = vec![];
        self.inbox = None;
        self.received = HashSet::new();
        self.replays = VecDeque::new();
        self.goes_on = false;
        let waiting = self.mailbox.take(false).shared;
        let taken = std::mem::take(&mut self.shared);
        let sent = std::mem::take(&mut self.in_flight).into_unacknowledged();
        for delivery in sent.chain(taken).chain(waiting) {
            if delivery.is_shared() {
                self.place.reassign(delivery);
            }
        }
    }

    /// Gives up the place of a session that is over, or hands it to the connection that waits for it.
    pub(super) fn end(mut self: Box<Self>) {
        while let Some(claim) = self.place.leave() {
            match claim.send(self) {
                Ok(()) => return,
                // That connection has given up.
                Err(kept) => self = kept,
            }
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}
