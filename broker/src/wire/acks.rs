//! What the client acknowledges of what it was sent.
//!
//! The core takes an acknowledgement that it does not expect for a fault that ends the connection. But one may be late,
//! repeated, or of an earlier connection. So these packets never come to the core, nor does it know of what is sent: what is
//! under way is the session's (`session/in_flight`), which answers whatever comes.

use mqtt_protocol_core::mqtt::{
    packet::{Packet, v3_1_1, v5_0},
    result_code::MqttError,
};

use super::{check::Start, connect::variable};

/// The types of PUBACK, PUBREC and PUBCOMP.
const TYPES: [u8; 3] = [4, 5, 7];

/// Whether a packet that begins with this byte is one.
pub(super) fn is_one(first: u8) -> bool {
    TYPES.contains(&(first >> 4))
}

/// Looks at the start of one of at most `limit` bytes.
pub(super) fn start(bytes: &[u8], limit: usize) -> Start {
    match variable(&bytes[1..]) {
        Some((length, header)) if 1 + header + length <= limit => {
            let whole = 1 + header + length;
            if bytes.len() < whole {
                Start::Short
            } else {
                Start::Acknowledgement(whole)
            }
        }
        None if bytes.len() <= 4 => Start::Short,
        // Too long, or five bytes of length: the core's to refuse.
        _ => Start::Good,
    }
}

/// The packet that `bytes` are, all of them.
pub(super) fn parse(bytes: &[u8], v5: bool) -> Result<Packet, MqttError> {
    let (length, header) = variable(&bytes[1..]).ok_or(MqttError::MalformedPacket)?;
    let body = bytes.get(1 + header..1 + header + length);
    let body = body.ok_or(MqttError::MalformedPacket)?;
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

/// What `parse` makes of `body`, to its last byte.
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
    fn one_is_looked_at_once_it_is_whole() {
        let bytes = [0x40, 4, 0, 1, 0x10, 0];
        for short in 1..bytes.len() {
            assert_eq!(start(&bytes[..short], 100), Start::Short);
        }
        assert_eq!(start(&bytes, 100), Start::Acknowledgement(6));
        let more = [&bytes[..], &[0xC0]].concat();
        assert_eq!(start(&more, 100), Start::Acknowledgement(6));
        assert_eq!(start(&bytes, 5), Start::Good);
        assert_eq!(start(&[0x40, 0x80, 0x80], 100), Start::Short);
        assert_eq!(start(&[0x40, 0x80, 0x80, 0x80, 0x80], 100), Start::Good);
    }

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
