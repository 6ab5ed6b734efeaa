//! What the client sends, the same for both versions.

use std::{num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Qos, RetainHandling};

/// A packet from the client that the session has to act on.
#[derive(Debug)]
pub(crate) enum Incoming {
    Connect(Box<Connect>),
    Publish(Publish),
    Puback {
        packet_id: u16,
    },
    Pubrec {
        packet_id: u16,
        /// The client does not take the message: the flow ends here (MQTT 5 section 4.3.3).
        refused: bool,
    },
    Pubrel {
        packet_id: u16,
    },
    Pubcomp {
        packet_id: u16,
    },
    /// A QoS 2 PUBLISH that was received before. If that one was acknowledged, PUBREC has been queued again.
    Repeated,
    Subscribe(Subscribe),
    Unsubscribe {
        packet_id: u16,
        filters: Vec<String>,
    },
    Disconnect {
        /// The will is published all the same: only reason 0x00 deletes it (MQTT 5 sections 3.1.2.5 and 3.14.4).
        with_will: bool,
        /// The new session expiry interval in seconds, if it changes (MQTT 5 section 3.14.2.2.2).
        session_expiry: Option<u32>,
    },
    /// PINGRESP has been queued already.
    Pingreq,
    /// AUTH, which needs a CONNECT that is always refused here, or a packet that only a server sends.
    Unsupported,
}

/// CONNECT.
#[derive(Debug)]
pub(crate) struct Connect {
    pub(crate) client_id: String,
    /// Clean session (3.1.1) or clean start (5).
    pub(crate) clean: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) will: Option<Will>,
    /// MQTT 5: the session expiry interval in seconds. 3.1.1: 0, or the longest for clean session 0.
    pub(crate) session_expiry: u32,
    /// MQTT 5: wants enhanced authentication.
    pub(crate) authentication_method: bool,
    /// The largest packet that the client takes, in bytes.
    pub(crate) maximum_packet_size: u32,
    /// QoS 1 PUBLISHes that the client takes unacknowledged.
    pub(crate) receive_maximum: u16,
    /// MQTT 5: wants reason strings.
    pub(crate) problem_information: bool,
    /// MQTT 5: asks for response information (section 3.1.2.11.6).
    pub(crate) response_information: bool,
    /// MQTT 5: how many topic aliases the client takes (section 3.1.2.11.5).
    pub(crate) topic_alias_maximum: u16,
    /// Seconds; 0 for none.
    pub(crate) keep_alive: u16,
}

/// The will, which becomes a PUBLISH if the connection ends without a clean DISCONNECT.
#[derive(Debug)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// MQTT 5: seconds (section 3.1.3.2.2).
    pub(crate) delay: u32,
    pub(crate) properties: PublishProperties,
}

/// PUBLISH.
#[derive(Debug)]
pub(crate) struct Publish {
    /// `None` for QoS 0.
    pub(crate) packet_id: Option<u16>,
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) properties: PublishProperties,
}

/// The properties of a PUBLISH that subscribers get unaltered (MQTT 5 section 3.3.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PublishProperties {
    /// Whether the payload is UTF-8 text, if the publisher says so.
    pub(crate) utf8: Option<bool>,
    /// Seconds.
    pub(crate) message_expiry: Option<u32>,
    pub(crate) content_type: Option<Arc<str>>,
    pub(crate) response_topic: Option<Arc<str>>,
    pub(crate) correlation_data: Option<Bytes>,
    pub(crate) user: UserProperties,
}

/// SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) packet_id: u16,
    pub(crate) subscriptions: Vec<Subscription>,
    /// MQTT 5 section 3.8.2.1.2.
    pub(crate) identifier: Option<NonZeroU32>,
    /// The user property `after`: the inbox starts behind this number. `Err` if it is not a number.
    pub(crate) after: Option<Result<i64, ()>>,
    /// The user property `epoch`: the one that this number belongs to.
    pub(crate) epoch: Option<Box<str>>,
}

/// One filter of a SUBSCRIBE with its options (MQTT 5 section 3.8.3.1).
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) filter: String,
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) retain_handling: RetainHandling,
}

/// User properties (MQTT 5 section 3.3.2.3.7), in order.
pub(crate) type UserProperties = Vec<(Arc<str>, Arc<str>)>;
