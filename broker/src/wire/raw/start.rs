//! How a packet is to be read, by its first byte, and the checks of that byte that the core leaves out.

use super::{
    acks,
    filters::{SUBSCRIBE, UNSUBSCRIBE},
    length::{Extent, extent},
};

/// CONNECT, with the flags that its type must have.
const CONNECT: u8 = 0x10;

/// How a packet is to be read.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::wire) enum Start {
    /// By the core, byte by byte.
    Any,
    /// Not yet: there is too little of it.
    Incomplete,
    Malformed,
    SecondConnect,
    /// As a CONNECT of so many bytes, which are all there.
    Connect(usize),
    /// As a SUBSCRIBE or UNSUBSCRIBE of so many bytes, which are all there.
    Filters(usize),
    /// As a PUBACK, PUBREC or PUBCOMP of so many bytes, which are all there.
    Acknowledgement(usize),
}

impl Start {
    /// Of the first packet of a connection: a CONNECT of at most `limit` bytes, and nothing else.
    pub(in crate::wire) fn of_first(bytes: &[u8], limit: u32) -> Self {
        match bytes.first() {
            None => Self::Incomplete,
            Some(&CONNECT) => match extent(bytes, limit as usize) {
                Extent::Whole(length) => Self::Connect(length),
                Extent::Incomplete => Self::Incomplete,
                Extent::TooLong => Self::Malformed,
            },
            Some(_) => Self::Malformed,
        }
    }

    /// Of a packet that follows, of at most `limit` bytes.
    pub(in crate::wire) fn of_next(bytes: &[u8], limit: u32) -> Self {
        let whole: fn(usize) -> Self = match bytes.first() {
            None => return Self::Incomplete,
            // There is one at most (MQTT 5 section 3.1).
            Some(&CONNECT) => return Self::SecondConnect,
            Some(&first) if !has_valid_flags(first) => return Self::Malformed,
            Some(&(SUBSCRIBE | UNSUBSCRIBE)) => Self::Filters,
            Some(&first) if acks::is_one(first) => Self::Acknowledgement,
            Some(_) => return Self::Any,
        };
        match extent(bytes, limit as usize) {
            Extent::Whole(length) => whole(length),
            Extent::Incomplete => Self::Incomplete,
            // The core refuses it.
            Extent::TooLong => Self::Any,
        }
    }
}

/// The flags of the fixed header (MQTT 5 section 2.1.3). PUBLISH has no QoS 3, and none of QoS 0 is a repeat (3.3.1.1).
fn has_valid_flags(first: u8) -> bool {
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
            assert_eq!(
                Start::of_first(&[other], 1024),
                Start::Malformed,
                "{other:x}"
            );
        }
        assert_eq!(Start::of_first(&[], 1024), Start::Incomplete);
        assert_eq!(Start::of_next(&[CONNECT], 1024), Start::SecondConnect);
    }

    #[test]
    fn connect_is_read_once_it_is_whole() {
        let first = |bytes: &[u8]| Start::of_first(bytes, 1024);
        assert_eq!(first(&[CONNECT]), Start::Incomplete);
        assert_eq!(first(&[CONNECT, 2, 0]), Start::Incomplete);
        assert_eq!(first(&[CONNECT, 2, 0, 4, 0xC0]), Start::Connect(4));
        assert_eq!(first(&[CONNECT, 0xFF, 0x7F]), Start::Malformed);
        let five_bytes = [CONNECT, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(first(&five_bytes), Start::Malformed);
    }

    #[test]
    fn filters_and_acknowledgements_are_read_once_they_are_whole() {
        let filters: fn(usize) -> Start = Start::Filters;
        let acknowledgement: fn(usize) -> Start = Start::Acknowledgement;
        for (first, whole) in [
            (SUBSCRIBE, filters),
            (UNSUBSCRIBE, filters),
            (0x40, acknowledgement),
            (0x50, acknowledgement),
            (0x70, acknowledgement),
        ] {
            let next = |bytes: &[u8]| Start::of_next(bytes, 1024);
            assert_eq!(next(&[first]), Start::Incomplete);
            assert_eq!(next(&[first, 2, 0]), Start::Incomplete);
            assert_eq!(next(&[first, 2, 0, 1, 0xC0]), whole(4));
            // Too long.
            assert_eq!(next(&[first, 0xFF, 0x7F]), Start::Any);
            assert_eq!(next(&[first, 0xFF, 0xFF, 0xFF, 0xFF]), Start::Any);
        }
    }

    #[test]
    fn fixed_flags_are_those_of_the_type() {
        for good in [0x30, 0x31, 0x3B, 0x34, 0x62, 0xC0, 0xE0] {
            assert_eq!(Start::of_next(&[good], 1024), Start::Any, "{good:x}");
        }
        for bad in [0x36, 0x38, 0x39, 0x3E, 0x41, 0x60, 0x80, 0xA0, 0xC1, 0xE8] {
            assert_eq!(Start::of_next(&[bad], 1024), Start::Malformed, "{bad:x}");
        }
    }
}
