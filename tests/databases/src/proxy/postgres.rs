//! What a message of PostgreSQL's protocol is.

/// Asks for TLS; see "Message Formats" of the protocol.
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// Asks for encryption by GSSAPI.
const GSS_REQUEST: [u8; 4] = 80_877_104_u32.to_be_bytes();

/// The server has neither.
pub(super) const NO: [u8; 1] = *b"N";

/// Whether the first message of a connection asks for encryption, so that another first one follows.
pub(super) fn is_encryption_request(frame: &[u8]) -> bool {
    let code = frame.get(4..);
    code == Some(&SSL_REQUEST) || code == Some(&GSS_REQUEST)
}

/// The statement of a query, or of one that is prepared.
pub(super) fn statement(frame: &[u8]) -> Option<String> {
    let mut texts = frame.get(5..)?.split(|byte| *byte == 0);
    let text = match frame[0] {
        b'Q' => texts.next(),
        // After its name.
        b'P' => texts.nth(1),
        _ => None,
    };
    text.map(|text| String::from_utf8_lossy(text).into_owned())
}

/// Whether the server says after this message of a client that it is ready for the next: once for a query, a call of a function,
/// and a Sync.
pub(super) fn is_answered_by_ready(kind: u8) -> bool {
    matches!(kind, b'Q' | b'F' | b'S')
}

/// Whether this is ReadyForQuery.
pub(super) fn is_ready(frame: &[u8]) -> bool {
    frame[0] == b'Z'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_found_in_queries_and_where_they_are_prepared() {
        let text = |frame: &[u8]| statement(frame);
        assert_eq!(text(b"Q\0\0\0\x0bCOMMIT\0").as_deref(), Some("COMMIT"));
        assert_eq!(
            text(b"P\0\0\0\x0es_1\0BEGIN\0\0\0").as_deref(),
            Some("BEGIN")
        );
        assert_eq!(text(b"S\0\0\0\x04"), None);
        assert_eq!(text(b"P\0\0\0\x04"), None);
    }
}
