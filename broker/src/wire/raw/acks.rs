//! PUBACK, PUBREC and PUBCOMP: the client acknowledges what it was sent.
//!
//! The core ends a connection over an acknowledgement that it does not expect. But one may be late, repeated, or of an earlier
//! connection. So the core sees neither these packets nor what is sent: what is in flight is the session's to know
//! (`session/in_flight`).

use mqtt_protocol_core::mqtt::{
    packet::{Packet, v3_1_1, v5_0},
    result_code::MqttError,
};

use super::length::body;

/// The types of PUBACK, PUBREC and PUBCOMP.
const TYPES: [u8; 3] = [4, 5, 7];

/// Whether a packet that begins with this byte is one.
pub(super) fn is_one(first: u8) -> bool {
    TYPES.contains(&(first >> 4))
}

/// Parses a whole one.
pub(in crate::wire) fn parse(bytes: &[u8], v5: bool) -> Result<Packet, MqttError> {
    let body = body(bytes).ok_or(MqttError::MalformedPacket)?;
    if !v5 && body.len() != 2 {
        // MQTT 3.1.1 section 3.4.1; the core lets it be longer.
        return Err(MqttError::MalformedPacket);
    }
    match (bytes[0] >> 4, v5) {
        (4, false) => all(body, v3_1_1::Puback::parse),
        (5, false) => all(body, v3_1_1::Pubrec::parse),
        (_, false) => all(body, v3_1_1::Pubcomp::parse),
        (4, true) => all(body, v5_0::Puback::parse),
        (5, true) => all(body, v5_0::Pubrec::parse),
        (_, true) => all(body, v5_0::Pubcomp::parse),
    }
}

/// Parses `body` to its last byte.
fn all<P: Into<Packet>>(
    body: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<(P, usize), MqttError>,
) -> Result<Packet, MqttError> {
    let (packet, length) = parse(body)?;
    if length == body.len() {
        Ok(packet.into())
    } else {
        Err(MqttError::MalformedPacket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_well_formed_to_its_last_byte() {
        for first in [0x40, 0x50, 0x70] {
            for (body, v3, v5) in [
                (&[0, 1][..], true, true),
                (&[0, 0], false, false),
                (&[0], false, false),
                (&[], false, false),
                (&[0, 1, 0], false, true),
                (&[0, 1, 0, 0], false, true),
                (&[0, 1, 0, 0, 0], false, false),
                (&[0, 1, 0x7F], false, false),
            ] {
                let bytes = [&[first, body.len() as u8], body].concat();
                assert_eq!(parse(&bytes, false).is_ok(), v3, "{bytes:x?}");
                assert_eq!(parse(&bytes, true).is_ok(), v5, "{bytes:x?}");
            }
        }
    }
}
