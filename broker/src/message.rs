//! A message that goes to a session, other than those of its inbox.

use std::time::{Duration, Instant};

use bytes::Bytes;
use herald_acl::TopicName;

use crate::{
    ids::SessionId,
    wire::{PublishProperties, Qos},
};

/// What a message takes besides its text, in bytes.
const MESSAGE: usize = 256;

/// What a user property takes besides its text.
const USER_PROPERTY: usize = 96;

/// A message as its publisher sent it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Its number among those that entered the relay, which give theirs 1, 2, 3...; 0 if it did not.
    pub(crate) seq: u64,
    pub(crate) topic: TopicName,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    /// As published: it replaces the topic's retained message.
    pub(crate) retain: bool,
    pub(crate) properties: PublishProperties,
    /// Who published it, for no-local.
    pub(crate) origin: SessionId,
    /// When its message expiry interval runs out (MQTT 5 section 3.3.2.3.3).
    pub(crate) expires: Option<Instant>,
}

impl Message {
    /// Bytes it takes up, about.
    pub(crate) fn size(&self) -> usize {
        let p = &self.properties;
        let user = p.user.iter();
        let user: usize = user.map(|(k, v)| k.len() + v.len() + USER_PROPERTY).sum();
        MESSAGE
            + self.topic.as_str().len()
            + self.payload.len()
            + p.content_type.as_ref().map_or(0, |v| v.len())
            + p.response_topic.as_ref().map_or(0, |v| v.len())
            + p.correlation_data.as_ref().map_or(0, Bytes::len)
            + user
    }

    /// Whether it may no longer be delivered.
    pub(crate) fn expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= Instant::now())
    }

    /// The properties to deliver now: the expiry interval is what is left of it.
    pub(crate) fn properties_now(&self) -> PublishProperties {
        let mut properties = self.properties.clone();
        properties.message_expiry = self.expires.map(left);
        properties
    }

    /// When an expiry interval of `seconds` that starts now runs out.
    pub(crate) fn expiry(seconds: Option<u32>) -> Option<Instant> {
        seconds.map(|s| Instant::now() + Duration::from_secs(s.into()))
    }

    /// A message of the broker's own, at QoS 0.
    pub(crate) fn of_ours(topic: TopicName, payload: Bytes) -> Self {
        Self {
            seq: 0,
            topic,
            payload,
            qos: Qos::AtMostOnce,
            retain: false,
            properties: PublishProperties::default(),
            origin: SessionId::BROKER,
            expires: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            seq: 0,
            topic: TopicName::parse("broadcast/x").unwrap(),
            payload: Bytes::new(),
            qos: Qos::AtMostOnce,
            retain: false,
            properties: PublishProperties::default(),
            origin: SessionId::next(),
            expires: None,
        }
    }
}

/// The seconds until then. One that has begun counts as a whole one: what has just come has all of its time.
fn left(at: Instant) -> u32 {
    let left = at.saturating_duration_since(Instant::now());
    let begun = u64::from(left.subsec_nanos() > 0);
    u32::try_from(left.as_secs() + begun).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_size_of_a_message_is_no_less_than_what_it_takes() {
        let user = (0..1000).map(|_| ("".into(), "".into())).collect();
        let message = Message {
            properties: PublishProperties {
                user,
                ..PublishProperties::default()
            },
            ..Message::sample()
        };
        let one = size_of::<(Arc<str>, Arc<str>)>() + 2 * size_of::<[usize; 2]>();
        assert!(message.size() >= 1000 * one + size_of::<Message>());
    }
    #[test]
    fn a_second_that_has_begun_is_left() {
        for seconds in [1, 2, 60, u32::MAX] {
            let message = Message {
                expires: Message::expiry(Some(seconds)),
                ..Message::sample()
            };
            assert_eq!(message.properties_now().message_expiry, Some(seconds));
        }
        let gone = Message {
            expires: Some(Instant::now()),
            ..Message::sample()
        };
        assert!(gone.expired());
    }
}
