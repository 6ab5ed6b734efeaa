//! What a client may do. Everyone who has to know asks here: the broker for each packet, and the
//! API for administrators who want to know what the broker would say.
//!
//! Rules are not all of it: some topics are reserved, and inboxes are opened to nobody else by any
//! rule.

use std::sync::Arc;

use crate::denial::Denial;
use crate::filter::TopicFilter;
use crate::policy::Policy;
use crate::role::Role;
use crate::topic::TopicName;
use crate::topics::{self, Destination};
use crate::who::Who;

/// The right to publish to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishPermit {
    /// Where the message goes.
    pub destination: Destination,
    /// The id of the rule that allows it; `None` of [`Destination::BridgeState`], which needs none.
    pub rule: Option<Arc<str>>,
}

/// The right to subscribe to a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribePermit {
    /// The id of the rule that allows it.
    pub rule: Arc<str>,
    /// Whether that rule is about the group of a shared subscription by its name: then the group is
    /// one of all whom it lets in, not of each user apart.
    pub opens_group: bool,
}

impl Policy {
    /// Decides whether a client may publish to `topic`, and where the message goes.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn publish(&self, who: &Who<'_>, topic: &TopicName) -> Result<PublishPermit, Denial> {
        let destination = topics::destination(topic, who.username).ok_or(Denial::Reserved)?;
        let rule = match destination {
            Destination::BridgeState => None,
            Destination::Send | Destination::Shared => Some(self.publish_rule(who, topic)?),
        };
        Ok(PublishPermit { destination, rule })
    }

    /// Decides whether a client may subscribe to `filter`: one allow rule covers all of it, no deny
    /// rule overlaps it, and it does not reach what is not the client's to receive.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn subscribe(
        &self,
        who: &Who<'_>,
        filter: &TopicFilter,
    ) -> Result<SubscribePermit, Denial> {
        if filter.as_str().len() > topics::FILTER_BYTES {
            return Err(Denial::FilterTooLong);
        }
        if who.role != Role::Admin && topics::reaches_others(filter, who.username) {
            return Err(Denial::NotAdministrator);
        }
        let (rule, opens_group) = self.subscribe_rule(who, filter)?;
        if filter.is_shared() && !topics::is_shareable(filter) {
            return Err(Denial::NotShareable);
        }
        Ok(SubscribePermit { rule, opens_group })
    }

    /// Decides whether a client may receive a message of `topic`, whatever it subscribed to.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn receive(&self, who: &Who<'_>, topic: &TopicName) -> Result<(), Denial> {
        if who.role != Role::Admin && topics::is_of_another(topic, who.username) {
            return Err(Denial::NotAdministrator);
        }
        self.receive_rule(who, topic).map(drop)
    }
}
