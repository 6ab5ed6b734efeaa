//! What passwords and tokens look like.

/// What every access token starts with, so that people and secret scanners recognise one.
pub const TOKEN_PREFIX: &str = "hrld_";
/// The shortest new password, in characters.
pub(super) const PASSWORD_CHARS: usize = 8;
/// The longest new password, in bytes.
pub(super) const PASSWORD_BYTES: usize = 1024;
/// Lengths of token names, in characters.
pub(super) const TOKEN_NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=64;
