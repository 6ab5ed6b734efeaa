//! CONNECT, as far as it has to be looked at before the core sees it.

use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::{check::Start, items::Items};

/// The protocol name (MQTT 5 section 3.1.2.1), and that of MQTT 3.1.
const NAME: &[u8] = b"\0\x04MQTT";
const OLD_NAME: &[u8] = b"\0\x06MQIsdp";

/// From the end of the remaining length to the level and the flags: after the protocol name (MQTT 5 section 3.1.2).
const LEVEL: usize = NAME.len();
const FLAGS: usize = LEVEL + 1;

/// What mosquitto's bridges add to the level (`try_private`): they ask for no copies of what they publish, and for retained
/// flags as they were published, which MQTT 3.1.1 has no options for.
const BRIDGE: u8 = 0x80;

/// To the properties: after the flags and the keep-alive.
const PROPERTIES: usize = 10;

/// Topic Alias Maximum (MQTT 5 section 3.1.2.11.5).
const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;

/// Looks at the start of a CONNECT of at most `limit` bytes.
pub(super) fn start(bytes: &[u8], limit: usize) -> Start {
    match whole(bytes) {
        Some(whole) if whole > limit => Start::Bad,
        Some(whole) if bytes.len() < whole => Start::Short,
        Some(whole) => Start::Connect(whole),
        None if bytes.len() > 4 => Start::Bad,
        None => Start::Short,
    }
}

/// How many bytes the packet at the start of `bytes` has, if its length is there and is one.
pub(super) fn whole(bytes: &[u8]) -> Option<usize> {
    let (length, header) = variable(bytes.get(1..)?)?;
    Some(1 + header + length)
}

/// What a CONNECT speaks (MQTT 5 sections 3.1.2.1 and 3.1.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaks {
    /// MQTT 3.1.1 or 5.
    Known,
    /// The same, and it is a mosquitto that bridges.
    KnownBridge,
    /// An MQTT before 3.1.1.
    Older,
    /// An MQTT after 5.
    Newer,
    /// Something else, or it ends too early.
    Unknown,
}

/// What a whole CONNECT speaks.
pub(super) fn speaks(connect: &[u8]) -> Speaks {
    let body = body(connect);
    match body.strip_prefix(NAME).and_then(<[u8]>::first) {
        Some(4 | 5) => Speaks::Known,
        Some(level) if [4 | BRIDGE, 5 | BRIDGE].contains(level) => Speaks::KnownBridge,
        Some(..=3) => Speaks::Older,
        Some(_) => Speaks::Newer,
        None if body.starts_with(OLD_NAME) => Speaks::Older,
        None => Speaks::Unknown,
    }
}

/// A whole CONNECT of a bridge without the mark of one.
pub(super) fn without_bridge(connect: &[u8]) -> Vec<u8> {
    let mut plain = connect.to_vec();
    let at = connect.len() - body(connect).len() + LEVEL;
    if let Some(level) = plain.get_mut(at) {
        *level &= !BRIDGE;
    }
    plain
}

/// Whether the flags of a whole CONNECT of a known version are valid, as far as they are there.
pub(super) fn has_valid_flags(connect: &[u8]) -> bool {
    body(connect)
        .get(FLAGS)
        .is_none_or(|flags| valid_flags(*flags))
}

/// Whether the lengths of a whole CONNECT of MQTT 5 take no more bytes than they need (MQTT 5 section 1.5.5-1), as far as they
/// are there.
pub(super) fn has_short_lengths(connect: &[u8]) -> bool {
    let body = body(connect);
    if body.get(LEVEL) != Some(&5) {
        return true;
    }
    is_short(&connect[1..])
        && body.get(PROPERTIES..).is_none_or(is_short)
        && will_properties(body).is_none_or(is_short)
}

/// Whether a whole CONNECT has no more properties than are taken, as far as they are there.
pub(super) fn count(connect: &[u8]) -> Result<(), MqttError> {
    let body = body(connect);
    match (body.get(LEVEL), body.get(FLAGS)) {
        (Some(5), Some(flags)) => Items::of_connect(body, *flags),
        _ => Ok(()),
    }
}

