//! Topic names, and what topic names and filters have in common (MQTT 5 section 4.7).

use std::fmt;
use std::sync::Arc;

/// The longest topic name or filter, in bytes (MQTT 5 section 4.7.3).
pub const TOPIC_BYTES: usize = 65_535;

/// The most levels of a topic name or filter. MQTT has no such limit, but tries have a node for each
/// level.
pub(crate) const MAX_LEVELS: usize = 128;

/// A valid topic name: 1 to 65,535 bytes of UTF-8 in at most 128 levels, without NUL, `+` and `#`
/// (MQTT 5 sections 4.7.1 and 4.7.3). A clone shares the text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// Why a text is not a topic name or a topic filter. `at` is an offset in bytes from the start of
/// the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// The text has no characters (MQTT 5 section 4.7.3).
    #[error("a topic cannot be empty")]
    Empty,
    /// The text has more bytes than MQTT can carry (MQTT 5 section 4.7.3).
    #[error("a topic has at most {TOPIC_BYTES} bytes, not {bytes}")]
    TooLong {
        /// The length of the text in bytes.
        bytes: usize,
    },
    /// The text has more levels than this server takes.
    #[error("a topic has at most {MAX_LEVELS} levels, not {levels}")]
    TooManyLevels {
        /// The number of levels of the text.
        levels: usize,
    },
    /// A NUL character (MQTT 5 section 4.7.3).
    #[error("a topic cannot hold a NUL character (byte {at})")]
    Nul {
        /// Where the character is.
        at: usize,
    },
    /// A wildcard in a topic name (MQTT 5 section 4.7.1).
    #[error("a topic name cannot hold the wildcard {wildcard:?} (byte {at})")]
    WildcardInName {
        /// `+` or `#`.
        wildcard: char,
        /// Where the wildcard is.
        at: usize,
    },
    /// A wildcard that shares its level with other characters (MQTT 5 section 4.7.1).
    #[error("the wildcard {wildcard:?} must be alone in its level (byte {at})")]
    WildcardNotAlone {
        /// `+` or `#`.
        wildcard: char,
        /// Where the wildcard is.
        at: usize,
    },
    /// A `#` before the last level (MQTT 5 section 4.7.1.2).
    #[error("the wildcard '#' must be the last level (byte {at})")]
    HashNotLast {
        /// Where the wildcard is.
        at: usize,
    },
    /// `$share//...`: no share name (MQTT 5 section 4.8.2).
    #[error("a shared subscription needs a share name: $share/<name>/<filter>")]
    ShareNameEmpty,
    /// A share name with a wildcard (MQTT 5 section 4.8.2).
    #[error("a share name cannot hold the wildcard {wildcard:?} (byte {at})")]
    ShareNameWildcard {
        /// `+` or `#`.
        wildcard: char,
        /// Where the wildcard is.
        at: usize,
    },
    /// `$share/name` or `$share/name/`: nothing is shared (MQTT 5 section 4.8.2).
    #[error("a shared subscription needs a topic filter: $share/<name>/<filter>")]
    ShareWithoutFilter,
    /// `$share/a/$share/b/...`: a shared subscription of a shared subscription.
    #[error("a shared subscription cannot hold another one")]
    ShareNested,
}

impl TopicName {
    /// Checks `text` and keeps a copy of it.
    ///
    /// # Errors
    ///
    /// A [`TopicError`] that says what is wrong with it, and where.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, TopicError> {
        let text = text.as_ref();
        check_characters(text)?;
        check_levels(text)?;
        match find_wildcard(text) {
            Some((at, wildcard)) => Err(TopicError::WildcardInName { wildcard, at }),
            None => Ok(Self(text.into())),
        }
    }

    /// The topic name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, at least one. A level may be empty, but not the only one.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether the name starts with `$`, so that no filter that starts with a wildcard matches it
    /// (MQTT 5 section 4.7.2).
    pub(crate) fn is_system(&self) -> bool {
        self.0.starts_with('$')
    }
}

impl AsRef<str> for TopicName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Checks what holds for names and filters alike, apart from the number of levels.
pub(crate) fn check_characters(text: &str) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > TOPIC_BYTES {
        return Err(TopicError::TooLong { bytes: text.len() });
    }
    match text.find('\0') {
        Some(at) => Err(TopicError::Nul { at }),
        None => Ok(()),
    }
}

/// Checks the number of levels.
pub(crate) fn check_levels(text: &str) -> Result<(), TopicError> {
    match text.split('/').count() {
        ..=MAX_LEVELS => Ok(()),
        levels => Err(TopicError::TooManyLevels { levels }),
    }
}

/// The first wildcard of `text` and its offset in bytes.
pub(crate) fn find_wildcard(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|&(_, c)| matches!(c, '+' | '#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_specification_are_valid() {
        // MQTT 5 section 4.7.
        let names = [
            "sport/tennis/player1",
            "sport",
            "sport/",
            "/finance",
            "/",
            "$SYS/monitor/Clients",
            "ACCOUNTS",
            "Accounts payable",
        ];
        for name in names {
            assert_eq!(TopicName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn levels_may_be_empty() {
        let levels = |text: &str| -> Vec<String> {
            TopicName::parse(text)
                .unwrap()
                .levels()
                .map(Into::into)
                .collect()
        };
        assert_eq!(levels("a"), ["a"]);
        assert_eq!(levels("/"), ["", ""]);
        assert_eq!(levels("/a//b/"), ["", "a", "", "b", ""]);
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        let wildcard = |wildcard, at| TopicError::WildcardInName { wildcard, at };
        let cases = [
            ("", TopicError::Empty),
            ("a\0b", TopicError::Nul { at: 1 }),
            ("a/+", wildcard('+', 2)),
            ("a/#", wildcard('#', 2)),
            ("é+#", wildcard('+', 2)),
        ];
        for (text, error) in cases {
            assert_eq!(TopicName::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_name_has_at_most_65535_bytes_and_128_levels() {
        assert!(TopicName::parse("x".repeat(65_535)).is_ok());
        let bytes = 65_536;
        assert_eq!(
            TopicName::parse("x".repeat(bytes)),
            Err(TopicError::TooLong { bytes })
        );

        assert!(TopicName::parse("/".repeat(127)).is_ok());
        let levels = 129;
        assert_eq!(
            TopicName::parse("/".repeat(128)),
            Err(TopicError::TooManyLevels { levels })
        );
    }
}
