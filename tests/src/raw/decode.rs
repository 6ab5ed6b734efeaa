//! Packets from bytes: what the broker sends.

use super::{
    Property,
    bytes::{Rest, varint_of},
};
use crate::Version;

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK (section 3.2).
    Connack(Connack),
    /// PUBLISH (section 3.3).
    Publish(Publish),
    /// PUBACK (section 3.4).
    Puback {
        /// Packet identifier.
        id: u16,
        /// Reason code; always 0 in 3.1.1.
        code: u8,
        /// MQTT 5: properties.
        properties: Vec<Property>,
    },
    /// PUBREC (section 3.5).
    Pubrec {
        /// Packet identifier.
        id: u16,
        /// Reason code; always 0 in 3.1.1.
        code: u8,
        /// MQTT 5: properties.
        properties: Vec<Property>,
    },
    /// PUBREL (section 3.6).
    Pubrel {
        /// Packet identifier.
        id: u16,
    },
    /// PUBCOMP (section 3.7).
    Pubcomp {
        /// Packet identifier.
        id: u16,
        /// Reason code; always 0 in 3.1.1.
        code: u8,
    },
    /// SUBACK (section 3.9).
    Suback {
        /// Packet identifier.
        id: u16,
        /// A code for each filter.
        codes: Vec<u8>,
        /// In MQTT 5.
        properties: Vec<Property>,
    },
    /// UNSUBACK (section 3.11).
    Unsuback {
        /// Packet identifier.
        id: u16,
        /// A code for each filter; none in 3.1.1.
        codes: Vec<u8>,
    },
    /// PINGRESP (section 3.13).
    Pingresp,
    /// DISCONNECT (MQTT 5 section 3.14).
    Disconnect {
        /// Reason code.
        code: u8,
        /// Properties.
        properties: Vec<Property>,
    },
    /// Anything else, by its first byte.
    Other(u8),
}

/// A CONNACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connack {
    /// Return code, or reason code.
    pub code: u8,
    /// Whether the broker goes on with a session it knew.
    pub session_present: bool,
    /// MQTT 5: properties.
    pub properties: Vec<Property>,
}

/// A PUBLISH from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Topic name.
    pub topic: String,
    /// Payload, as text.
    pub payload: String,
    /// QoS of the delivery.
    pub qos: u8,
    /// The RETAIN flag.
    pub retain: bool,
    /// The DUP flag.
    pub dup: bool,
    /// Packet identifier, for QoS 1 and 2.
    pub id: Option<u16>,
    /// MQTT 5: properties, in order.
    pub properties: Vec<Property>,
}

impl Publish {
    /// Subscription identifiers, sorted.
    #[must_use]
    pub fn identifiers(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.properties.iter().filter_map(identifier).collect();
        all.sort_unstable();
        all
    }
}

fn identifier(property: &Property) -> Option<u32> {
    match property {
        Property::SubscriptionIdentifier(id) => Some(*id),
        _ => None,
    }
}

/// The first packet of `bytes` and its length; `None` while it is not complete.
pub(super) fn packet(version: Version, bytes: &[u8]) -> Option<(Packet, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (used, length) = varint_of(rest)?;
    let body = rest.get(used..used + length)?;
    let packet = parse(version, first, Rest(body));
    Some((packet, 1 + used + length))
}

fn parse(version: Version, first: u8, mut rest: Rest) -> Packet {
    match first >> 4 {
        2 => {
            let session_present = rest.byte() == 1;
            let code = rest.byte();
            Packet::Connack(Connack {
                code,
                session_present,
                properties: Property::read_all(&mut rest),
            })
        }
        3 => Packet::Publish(publish(version, first, rest)),
        4 => Packet::Puback {
            id: rest.u16(),
            code: rest.code(),
            properties: Property::read_all(&mut rest),
        },
        5 => Packet::Pubrec {
            id: rest.u16(),
            code: rest.code(),
            properties: Property::read_all(&mut rest),
        },
        6 => Packet::Pubrel { id: rest.u16() },
        7 => Packet::Pubcomp {
            id: rest.u16(),
            code: rest.code(),
        },
        9 | 11 => {
            let id = rest.u16();
            let properties = match version {
                Version::V5 => Property::read_all(&mut rest),
                Version::V311 => vec![],
            };
            let codes = rest.0.to_vec();
            match first >> 4 {
                9 => Packet::Suback {
                    id,
                    codes,
                    properties,
                },
                _ => Packet::Unsuback { id, codes },
            }
        }
        13 => Packet::Pingresp,
        14 => Packet::Disconnect {
            code: rest.code(),
            properties: Property::read_all(&mut rest),
        },
        _ => Packet::Other(first),
    }
}

fn publish(version: Version, first: u8, mut rest: Rest) -> Publish {
    let qos = first >> 1 & 3;
    let topic = rest.string();
    let id = (qos > 0).then(|| rest.u16());
    let properties = match version {
        Version::V311 => vec![],
        Version::V5 => Property::read_all(&mut rest),
    };
    Publish {
        topic,
        payload: String::from_utf8(rest.0.to_vec()).unwrap(),
        qos,
        retain: first & 1 == 1,
        dup: first & 8 == 8,
        id,
        properties,
    }
}
