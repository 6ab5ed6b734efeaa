//! MQTT 3.1.1 packets as bytes: what a client sends, and as much of what it receives as is measured.

use anyhow::bail;
use bytes::{Buf as _, Bytes, BytesMut};

/// A packet from a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    /// The return code: 0 for a session.
    Connack(u8),
    /// The code of the first filter: 0x80 for a refusal.
    Suback(u8),
    /// A message; with an id if it wants an acknowledgement.
    Publish {
        packet_id: Option<u16>,
        payload: Bytes,
    },
    /// A message of ours was taken.
    Puback,
    /// The answer to a PINGREQ.
    Pingresp,
}

/// A PINGREQ (section 3.12).
pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];

/// A CONNECT with a clean session (section 3.1); the keep-alive is in seconds.
pub(crate) fn connect(client_id: &str, username: &str, password: &str, keep_alive: u16) -> Vec<u8> {
    let mut body = vec![];
    string(&mut body, b"MQTT");
    body.extend([4, 0b1100_0010]);
    body.extend(keep_alive.to_be_bytes());
    for text in [client_id, username, password] {
        string(&mut body, text.as_bytes());
    }
    packet(0x10, &body)
}

/// A SUBSCRIBE for one filter (section 3.8).
pub(crate) fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1];
    string(&mut body, filter.as_bytes());
    body.push(qos);
    packet(0x82, &body)
}

/// A PUBLISH (section 3.3); at QoS 1 if it has an id.
pub(crate) fn publish(topic: &str, packet_id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut body = vec![];
    string(&mut body, topic.as_bytes());
    if let Some(id) = packet_id {
        body.extend(id.to_be_bytes());
    }
    body.extend(payload);
    packet(0x30 | u8::from(packet_id.is_some()) << 1, &body)
}

/// A PUBACK (section 3.4).
pub(crate) fn puback(packet_id: u16) -> [u8; 4] {
    let [high, low] = packet_id.to_be_bytes();
    [0x40, 2, high, low]
}

/// Takes the first packet out of `received`; `None` until all of it is there.
pub(crate) fn take(received: &mut BytesMut) -> anyhow::Result<Option<Packet>> {
    let Some((head, length)) = header(received) else {
        return Ok(None);
    };
    if received.len() < head + length {
        return Ok(None);
    }
    let first = received[0];
    received.advance(head);
    let mut body = received.split_to(length).freeze();
    let code = |body: &Bytes, at: usize| body.get(at).copied().unwrap_or(u8::MAX);
    Ok(Some(match first >> 4 {
        2 => Packet::Connack(code(&body, 1)),
        3 => {
            let with_id = first & 0b110 != 0;
            if body.len() < 2 {
                bail!("a PUBLISH without a topic");
            }
            let topic = usize::from(body.get_u16());
            if body.len() < topic + if with_id { 2 } else { 0 } {
                bail!("a PUBLISH that is too short");
            }
            body.advance(topic);
            Packet::Publish {
                packet_id: with_id.then(|| body.get_u16()),
                payload: body,
            }
        }
        4 => Packet::Puback,
        9 => Packet::Suback(code(&body, 2)),
        13 => Packet::Pingresp,
        other => bail!("a packet of type {other}, which was not expected"),
    }))
}

/// The bytes of the fixed header, and of what follows it (section 2.2).
fn header(received: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for (i, byte) in received.get(1..)?.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((i + 2, length));
        }
    }
    None
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).expect("the names used here are short");
    out.extend(length.to_be_bytes());
    out.extend(bytes);
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    out.push(first);
    let mut length = body.len();
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        if length == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_read_as_it_was_written_however_it_is_cut() {
        let payload = [7; 300];
        let sent = publish("a/b", Some(513), &payload);
        let mut received = BytesMut::new();
        for byte in &sent[..sent.len() - 1] {
            received.extend([*byte]);
            assert_eq!(take(&mut received).unwrap(), None);
        }
        received.extend(&sent[sent.len() - 1..]);
        received.extend(PINGREQ.map(|b| if b == 0xC0 { 0xD0 } else { b }));
        let expected = Packet::Publish {
            packet_id: Some(513),
            payload: payload.to_vec().into(),
        };
        assert_eq!(take(&mut received).unwrap(), Some(expected));
        assert_eq!(take(&mut received).unwrap(), Some(Packet::Pingresp));
        assert!(received.is_empty());
    }
}
