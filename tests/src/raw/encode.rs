//! Packets as bytes: what a client sends.

use super::Connect;
use crate::Version;

/// User property "after" of a SUBSCRIBE.
const USER_PROPERTY: u8 = 0x26;

/// Appends a UTF-8 string (section 1.5.4) or binary data (section 1.5.6).
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap();
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

/// Appends a variable byte integer (section 1.5.5).
fn varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = u8::try_from(value % 128).unwrap();
        value /= 128;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// A whole packet.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    varint(&mut out, body.len());
    out.extend(body);
    out
}

/// Appends the properties that a version 5 packet has there.
fn properties(out: &mut Vec<u8>, version: Version, properties: &[u8]) {
    if version == Version::V5 {
        varint(out, properties.len());
        out.extend(properties);
    }
}

/// CONNECT (section 3.1).
pub(super) fn connect(version: Version, connect: &Connect) -> Vec<u8> {
    let mut flags = 0b1100_0000 | u8::from(connect.clean) << 1;
    if let Some(will) = &connect.will {
        flags |= 0b100 | will.qos << 3 | u8::from(will.retain) << 5;
    }
    let mut body = vec![];
    string(&mut body, b"MQTT");
    body.extend([version.level(), flags]);
    body.extend(connect.keep_alive_s.to_be_bytes());
    let mut props = vec![];
    if let Some(maximum) = connect.receive_maximum {
        props.push(0x21);
        props.extend(maximum.to_be_bytes());
    }
    if let Some(maximum) = connect.maximum_packet_size {
        props.push(0x27);
        props.extend(maximum.to_be_bytes());
    }
    properties(&mut body, version, &props);
    string(&mut body, connect.client_id.as_bytes());
    if let Some(will) = &connect.will {
        properties(&mut body, version, &[]);
        string(&mut body, will.topic.as_bytes());
        string(&mut body, will.payload.as_bytes());
    }
    string(&mut body, connect.username.as_bytes());
    string(&mut body, connect.password.as_bytes());
    packet(0x10, &body)
}

/// SUBSCRIBE (section 3.8) to filters with their options: QoS, and in MQTT 5 more.
pub(super) fn subscribe(
    version: Version,
    id: u16,
    filters: &[(&str, u8)],
    after: Option<&str>,
) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    let mut user = vec![];
    if let Some(after) = after {
        user.push(USER_PROPERTY);
        string(&mut user, b"after");
        string(&mut user, after.as_bytes());
    }
    properties(&mut body, version, &user);
    for (filter, options) in filters {
        string(&mut body, filter.as_bytes());
        body.push(*options);
    }
    packet(0x82, &body)
}

/// PUBLISH (section 3.3); `id` is for QoS 1.
pub(super) fn publish(
    version: Version,
    id: Option<u16>,
    topic: &str,
    payload: &[u8],
    retain: bool,
) -> Vec<u8> {
    let mut body = vec![];
    string(&mut body, topic.as_bytes());
    if let Some(id) = id {
        body.extend(id.to_be_bytes());
    }
    properties(&mut body, version, &[]);
    body.extend(payload);
    let qos = u8::from(id.is_some());
    packet(0x30 | qos << 1 | u8::from(retain), &body)
}

/// PUBACK (section 3.4).
pub(super) fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}
