//! Packets as bytes: what a client sends.

use super::{
    Connect, Message, Property,
    bytes::{string, varint},
};
use crate::Version;

/// A whole packet.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first][..], &varint(body.len()), body].concat()
}

/// The properties that a version 5 packet has there; nothing in 3.1.1.
fn properties<'a>(version: Version, all: impl IntoIterator<Item = &'a Property>) -> Vec<u8> {
    if version == Version::V311 {
        return vec![];
    }
    let mut body = vec![];
    for property in all {
        property.append(&mut body);
    }
    [varint(body.len()), body].concat()
}

/// CONNECT (section 3.1).
pub(super) fn connect(version: Version, connect: &Connect) -> Vec<u8> {
    let mut flags = 0b1100_0000 | u8::from(connect.clean) << 1;
    if let Some(will) = &connect.will {
        flags |= 0b100 | will.qos << 3 | u8::from(will.retain) << 5;
    }
    let mut body = string("MQTT");
    body.extend([version.level(), flags]);
    body.extend(connect.keep_alive_s.to_be_bytes());
    let maxima = [
        connect.receive_maximum.map(Property::ReceiveMaximum),
        connect.maximum_packet_size.map(Property::MaximumPacketSize),
    ];
    let more = maxima.iter().flatten();
    body.extend(properties(version, more.chain(&connect.properties)));
    body.extend(string(&connect.client_id));
    if let Some(will) = &connect.will {
        body.extend(properties(version, &will.properties));
        body.extend(string(&will.topic));
        body.extend(string(&will.payload));
    }
    body.extend(string(&connect.username));
    body.extend(string(&connect.password));
    packet(0x10, &body)
}

/// SUBSCRIBE (section 3.8) to filters with their options: QoS, and in MQTT 5 more.
pub(super) fn subscribe(
    version: Version,
    id: u16,
    filters: &[(&str, u8)],
    with: &[Property],
) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(properties(version, with));
    for (filter, options) in filters {
        body.extend(string(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

/// UNSUBSCRIBE (section 3.10).
pub(super) fn unsubscribe(version: Version, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend(properties(version, []));
    body.extend(string(filter));
    packet(0xA2, &body)
}

/// PUBLISH (section 3.3); `id` is for QoS 1 and 2.
pub(super) fn publish(version: Version, id: Option<u16>, message: &Message) -> Vec<u8> {
    let mut body = string(&message.topic);
    if let Some(id) = id {
        body.extend(id.to_be_bytes());
    }
    body.extend(properties(version, &message.properties));
    body.extend(message.payload.as_bytes());
    let flags = u8::from(message.dup) << 3 | message.qos << 1 | u8::from(message.retain);
    packet(0x30 | flags, &body)
}

/// DISCONNECT (section 3.14), in MQTT 5 with this reason.
pub(super) fn disconnect(version: Version, code: u8, with: &[Property]) -> Vec<u8> {
    match version {
        Version::V311 => packet(0xE0, &[]),
        Version::V5 => packet(0xE0, &[vec![code], properties(version, with)].concat()),
    }
}

/// PUBACK (section 3.4).
pub(super) fn puback(id: u16) -> Vec<u8> {
    acknowledgement(0x40, id)
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP (sections 3.4 to 3.7), by their first byte.
pub(super) fn acknowledgement(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}
