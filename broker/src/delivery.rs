//! A copy of a message for a session, and the session as whoever hands it over sees it.

use std::{ops::AddAssign, sync::Arc};

use crate::{
    ids::{GroupId, SubscriptionKey, SubscriptionKeys},
    message::Message,
};

/// One copy of a message, for one session.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Arc<Message>,
    /// Those of the session that it comes for.
    pub(crate) subscriptions: SubscriptionKeys,
    /// It was there before the subscription was (MQTT 5 section 3.3.1.3).
    pub(crate) retained: bool,
    /// It came for a shared subscription, and so to one member of this group (MQTT 5 section 4.8.2).
    pub(crate) group: Option<Arc<GroupId>>,
}

impl Delivery {
    /// A copy of what was published just now.
    pub(crate) fn live(message: Arc<Message>, subscriptions: SubscriptionKeys) -> Self {
        Self {
            message,
            subscriptions,
            retained: false,
            group: None,
        }
    }

    /// What is retained, for a subscription that was made just now.
    pub(crate) fn retained(message: Arc<Message>, subscription: SubscriptionKey) -> Self {
        Self {
            retained: true,
            ..Self::live(message, [subscription].into_iter().collect())
        }
    }

    /// Whether it came for a shared subscription.
    pub(crate) fn is_shared(&self) -> bool {
        self.group.is_some()
    }

    /// Whether it comes for this subscription, if for others, too.
    pub(crate) fn is_for(&self, subscription: SubscriptionKey) -> bool {
        self.subscriptions.contains(&subscription)
    }
}

/// A session that messages are handed to.
pub(crate) trait Subscriber: Send + Sync {
    /// Takes `delivery`, without ever waiting.
    fn deliver(&self, delivery: Delivery) -> Outcome;

    /// Whether the session has a connection.
    fn is_online(&self) -> bool;
}

/// What came of a delivery, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// How many messages had to be dropped, the delivered one among them.
    pub(crate) dropped: u64,
    /// A session should have its turn before it gets more. It is so for a few deliveries at most, whether or not its client
    /// takes anything.
    pub(crate) is_behind: bool,
}

impl Outcome {
    /// The outcome of dropping so many messages.
    pub(crate) fn dropped(dropped: u64) -> Self {
        Self {
            dropped,
            is_behind: false,
        }
    }
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.dropped += other.dropped;
        self.is_behind |= other.is_behind;
    }
}
