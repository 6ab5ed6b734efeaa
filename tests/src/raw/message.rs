//! What a client publishes.

use super::{Property, Publish};

/// A PUBLISH to be sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) qos: u8,
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) properties: Vec<Property>,
}

impl Message {
    /// A message at QoS 0 that is not retained.
    #[must_use]
    pub fn new(topic: &str, payload: &str) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: 0,
            dup: false,
            retain: false,
            properties: vec![],
        }
    }

    /// At this QoS.
    #[must_use]
    pub fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    /// Sent again: with the DUP flag.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.dup = true;
        self
    }

    /// With the RETAIN flag.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// With another property; MQTT 3.1.1 leaves it out.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// Whether `received` has this topic and payload.
    #[must_use]
    pub fn is(&self, received: &Publish) -> bool {
        (&self.topic, &self.payload) == (&received.topic, &received.payload)
    }
}
