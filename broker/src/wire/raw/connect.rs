//! The head of a CONNECT: protocol name and level, flags, lengths.

use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::{
    items::ItemCounter,
    length::{self, is_minimal, variable},
};

/// The protocol name (MQTT 5 section 3.1.2.1), and that of MQTT 3.1.
const NAME: &[u8] = b"\0\x04MQTT";
const OLD_NAME: &[u8] = b"\0\x06MQIsdp";

/// From the end of the remaining length to the level and the flags: after the protocol name (MQTT 5 section 3.1.2).
pub(super) const LEVEL: usize = NAME.len();
const FLAGS: usize = LEVEL + 1;

/// What mosquitto's bridges add to the level (`try_private`): they ask for no copies of what they publish, and for retained
/// flags as they were published, which MQTT 3.1.1 has no options for.
const BRIDGE: u8 = 0x80;

/// To the properties: after the flags and the keep-alive.
pub(super) const PROPERTIES: usize = 10;

/// What the sender of a CONNECT speaks (MQTT 5 sections 3.1.2.1 and 3.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) enum Protocol {
    /// MQTT 3.1.1 or 5.
    Supported,
    /// The same, by a mosquitto that bridges.
    Bridge,
    /// An MQTT before 3.1.1.
    Older,
    /// An MQTT after 5.
    Newer,
    /// Something else, or it is cut short.
    Unknown,
}

impl Protocol {
    /// Of a whole CONNECT.
    pub(in crate::wire) fn of(connect: &[u8]) -> Self {
        let body = body(connect);
        match body.strip_prefix(NAME).and_then(<[u8]>::first) {
            Some(4 | 5) => Self::Supported,
            Some(level) if [4 | BRIDGE, 5 | BRIDGE].contains(level) => Self::Bridge,
            Some(..=3) => Self::Older,
            Some(_) => Self::Newer,
            None if body.starts_with(OLD_NAME) => Self::Older,
            None => Self::Unknown,
        }
    }
}

/// A whole CONNECT of a bridge, as any other client would send it.
pub(in crate::wire) fn without_bridge(connect: &[u8]) -> Vec<u8> {
    let mut plain = connect.to_vec();
    let at = connect.len() - body(connect).len() + LEVEL;
    if let Some(level) = plain.get_mut(at) {
        *level &= !BRIDGE;
    }
    plain
}

/// Whether the flags of a whole CONNECT of a known version are valid, as far as they are there.
pub(in crate::wire) fn has_valid_flags(connect: &[u8]) -> bool {
    let flags = body(connect).get(FLAGS);
    flags.is_none_or(|flags| are_valid(*flags))
}

/// Whether the lengths of a whole CONNECT of MQTT 5 take no more bytes than they need (MQTT 5 section 1.5.5-1), as far as they
/// are there.
pub(in crate::wire) fn has_minimal_lengths(connect: &[u8]) -> bool {
    let body = body(connect);
    if body.get(LEVEL) != Some(&5) {
        return true;
    }
    is_minimal(&connect[1..])
        && body.get(PROPERTIES..).is_none_or(is_minimal)
        && will_properties(body).is_none_or(is_minimal)
}

/// Refuses a whole CONNECT with more properties than are taken, as far as they are there.
pub(in crate::wire) fn check_items(connect: &[u8]) -> Result<(), MqttError> {
    let body = body(connect);
    match (body.get(LEVEL), body.get(FLAGS)) {
        (Some(5), Some(flags)) => ItemCounter::check_connect(body, *flags),
        _ => Ok(()),
    }
}

/// The properties of the will, which follow the client id, if there is a will.
fn will_properties(body: &[u8]) -> Option<&[u8]> {
    let rest = body
        .get(PROPERTIES..)
        .filter(|_| body[FLAGS] & 0b100 != 0)?;
    let (length, prefix) = variable(rest)?;
    let rest = rest.get(prefix + length..)?;
    let client_id = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
    rest.get(2 + usize::from(client_id)..)
}

/// What follows the fixed header; nothing if that is cut short.
fn body(connect: &[u8]) -> &[u8] {
    length::body(connect).unwrap_or_default()
}

/// The flags (MQTT 5 sections 3.1.2.3 to 3.1.2.7): the reserved one is clear, the will's QoS is 0 to 2, and there is none of
/// a will that is not there.
fn are_valid(flags: u8) -> bool {
    let (will, will_qos, will_retain) = (flags & 0b100, flags & 0b1_1000, flags & 0b10_0000);
    let no_will = will == 0 && will_qos == 0 && will_retain == 0;
    flags & 1 == 0 && (no_will || (will != 0 && will_qos != 0b1_1000))
}

/// Whether a whole CONNECT of MQTT 5 has a password and no user name, which the core does not take.
pub(in crate::wire) fn has_password_alone(connect: &[u8]) -> bool {
    let body = body(connect);
    let flags = body.get(FLAGS).map(|flags| flags & 0b1100_0000);
    body.get(LEVEL) == Some(&5) && flags == Some(0b0100_0000)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CONNECT of MQTT 5.
    fn connect(flags: u8, properties: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x10, 13 + properties.len() as u8, 0, 4];
        bytes.extend(b"MQTT");
        bytes.extend([5, flags, 0, 60, properties.len() as u8]);
        bytes.extend(properties);
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn flags_that_contradict_each_other_are_not_valid() {
        for (flags, good) in [
            (0b0000_0010, true),
            (0b1100_0010, true),
            (0b0010_1110, true),
            (0b0000_0011, false),
            (0b0001_1110, false),
            (0b0000_1010, false),
            (0b0010_0010, false),
        ] {
            let valid = has_valid_flags(&connect(flags, &[]));
            assert_eq!(valid, good, "{flags:08b}");
        }
    }

    #[test]
    fn the_name_and_the_level_say_which_protocol_it_is() {
        let at_level = |level| {
            let mut bytes = connect(2, &[]);
            bytes[2 + LEVEL] = level;
            bytes
        };
        for (level, right) in [
            (3, Protocol::Older),
            (4, Protocol::Supported),
            (5, Protocol::Supported),
            (6, Protocol::Newer),
            (0x83, Protocol::Newer),
            (0x84, Protocol::Bridge),
            (0x85, Protocol::Bridge),
        ] {
            assert_eq!(Protocol::of(&at_level(level)), right, "{level:x}");
        }
        assert_eq!(without_bridge(&at_level(0x85)), at_level(5));
        assert_eq!(Protocol::of(b"\x10\x09\0\x06MQIsdp\x03"), Protocol::Older);
        for other in [
            &b"\x10\x00"[..],
            b"\x10\x06\0\x04MQTT",
            b"\x10\x07\0\x04MQTX\x04",
        ] {
            assert_eq!(Protocol::of(other), Protocol::Unknown, "{other:x?}");
        }
    }

    #[test]
    fn a_password_without_a_user_name_shows_in_the_flags() {
        assert!(has_password_alone(&connect(0b0100_0010, &[])));
        assert!(!has_password_alone(&connect(0b1100_0010, &[])));
        assert!(!has_password_alone(&connect(0b1000_0010, &[])));
    }

    #[test]
    fn what_is_cut_short_is_left_to_the_core() {
        let whole = connect(0b0110, &[0x26, 0, 1, b'a', 0, 1, b'b', 0x22, 0, 0]);
        for short in 2..whole.len() {
            has_password_alone(&whole[..short]);
            has_minimal_lengths(&whole[..short]);
        }
    }
}
