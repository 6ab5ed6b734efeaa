//! The Topic Alias Maximum of a CONNECT of MQTT 5 (section 3.1.2.11.5): the core panics if it is 0.

use super::{
    connect::{LEVEL, PROPERTIES},
    length::{body, variable},
};

const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;

/// A whole CONNECT in which a Topic Alias Maximum of 0 is 1, if it has one.
pub(in crate::wire) fn without_0(connect: &[u8]) -> Option<Vec<u8>> {
    let zero = position_of_0(connect)?;
    let mut changed = connect.to_vec();
    changed[zero + 1] = 1;
    // The core refuses a second one, which may not be; but it must not find a 0.
    while let Some(zero) = position_of_0(&changed) {
        changed[zero + 1] = 1;
    }
    Some(changed)
}

/// Where the two bytes of a Topic Alias Maximum of 0 are.
fn position_of_0(connect: &[u8]) -> Option<usize> {
    let body = body(connect)?;
    if body.get(LEVEL) != Some(&5) {
        return None;
    }
    let properties = connect.len() - body.len() + PROPERTIES;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A CONNECT of MQTT 5.
    fn connect(properties: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x10, 13 + properties.len() as u8, 0, 4];
        bytes.extend(b"MQTT");
        bytes.extend([5, 2, 0, 60, properties.len() as u8]);
        bytes.extend(properties);
        bytes.extend([0, 0]);
        bytes
    }

    #[test]
    fn an_alias_maximum_of_0_is_found_wherever_it_is() {
        let user = [0x26, 0, 1, b'a', 0, 1, 0x22];
        let expiry = [0x11, 0, 0, 0x22, 0];
        for before in [&[][..], &user, &expiry, &[0x22, 0, 0]] {
            let properties = [before, &[0x22, 0, 0, 0x21, 0, 5]].concat();
            let bytes = connect(&properties);
            let changed = without_0(&bytes).unwrap();
            assert_eq!(without_0(&changed), None);
            let differ = bytes.iter().zip(&changed).filter(|(a, b)| a != b);
            let expected = if before == [0x22, 0, 0] { 2 } else { 1 };
            assert_eq!(differ.count(), expected, "{before:x?}");
        }
        for without in [&[][..], &user, &expiry, &[0x22, 0, 1], &[0x22, 1, 0]] {
            assert_eq!(without_0(&connect(without)), None);
        }
    }

    #[test]
    fn properties_that_are_cut_short_are_left_to_the_core() {
        let whole = connect(&[0x26, 0, 1, b'a', 0, 1, b'b', 0x22, 0, 0]);
        for short in 2..whole.len() {
            without_0(&whole[..short]);
        }
        assert_eq!(without_0(&connect(&[0x26, 0xFF])), None);
    }
}
