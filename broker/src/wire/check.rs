//! What must hold of a packet's first bytes and the core does not check.

use super::{
    acks, connect,
    filters::{SUBSCRIBE, UNSUBSCRIBE},
};

/// CONNECT, with the flags that its type must have.
const CONNECT: u8 = 0x10;

/// What the first bytes of a packet are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// The core may see them.
    Good,
    /// Too few to tell.
    Short,
    Bad,
    /// A second CONNECT.
    Again,
    /// A CONNECT of so many bytes, which are all there.
    Connect(usize),
    /// The same, of SUBSCRIBE and UNSUBSCRIBE.
    Filters(usize),
    /// A PUBACK, PUBREC or PUBCOMP of so many bytes, which are all there.
    Acknowledgement(usize),
}

/// Looks at the start of the first packet of a connection: a CONNECT of at most `limit` bytes, and nothing else.
pub(super) fn first(bytes: &[u8], limit: u32) -> Start {
    match bytes.first() {
        None => Start::Short,
        Some(&CONNECT) => connect::start(bytes, limit as usize),
        Some(_) => Start::Bad,
    }
}

/// Looks at the start of a packet that follows, of at most `limit` bytes.
pub(super) fn start(bytes: &[u8], limit: u32) -> Start {
    match bytes.first() {
        None => Start::Short,
        // There is one at most (MQTT 5 section 3.1).
        Some(&CONNECT) => Start::Again,
        Some(&(SUBSCRIBE | UNSUBSCRIBE)) => match connect::whole(bytes) {
            Some(whole) if whole > limit as usize => Start::Good,
            Some(whole) if whole <= bytes.len() => Start::Filters(whole),
            None if bytes.len() > 4 => Start::Good,
            _ => Start::Short,
        },
        Some(&first) if valid_fixed_flags(first) && acks::is_one(first) => {
            acks::start(bytes, limit as usize)
        }
        Some(&first) if valid_fixed_flags(first) => Start::Good,
        Some(_) => Start::Bad,
    }
}

/// The flags of the fixed header (MQTT 5 section 2.1.3). PUBLISH has no QoS 3, and none of QoS 0 is a repeat (3.3.1.1).
fn valid_fixed_flags(first: u8) -> bool {
    let (packet_type, flags) = (first >> 4, first & 0x0F);
    match packet_type {
        3 => flags & 0b0110 != 0b0110 && flags & 0b1110 != 0b1000,
        6 | 8 | 10 => flags == 0b0010,
        _ => flags == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_starts_with_connect_and_has_no_other() {
        for other in [0x00, 0x11, 0x20, 0x30, 0xC0, 0xE0, 0xF0] {
            assert_eq!(first(&[other], 1024), Start::Bad, "{other:x}");
        }
        assert_eq!(first(&[], 1024), Start::Short);
        assert_eq!(start(&[CONNECT], 1024), Start::Again);
    }

    #[test]
    fn filters_are_looked_at_once_they_are_whole() {
        for first in [SUBSCRIBE, UNSUBSCRIBE] {
            assert_eq!(start(&[first], 1024), Start::Short);
            assert_eq!(start(&[first, 2, 0], 1024), Start::Short);
            assert_eq!(start(&[first, 2, 0, 1, 0xC0], 1024), Start::Filters(4));
            // Too long: the core's to refuse.
            assert_eq!(start(&[first, 0xFF, 0x7F], 1024), Start::Good);
            assert_eq!(start(&[first, 0xFF, 0xFF, 0xFF, 0xFF], 1024), Start::Good);
        }
    }

    #[test]
    fn fixed_flags_are_those_of_the_type() {
        for good in [0x30, 0x31, 0x3B, 0x34, 0x62, 0xC0, 0xE0] {
            assert_eq!(start(&[good], 1024), Start::Good, "{good:x}");
        }
        for bad in [0x36, 0x38, 0x39, 0x3E, 0x41, 0x60, 0x80, 0xA0, 0xC1, 0xE8] {
            assert_eq!(start(&[bad], 1024), Start::Bad, "{bad:x}");
        }
    }
}
