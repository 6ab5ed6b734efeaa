//! The name of an account.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest user name, in characters (all of them ASCII, so also in bytes).
const MAX_LENGTH: usize = 64;

/// A valid user name: `[a-z0-9][a-z0-9._-]{0,63}`.
///
/// No character of it means anything in a topic, so it can stand as a level of one. A clone shares
/// the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Username(Arc<str>);

/// Why a text is not a [`Username`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UsernameError {
    /// The text has no characters.
    #[error("a user name cannot be empty")]
    Empty,
    /// The text has more than 64 bytes.
    #[error("a user name has at most {MAX_LENGTH} characters, not {bytes} bytes")]
    TooLong {
        /// The length of the text in bytes.
        bytes: usize,
    },
    /// The first character is one that may only stand further on.
    #[error("a user name starts with a lower-case letter or a digit, not {found:?}")]
    Start {
        /// The first character.
        found: char,
    },
    /// A character that no user name has.
    #[error(
        "a user name has only the characters a-z, 0-9, '.', '_' and '-', not {found:?} (byte {at})"
    )]
    Character {
        /// The character.
        found: char,
        /// Its offset in bytes.
        at: usize,
    },
}

impl Username {
    /// Checks `text` and keeps a copy of it.
    ///
    /// # Errors
    ///
    /// A [`UsernameError`] that says what is wrong with it. Nothing is corrected: upper case is an
    /// error.
    pub fn parse(text: &str) -> Result<Self, UsernameError> {
        let first = text.chars().next().ok_or(UsernameError::Empty)?;
        if text.len() > MAX_LENGTH {
            return Err(UsernameError::TooLong { bytes: text.len() });
        }
        if let Some((at, found)) = text.char_indices().find(|&(_, c)| !is_allowed(c)) {
            return Err(UsernameError::Character { found, at });
        }
        if !first.is_ascii_alphanumeric() {
            return Err(UsernameError::Start { found: first });
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = UsernameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl AsRef<str> for Username {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn is_allowed(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_letters_digits_dots_dashes_and_underscores_make_a_name() {
        for text in ["a", "0", "alice", "bob.b-b_b", "9lives", &"x".repeat(64)] {
            assert_eq!(Username::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        let cases = [
            ("", UsernameError::Empty),
            (&"x".repeat(65), UsernameError::TooLong { bytes: 65 }),
            (".hidden", UsernameError::Start { found: '.' }),
            ("-rf", UsernameError::Start { found: '-' }),
            ("Alice", UsernameError::Character { found: 'A', at: 0 }),
            ("al/ice", UsernameError::Character { found: '/', at: 2 }),
            ("a+", UsernameError::Character { found: '+', at: 1 }),
            ("a#", UsernameError::Character { found: '#', at: 1 }),
            ("a$", UsernameError::Character { found: '$', at: 1 }),
            ("a\0", UsernameError::Character { found: '\0', at: 1 }),
            ("a b", UsernameError::Character { found: ' ', at: 1 }),
            ("zoé", UsernameError::Character { found: 'é', at: 2 }),
        ];
        for (text, error) in cases {
            assert_eq!(Username::parse(text), Err(error), "{text:?}");
        }
    }
}
