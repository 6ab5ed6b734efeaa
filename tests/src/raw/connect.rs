//! What a client says first.

use super::Property;
use crate::names::{Names, password};

/// What a CONNECT says.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Client id.
    pub client_id: String,
    /// User name.
    pub username: String,
    /// Password, or token.
    pub password: String,
    /// Clean session, or clean start.
    pub clean: bool,
    /// Keep-alive, in seconds.
    pub keep_alive_s: u16,
    /// Last will.
    pub will: Option<Will>,
    /// MQTT 5: receive maximum.
    pub receive_maximum: Option<u16>,
    /// MQTT 5: maximum packet size, in bytes.
    pub maximum_packet_size: Option<u32>,
    /// MQTT 5: more properties.
    pub properties: Vec<Property>,
}

/// A last will.
#[derive(Clone, Debug)]
pub struct Will {
    /// Topic name.
    pub topic: String,
    /// Payload.
    pub payload: String,
    /// QoS.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// MQTT 5: properties, the delay among them.
    pub properties: Vec<Property>,
}

impl Connect {
    /// A clean session of this user, with a client id made of the name.
    #[must_use]
    pub fn of(username: &str) -> Self {
        Self {
            client_id: format!("{username}-raw"),
            username: username.into(),
            password: password(username),
            clean: true,
            keep_alive_s: 60,
            will: None,
            receive_maximum: None,
            maximum_packet_size: None,
            properties: vec![],
        }
    }

    /// A session of this user that outlives its connection by an hour, and goes on if there is one.
    #[must_use]
    pub fn kept(username: &str) -> Self {
        Self {
            clean: false,
            ..Self::of(username).with(Property::SessionExpiry(3600))
        }
    }

    /// The same with the name and the password that the server has.
    pub(super) fn known_as(&self, names: Names) -> Self {
        let (username, password) = names.credentials(&self.username, &self.password);
        Self {
            username,
            password,
            ..self.clone()
        }
    }

    /// With this client id.
    #[must_use]
    pub fn client_id(mut self, id: &str) -> Self {
        self.client_id = id.into();
        self
    }

    /// With this password, or token.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = password.into();
        self
    }

    /// With another property; MQTT 3.1.1 leaves it out.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// With a last will at QoS 1.
    #[must_use]
    pub fn will(self, topic: &str, payload: &str) -> Self {
        self.will_with(Will {
            topic: topic.into(),
            payload: payload.into(),
            qos: 1,
            retain: false,
            properties: vec![],
        })
    }

    /// With this last will.
    #[must_use]
    pub fn will_with(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }
}
