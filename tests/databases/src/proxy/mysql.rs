//! What a packet of MySQL's protocol is.

/// A packet of this length goes on in the next.
const FULL: [u8; 3] = [0xff; 3];

/// COM_QUERY.
const QUERY: u8 = 0x03;

/// COM_STMT_PREPARE.
const PREPARE: u8 = 0x16;

/// CLIENT_SSL, in the first bytes of what a client says it can.
const TLS: u16 = 0x0800;

pub(super) fn goes_on(packet: &[u8]) -> bool {
    packet.starts_with(&FULL)
}

/// The command, if the packet begins one: its number is 0. Those of the handshake have others.
pub(super) fn command(packet: &[u8]) -> Option<u8> {
    if packet.get(3) == Some(&0) {
        packet.get(4).copied()
    } else {
        None
    }
}

/// The statement of a query, or of one that is prepared.
pub(super) fn statement(packet: &[u8]) -> Option<String> {
    match command(packet) {
        Some(QUERY | PREPARE) => Some(String::from_utf8_lossy(&packet[5..]).into_owned()),
        _ => None,
    }
}

/// Takes TLS from what the server's greeting says it can.
pub(super) fn without_tls(greeting: &mut [u8]) {
    // A header, the version of the protocol, that of the server to a zero, a number of 4 bytes, 8 random bytes and a zero.
    let version = greeting.get(5..).unwrap_or_default();
    let Some(zero) = version.iter().position(|byte| *byte == 0) else {
        return;
    };
    let at = 5 + zero + 1 + 4 + 8 + 1;
    if let Some(able) = greeting.get_mut(at..at + 2) {
        let without = u16::from_le_bytes([able[0], able[1]]) & !TLS;
        able.copy_from_slice(&without.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_in_queries_and_where_they_are_prepared() {
        assert_eq!(
            statement(b"\x07\0\0\0\x03COMMIT").as_deref(),
            Some("COMMIT")
        );
        assert_eq!(statement(b"\x06\0\0\0\x16BEGIN").as_deref(), Some("BEGIN"));
        assert_eq!(statement(b"\x01\0\0\0\x0e"), None);
        // Of the handshake, or without anything.
        assert_eq!(statement(b"\x07\0\0\x01\x03COMMIT"), None);
        assert_eq!(statement(b"\0\0\0\0"), None);
    }

    #[test]
    fn a_greeting_loses_tls_and_nothing_else() {
        let mut greeting = b"\x1b\0\0\0\x0a8.0\x00\x01\0\0\0abcdefgh\0\xff\xff\x08\x02\0".to_vec();
        let mut expected = greeting.clone();
        expected[23] = 0xf7;
        without_tls(&mut greeting);
        assert_eq!(greeting, expected);
        without_tls(&mut []);
    }
}