/// Whether the variable byte integer takes no more bytes than it needs, if it is one.
pub(super) fn is_short(bytes: &[u8]) -> bool {
    variable(bytes).is_none_or(|(value, bytes)| bytes == 1 || value >> (7 * (bytes - 1)) > 0)
}

/// Where those of the will begin, behind the client id, if there is a will.
fn will_properties(body: &[u8]) -> Option<&[u8]> {
    let rest = body
        .get(PROPERTIES..)
        .filter(|_| body[FLAGS] & 0b100 != 0)?;
    let (length, prefix) = variable(rest)?;
    let rest = rest.get(prefix + length..)?;
    let client_id = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
    rest.get(2 + usize::from(client_id)..)
}

/// What follows the remaining length.
fn body(connect: &[u8]) -> &[u8] {
    let header = variable(&connect[1..]).map_or(connect.len(), |(_, bytes)| 1 + bytes);
    &connect[header..]
}

/// The flags (MQTT 5 sections 3.1.2.3 to 3.1.2.7): the reserved one is clear, the will's QoS is 0 to 2, and there is none of
/// a will that is not there.
fn valid_flags(flags: u8) -> bool {
    let (will, will_qos, will_retain) = (flags & 0b100, flags & 0b1_1000, flags & 0b10_0000);
    let no_will = will == 0 && will_qos == 0 && will_retain == 0;
    flags & 1 == 0 && (no_will || (will != 0 && will_qos != 0b1_1000))
}

/// Whether a whole CONNECT of MQTT 5 has a password and no user name, which the core does not take.
pub(super) fn has_no_user_name(connect: &[u8]) -> bool {
    let Some((_, header)) = variable(&connect[1..]) else {
        return false;
    };
    connect.get(1 + header + LEVEL) == Some(&5)
        && connect
            .get(1 + header + FLAGS)
            .is_some_and(|flags| flags & 0b1100_0000 == 0b0100_0000)
}

/// A whole CONNECT in which a Topic Alias Maximum of 0 is 1, if it has one: the core panics over the 0.
pub(super) fn without_alias_maximum_0(connect: &[u8]) -> Option<Vec<u8>> {
    let zero = alias_maximum_0(connect)?;
    let mut changed = connect.to_vec();
    changed[zero + 1] = 1;
    // A second one, which may not be, is the core's to refuse: it must find none that is 0.
    while let Some(zero) = alias_maximum_0(&changed) {
        changed[zero + 1] = 1;
    }
    Some(changed)
}

/// Where the two bytes of a Topic Alias Maximum of 0 are.
fn alias_maximum_0(connect: &[u8]) -> Option<usize> {
    let (_, header) = variable(&connect[1..])?;
    let properties = 1 + header + PROPERTIES;
    if connect.get(1 + header + LEVEL) != Some(&5) {
        return None;
    }
    let (length, prefix) = variable(connect.get(properties..)?)?;
    let mut at = properties + prefix;
    let end = (at + length).min(connect.len());
    while at < end {
        let (property, value) = (connect[at], at + 1);
        if property == TOPIC_ALIAS_MAXIMUM && connect.get(value..value + 2)? == [0, 0] {
            return Some(value);
        }
        at = value + size(property, connect.get(value..end)?)?;
    }
    None
}

/// How many bytes the value of a property of CONNECT takes (MQTT 5 section 2.2.2.2). `None` for one that CONNECT cannot
/// have: the core refuses it before it looks at any.
fn size(property: u8, value: &[u8]) -> Option<usize> {
    let string = |at: usize| {
        let length = value.get(at..at + 2)?;
        Some(at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]])))
    };
    match property {
        0x17 | 0x19 => Some(1),
        0x21 | TOPIC_ALIAS_MAXIMUM => Some(2),
        0x11 | 0x27 => Some(4),
        0x15 | 0x16 => string(0),
        0x26 => string(string(0)?),
        _ => None,
    }
}

