//! What must hold of a packet's first bytes and the core does not check.

/// CONNECT, with the flags that its type must have.
const CONNECT: u8 = 0x10;

/// From the end of the remaining length to the flags of CONNECT: protocol name and level (MQTT 5 section 3.1.2).
const BEFORE_FLAGS: usize = 7;

/// What the first bytes of a packet are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    Good,
    /// Too few to tell.
    Short,
    Bad,
}

/// Looks at the start of a packet.
pub(super) fn start(bytes: &[u8]) -> Start {
    let Some(&first) = bytes.first() else {
        return Start::Short;
    };
    if !valid_fixed_flags(first) {
        return Start::Bad;
    }
    if first == CONNECT {
        connect(bytes)
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

fn connect(bytes: &[u8]) -> Start {
    let length = bytes.iter().skip(1).take(4).position(|b| b & 0x80 == 0);
    let Some(last) = length.map(|n| n + 1) else {
        // Five bytes of length are the core's to refuse.
        return if bytes.len() > 4 {
            Start::Good
        } else {
            Start::Short
        };
    };
    if last == 1 && usize::from(bytes[1]) <= BEFORE_FLAGS {
        // Too short for flags: the core's to refuse.
        return Start::Good;
    }
    match bytes.get(last + 1 + BEFORE_FLAGS) {
        None => Start::Short,
        Some(flags) if valid_connect_flags(*flags) => Start::Good,
        Some(_) => Start::Bad,
    }
}

/// The flags of CONNECT (MQTT 5 sections 3.1.2.3 to 3.1.2.7): the reserved one is clear, the will's QoS is 0 to 2, and
/// there is none of a will that is not there.
fn valid_connect_flags(flags: u8) -> bool {
    let (will, will_qos, will_retain) = (flags & 0b100, flags & 0b1_1000, flags & 0b10_0000);
    let no_will = will == 0 && will_qos == 0 && will_retain == 0;
    flags & 1 == 0 && (no_will || (will != 0 && will_qos != 0b1_1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect_with(flags: u8) -> Vec<u8> {
        let mut bytes = vec![CONNECT, 13, 0, 4];
        bytes.extend(b"MQTT");
        bytes.extend([5, flags, 0, 60, 0, 0, 0]);
        bytes
    }

    #[test]
    fn connect_flags_are_checked_once_they_are_there() {
        for (flags, right) in [
            (0b0000_0010, Start::Good),
            (0b1100_0010, Start::Good),
            (0b0010_1110, Start::Good),
            (0b0000_0011, Start::Bad),
            (0b0001_1110, Start::Bad),
            (0b0000_1010, Start::Bad),
            (0b0010_0010, Start::Bad),
        ] {
            let bytes = connect_with(flags);
            assert_eq!(start(&bytes), right, "{flags:08b}");
            for short in 1..10 {
                assert_eq!(start(&bytes[..short]), Start::Short, "{short}");
            }
        }
    }

    #[test]
    fn fixed_flags_are_those_of_the_type() {
        for good in [0x30, 0x31, 0x3B, 0x34, 0x40, 0x62, 0x82, 0xA2, 0xC0, 0xE0] {
            assert_eq!(start(&[good]), Start::Good, "{good:x}");
        }
        for bad in [0x36, 0x38, 0x39, 0x3E, 0x41, 0x60, 0x80, 0xA0, 0xC1, 0xE8] {
            assert_eq!(start(&[bad]), Start::Bad, "{bad:x}");
        }
    }

    #[test]
    fn what_the_core_refuses_is_left_to_it() {
        assert_eq!(start(&[CONNECT, 0]), Start::Good);
        assert_eq!(start(&[CONNECT, 7, 0, 4]), Start::Good);
        assert_eq!(start(&[CONNECT, 0xFF, 0xFF, 0xFF, 0xFF]), Start::Good);
        assert_eq!(start(&[CONNECT, 0x80, 0x80]), Start::Short);
    }
}
