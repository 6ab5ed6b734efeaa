//! What a client may do. The broker asks for each packet, and the API for administrators who want to
//! know what the broker would decide.
//!
//! Some of it no rule can change: reserved topics, and that an inbox is its owner's.

use std::sync::Arc;

use crate::denial::Denial;
use crate::filter::TopicFilter;
use crate::policy::Policy;
use crate::principal::Principal;
use crate::role::Role;
use crate::topic::TopicName;
use crate::topics::{self, Destination};

/// The right to publish to a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishPermit {
    /// Where the message goes.
    pub destination: Destination,
    /// The id of the rule that allows it; `None` for [`Destination::BridgeState`], which needs none.
    pub rule: Option<Arc<str>>,
}

/// The right to subscribe to a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribePermit {
    /// The id of the rule that allows it.
    pub rule: Arc<str>,
    /// Whether that rule names the group of a shared subscription: then all users of the rule share
    /// one group. Otherwise each user has a group of their own.
    pub opens_group: bool,
}

impl Policy {
    /// Decides whether a client may publish to `topic`, and where the message goes.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn publish(
        &self,
        principal: &Principal<'_>,
        topic: &TopicName,
    ) -> Result<PublishPermit, Denial> {
        let destination = topics::destination(topic, principal.username).ok_or(Denial::Reserved)?;
        let rule = match destination {
            Destination::BridgeState => None,
            Destination::Send | Destination::Shared => Some(self.publish_rule(principal, topic)?),
        };
        Ok(PublishPermit { destination, rule })
    }

    /// Decides whether a client may subscribe to `filter`: one allow rule covers all of it, no deny
    /// rule overlaps it, and it matches nothing that only others may receive.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn subscribe(
        &self,
        principal: &Principal<'_>,
        filter: &TopicFilter,
    ) -> Result<SubscribePermit, Denial> {
        if filter.as_str().len() > topics::FILTER_BYTES {
            return Err(Denial::FilterTooLong);
        }
        if principal.role != Role::Admin && topics::reaches_others(filter, principal.username) {
            return Err(Denial::NotAdministrator);
        }
        let (rule, opens_group) = self.subscribe_rule(principal, filter)?;
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
    pub fn receive(&self, principal: &Principal<'_>, topic: &TopicName) -> Result<(), Denial> {
        if principal.role != Role::Admin && topics::is_of_another(topic, principal.username) {
            return Err(Denial::NotAdministrator);
        }
        self.receive_rule(principal, topic).map(drop)
    }
}
