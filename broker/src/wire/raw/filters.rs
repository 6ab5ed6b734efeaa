//! The filters of a SUBSCRIBE and UNSUBSCRIBE of MQTT 5.
//!
//! The core ends a connection over the malformed filter of a shared subscription, and over no other malformed filter. Here each
//! malformed filter is refused by itself: see `docs/mqtt.md`.

use herald_acl::TopicFilter;

use super::length::{body, is_minimal, variable};

/// The types, with the flags that they must have.
pub(super) const SUBSCRIBE: u8 = 0x82;
pub(super) const UNSUBSCRIBE: u8 = 0xA2;

/// What a shared subscription starts with (MQTT 5 section 4.8.2).
const SHARE: &[u8] = b"$share/";

/// A whole packet of one of these types, if it has malformed shared filters: their `$` becomes `#`, which leaves them malformed
/// and makes them no longer shared.
pub(in crate::wire) fn without_malformed_shares(packet: &[u8]) -> Option<Vec<u8>> {
    let malformed = malformed_shares(packet).filter(|found| !found.is_empty())?;
    let mut changed = packet.to_vec();
    for at in malformed {
        changed[at] = b'#';
    }
    Some(changed)
}

/// Whether the length of the properties of a whole packet of one of these types takes no more bytes than it needs (MQTT 5
/// section 1.5.5-1).
pub(in crate::wire) fn has_minimal_lengths(packet: &[u8]) -> bool {
    let properties = body(packet).and_then(|body| body.get(2..));
    properties.is_none_or(is_minimal)
}

/// Where they start. The core refuses what is cut short.
fn malformed_shares(packet: &[u8]) -> Option<Vec<usize>> {
    let options = usize::from(packet.first() == Some(&SUBSCRIBE));
    let properties = packet.len() - body(packet)?.len() + 2;
    let (length, prefix) = variable(packet.get(properties..)?)?;
    let mut at = properties + prefix + length;
    let mut found = vec![];
    while at < packet.len() {
        let length = packet.get(at..at + 2)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let filter = packet.get(at + 2..at + 2 + length)?;
        if filter.starts_with(SHARE) && std::str::from_utf8(filter).is_ok_and(is_malformed) {
            found.push(at + 2);
        }
        at += 2 + length + options;
    }
    Some(found)
}

/// Whether the text is valid (MQTT 5 section 1.5.4), but not as a filter.
fn is_malformed(filter: &str) -> bool {
    !filter.contains('\0') && TopicFilter::parse(filter).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, filters: &[&str]) -> Vec<u8> {
        let mut body = vec![0, 1, 0];
        for filter in filters {
            body.extend([0, filter.len() as u8]);
            body.extend(filter.as_bytes());
            body.extend((first == SUBSCRIBE).then_some(1));
        }
        [vec![first, body.len() as u8], body].concat()
    }

    #[test]
    fn only_shares_that_are_malformed_are_changed() {
        let good = ["a", "$share/g/a", "a#", "$shared", "$share"];
        for first in [SUBSCRIBE, UNSUBSCRIBE] {
            assert_eq!(without_malformed_shares(&packet(first, &good)), None);
            let changed = without_malformed_shares(&packet(first, &["a", "$share/g", "$share//b"]));
            assert_eq!(
                changed,
                Some(packet(first, &["a", "#share/g", "#share//b"]))
            );
        }
    }

    #[test]
    fn what_is_cut_short_is_left_to_the_core() {
        let whole = packet(SUBSCRIBE, &["$share/g", "a"]);
        for short in 0..whole.len() {
            without_malformed_shares(&whole[..short]);
        }
    }
}
