//! A session's subscriptions.

use std::num::NonZeroU32;

use herald_acl::{TopicFilter, TopicName, topics};

use crate::{ids::SubscriptionKey, wire::Qos};

/// A filter that the ACL granted.
pub(crate) struct Granted {
    pub(crate) key: SubscriptionKey,
    pub(crate) filter: TopicFilter,
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<NonZeroU32>,
}

impl Granted {
    /// Whether a message to `topic` comes for this subscription itself, not for a group that it is in.
    pub(crate) fn is_for(&self, topic: &TopicName) -> bool {
        brings(&self.filter, topic)
    }

    /// Whether it brings messages that the session must not lose. The inbox is not among them: it is in the database.
    pub(super) fn is_owed(&self) -> bool {
        self.qos != Qos::AtMostOnce && !topics::is_below_users(&self.filter)
    }
}

/// Whether a message to `topic` comes for a subscription to `filter` itself, not for a group that it is in.
pub(crate) fn brings(filter: &TopicFilter, topic: &TopicName) -> bool {
    let matches = !filter.is_shared() && filter.matches(topic);
    // No wildcard is for what only its exact name gets.
    matches && (filter.as_str() == topic.as_str() || !topics::is_progress(topic))
}

/// What is retained, for a new subscription: read part by part, as the client takes it.
pub(crate) struct Replay {
    pub(crate) subscription: SubscriptionKey,
    pub(crate) filter: TopicFilter,
    /// The number of the last message that came before the subscription: what came later is delivered as it comes.
    pub(crate) last: u64,
    /// The topic of the last one read.
    pub(crate) after: Option<String>,
}
