//! Packets from bytes: what the broker sends.

use crate::Version;

/// A packet from the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// CONNACK (section 3.2).
    Connack {
        /// Return code, or reason code.
        code: u8,
        /// Whether the broker goes on with a session it knew.
        session_present: bool,
    },
    /// PUBLISH (section 3.3).
    Publish(Publish),
    /// PUBACK (section 3.4).
    Puback {
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
    },
    /// PINGRESP (section 3.13).
    Pingresp,
    /// DISCONNECT (MQTT 5 section 3.14).
    Disconnect {
        /// Reason code.
        code: u8,
    },
    /// Anything else, by its first byte.
    Other(u8),
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
    /// Packet identifier, for QoS 1.
    pub id: Option<u16>,
    /// User properties, in order.
    pub user: Vec<(String, String)>,
}

/// What is left to read of a packet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn string(&mut self) -> String {
        let length = self.u16().into();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    fn varint(&mut self) -> usize {
        let (used, value) = varint(self.0).unwrap();
        self.take(used);
        value
    }

    /// Reads the properties (MQTT 5 section 2.2.2) and answers those of the user.
    fn properties(&mut self) -> Vec<(String, String)> {
        let length = self.varint();
        let mut rest = Rest(self.take(length));
        let mut user = vec![];
        while !rest.0.is_empty() {
            match rest.byte() {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => {
                    rest.byte();
                }
                0x13 | 0x21..=0x23 => {
                    rest.u16();
                }
                0x02 | 0x11 | 0x18 | 0x27 => {
                    rest.take(4);
                }
                0x0B => {
                    rest.varint();
                }
                0x26 => user.push((rest.string(), rest.string())),
                0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => {
                    rest.string();
                }
                0x09 | 0x16 => {
                    let length = rest.u16().into();
                    rest.take(length);
                }
                unknown => panic!("no such property: {unknown:#04x}"),
            }
        }
        user
    }
}

/// Bytes used and value; `None` while it is not complete.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((i + 1, value));
        }
    }
    assert!(bytes.len() < 4, "a remaining length has at most 4 bytes");
    None
}

/// The first packet of `bytes` and its length; `None` while it is not complete.
pub(super) fn packet(version: Version, bytes: &[u8]) -> Option<(Packet, usize)> {
    let (&first, rest) = bytes.split_first()?;
    let (used, length) = varint(rest)?;
    let body = rest.get(used..used + length)?;
    let packet = parse(version, first, Rest(body));
    Some((packet, 1 + used + length))
}

fn parse(version: Version, first: u8, mut rest: Rest) -> Packet {
    match first >> 4 {
        2 => {
            let session_present = rest.byte() == 1;
            let code = rest.byte();
            Packet::Connack {
                code,
                session_present,
            }
        }
        3 => Packet::Publish(publish(version, first, rest)),
        4 => {
            let id = rest.u16();
            let code = if rest.0.is_empty() { 0 } else { rest.byte() };
            Packet::Puback { id, code }
        }
        9 => {
            let id = rest.u16();
            if version == Version::V5 {
                rest.properties();
            }
            let codes = rest.0.to_vec();
            Packet::Suback { id, codes }
        }
        13 => Packet::Pingresp,
        14 => {
            let code = if rest.0.is_empty() { 0 } else { rest.byte() };
            Packet::Disconnect { code }
        }
        _ => Packet::Other(first),
    }
}

fn publish(version: Version, first: u8, mut rest: Rest) -> Publish {
    let qos = first >> 1 & 3;
    let topic = rest.string();
    let id = (qos > 0).then(|| rest.u16());
    let user = match version {
        Version::V311 => vec![],
        Version::V5 => rest.properties(),
    };
    Publish {
        topic,
        payload: String::from_utf8(rest.0.to_vec()).unwrap(),
        qos,
        retain: first & 1 == 1,
        dup: first & 8 == 8,
        id,
        user,
    }
}
