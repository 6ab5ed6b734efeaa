//! What a message may hold, however it is sent.

/// The longest idempotency key, in characters.
const MAX_IDEMPOTENCY_KEY: usize = 255;

/// Why a message cannot be accepted as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// There is nothing to process.
    #[error("the body is empty")]
    Empty,
    /// Not every database can hold it.
    #[error("the body contains a NUL character")]
    Nul,
    /// The body is longer than allowed.
    #[error("the body has {bytes} bytes; at most {limit} are allowed")]
    TooLong {
        /// Its length in bytes of UTF-8.
        bytes: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The idempotency key is no token of visible ASCII characters.
    #[error("an idempotency key has 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters")]
    IdempotencyKey,
}

/// Checks the body of a message, which may have up to `limit` bytes of UTF-8.
///
/// # Errors
///
/// A [`BodyError`] that says what is wrong with it.
pub fn check_body(body: &str, limit: usize) -> Result<(), BodyError> {
    if body.is_empty() {
        return Err(BodyError::Empty);
    }
    if body.len() > limit {
        return Err(BodyError::TooLong {
            bytes: body.len(),
            limit,
        });
    }
    if body.contains('\0') {
        return Err(BodyError::Nul);
    }
    Ok(())
}

/// Checks an idempotency key.
///
/// # Errors
///
/// [`BodyError::IdempotencyKey`].
pub fn check_idempotency_key(key: &str) -> Result<(), BodyError> {
    let length = (1..=MAX_IDEMPOTENCY_KEY).contains(&key.len());
    if length && key.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(BodyError::IdempotencyKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_a_byte_at_least_and_its_limit_at_most() {
        assert_eq!(check_body("", 4), Err(BodyError::Empty));
        assert_eq!(check_body("üü", 4), Ok(()));
        assert_eq!(
            check_body("üüx", 4),
            Err(BodyError::TooLong { bytes: 5, limit: 4 })
        );
        assert_eq!(check_body("a\0b", 4), Err(BodyError::Nul));
    }

    #[test]
    fn a_key_is_a_short_token() {
        assert_eq!(check_idempotency_key("order-17"), Ok(()));
        for key in ["", "a b", "ü", "\n"] {
            assert_eq!(check_idempotency_key(key), Err(BodyError::IdempotencyKey));
        }
        assert!(check_idempotency_key(&"x".repeat(256)).is_err());
    }
}
