//! What must hold of a packet's first bytes and the core does not check.

use super::connect;

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
    /// A CONNECT of so many bytes, which are all there.
    Connect(usize),
}

/// Looks at the start of a packet of at most `limit` bytes.
pub(super) fn start(bytes: &[u8], limit: u32) -> Start {
    let Some(&first) = bytes.first() else {
        return Start::Short;
    };
    if !valid_fixed_flags(first) {
        return Start::Bad;
    }
    if first == CONNECT {
        connect::start(bytes, limit as usize)
    } else {
        Start::Good
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
    fn fixed_flags_are_those_of_the_type() {
        for good in [0x30, 0x31, 0x3B, 0x34, 0x40, 0x62, 0x82, 0xA2, 0xC0, 0xE0] {
            assert_eq!(start(&[good], 1024), Start::Good, "{good:x}");
        }
        for bad in [0x36, 0x38, 0x39, 0x3E, 0x41, 0x60, 0x80, 0xA0, 0xC1, 0xE8] {
            assert_eq!(start(&[bad], 1024), Start::Bad, "{bad:x}");
        }
    }
}
