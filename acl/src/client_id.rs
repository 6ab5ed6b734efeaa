//! What an MQTT client calls itself.

/// The longest client id, in bytes. MQTT allows 65,535; it is kept with each session.
pub const CLIENT_ID_BYTES: usize = 256;

/// A client id is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id has at most {CLIENT_ID_BYTES} bytes")]
pub struct ClientIdTooLong;

/// Returns `text` if it may be a client id.
///
/// # Errors
///
/// [`ClientIdTooLong`]; whether it may be empty depends on who asks.
pub fn parse_client_id(text: &str) -> Result<&str, ClientIdTooLong> {
    if text.len() > CLIENT_ID_BYTES {
        return Err(ClientIdTooLong);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_counted_in_bytes() {
        let longest = "ü".repeat(CLIENT_ID_BYTES / 2);
        assert_eq!(parse_client_id(&longest), Ok(longest.as_str()));
        assert_eq!(parse_client_id(&(longest + "x")), Err(ClientIdTooLong));
    }
}