/// A variable byte integer (MQTT 5 section 1.5.5), and how many bytes it takes.
pub(super) fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1024;

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
    fn it_is_looked_at_once_it_is_whole() {
        let bytes = connect(2, &[]);
        assert_eq!(start(&bytes, LIMIT), Start::Connect(bytes.len()));
        assert_eq!(start(&bytes, bytes.len()), Start::Connect(bytes.len()));
        for short in 1..bytes.len() {
            assert_eq!(start(&bytes[..short], LIMIT), Start::Short, "{short}");
        }
        assert_eq!(start(&[0x10, 0], LIMIT), Start::Connect(2));
        assert_eq!(start(&[0x10, 0x80, 0x80], LIMIT), Start::Short);
    }

    #[test]
    fn one_that_says_that_it_is_too_long_is_not_waited_for() {
        let bytes = connect(2, &[]);
        assert_eq!(start(&bytes[..2], bytes.len() - 1), Start::Bad);
        assert_eq!(start(&[0x10, 0xFF, 0xFF, 0x7F], LIMIT), Start::Bad);
        assert_eq!(start(&[0x10, 0xFF, 0xFF, 0xFF, 0xFF], LIMIT), Start::Bad);
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
    fn the_name_and_the_level_say_what_it_speaks() {
        let at_level = |level| {
            let mut bytes = connect(2, &[]);
            bytes[2 + LEVEL] = level;
            bytes
        };
        for (level, right) in [
            (3, Speaks::Older),
            (4, Speaks::Known),
            (5, Speaks::Known),
            (6, Speaks::Newer),
            (0x83, Speaks::Newer),
            (0x84, Speaks::KnownBridge),
            (0x85, Speaks::KnownBridge),
        ] {
            assert_eq!(speaks(&at_level(level)), right, "{level:x}");
        }
        assert_eq!(without_bridge(&at_level(0x85)), at_level(5));
        assert_eq!(speaks(b"\x10\x09\0\x06MQIsdp\x03"), Speaks::Older);
        for other in [
            &b"\x10\x00"[..],
            b"\x10\x06\0\x04MQTT",
            b"\x10\x07\0\x04MQTX\x04",
        ] {
            assert_eq!(speaks(other), Speaks::Unknown, "{other:x?}");
        }
    }

    #[test]
    fn an_alias_maximum_of_0_is_found_wherever_it_is() {
        let user = [0x26, 0, 1, b'a', 0, 1, 0x22];
        let expiry = [0x11, 0, 0, 0x22, 0];
        for before in [&[][..], &user, &expiry, &[0x22, 0, 0]] {
            let properties = [before, &[0x22, 0, 0, 0x21, 0, 5]].concat();
            let bytes = connect(2, &properties);
            let changed = without_alias_maximum_0(&bytes).unwrap();
            assert_eq!(without_alias_maximum_0(&changed), None);
            let differ = bytes.iter().zip(&changed).filter(|(a, b)| a != b);
            let expected = if before == [0x22, 0, 0] { 2 } else { 1 };
            assert_eq!(differ.count(), expected, "{before:x?}");
        }
        for without in [&[][..], &user, &expiry, &[0x22, 0, 1], &[0x22, 1, 0]] {
            assert_eq!(without_alias_maximum_0(&connect(2, without)), None);
        }
    }

    #[test]
    fn properties_that_are_cut_short_are_left_to_the_core() {
        let whole = connect(2, &[0x26, 0, 1, b'a', 0, 1, b'b', 0x22, 0, 0]);
        for short in 2..whole.len() {
            without_alias_maximum_0(&whole[..short]);
            has_no_user_name(&whole[..short]);
        }
        assert_eq!(without_alias_maximum_0(&connect(2, &[0x26, 0xFF])), None);
    }

    #[test]
    fn a_password_without_a_user_name_shows_in_the_flags() {
        assert!(has_no_user_name(&connect(0b0100_0010, &[])));
        assert!(!has_no_user_name(&connect(0b1100_0010, &[])));
        assert!(!has_no_user_name(&connect(0b1000_0010, &[])));
    }
}
