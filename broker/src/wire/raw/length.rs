//! The length of a packet, and variable byte integers in general (MQTT 5 section 1.5.5).

/// Most bytes of a variable byte integer.
const MOST: usize = 4;

/// How much there is of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it, which is so many bytes.
    Whole(usize),
    Incomplete,
    /// It is longer than allowed, or has no valid length.
    TooLong,
}

/// How much there is at the start of `bytes` of a packet of at most `limit` bytes.
pub(super) fn extent(bytes: &[u8], limit: usize) -> Extent {
    match bytes.get(1..).and_then(variable) {
        Some((length, header)) => match 1 + header + length {
            whole if whole > limit => Extent::TooLong,
            whole if whole > bytes.len() => Extent::Incomplete,
            whole => Extent::Whole(whole),
        },
        None if bytes.len() > MOST => Extent::TooLong,
        None => Extent::Incomplete,
    }
}

/// What follows the fixed header of a packet, if its length is there.
pub(in crate::wire) fn body(packet: &[u8]) -> Option<&[u8]> {
    let (_, header) = variable(packet.get(1..)?)?;
    packet.get(1 + header..)
}

/// A variable byte integer, and how many bytes it takes.
pub(in crate::wire) fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (n, byte) in bytes.iter().take(MOST).enumerate() {
        value |= usize::from(byte & 0x7F) << (7 * n);
        if byte & 0x80 == 0 {
            return Some((value, n + 1));
        }
    }
    None
}

/// Whether the variable byte integer takes no more bytes than it needs (MQTT 5 section 1.5.5-1), if it is one.
pub(super) fn is_minimal(bytes: &[u8]) -> bool {
    variable(bytes).is_none_or(|(value, bytes)| bytes == 1 || value >> (7 * (bytes - 1)) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_whole_when_all_its_bytes_are_there() {
        let bytes = [0x40, 4, 0, 1, 0x10, 0];
        for short in 0..bytes.len() {
            assert_eq!(extent(&bytes[..short], 100), Extent::Incomplete, "{short}");
        }
        assert_eq!(extent(&bytes, 6), Extent::Whole(6));
        let more = [&bytes[..], &[0xC0]].concat();
        assert_eq!(extent(&more, 100), Extent::Whole(6));
        assert_eq!(extent(&[0x10, 0], 100), Extent::Whole(2));
        assert_eq!(extent(&[0x40, 0x80, 0x80], 100), Extent::Incomplete);
    }

    #[test]
    fn a_packet_that_says_that_it_is_too_long_is_not_waited_for() {
        assert_eq!(extent(&[0x40, 4, 0, 1, 0x10, 0], 5), Extent::TooLong);
        assert_eq!(extent(&[0x40, 4], 5), Extent::TooLong);
        assert_eq!(extent(&[0x10, 0xFF, 0xFF, 0x7F], 1024), Extent::TooLong);
        let five_bytes = [0x40, 0x80, 0x80, 0x80, 0x80];
        assert_eq!(extent(&five_bytes, 100), Extent::TooLong);
    }
}
