//! Topic filters (MQTT 5 section 4.7).

mod compare;
mod parse;

use std::fmt;
use std::sync::Arc;

use parse::{SHARE_PREFIX, check_wildcards, inner_start};

use crate::topic::{TopicError, check_characters, check_levels, find_wildcard};

/// A valid topic filter: 1 to 65,535 bytes of UTF-8 in at most 128 levels, without NUL, where `+`
/// and `#` stand alone in their level and `#` only in the last (MQTT 5 section 4.7.1). A clone
/// shares the text.
///
/// It may also be a shared subscription, `$share/{name}/{filter}` (MQTT 5 section 4.8.2). All but
/// [`as_str`](Self::as_str), [`is_shared`](Self::is_shared) and [`share_name`](Self::share_name)
/// then speak of the inner filter, which is not a shared one itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter {
    text: Arc<str>,
    /// Where the inner filter starts; 0 if the subscription is not shared.
    start: usize,
}

impl TopicFilter {
    /// Checks `text` and keeps a copy of it.
    ///
    /// # Errors
    ///
    /// A [`TopicError`] that says what is wrong with it, and where.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, TopicError> {
        let text = text.as_ref();
        check_characters(text)?;
        let start = inner_start(text)?;
        check_levels(&text[start..])?;
        check_wildcards(text, start)?;
        Ok(Self {
            text: text.into(),
            start,
        })
    }

    /// The whole filter as text, with the `$share/{name}/` of a shared subscription.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The levels, at least one.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.inner().split('/')
    }

    /// Whether the filter has no wildcard and so matches one topic name only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        find_wildcard(self.inner()).is_none()
    }

    /// Whether this is a shared subscription.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.start != 0
    }

    /// The `{name}` of `$share/{name}/{filter}`; `None` if the subscription is not shared.
    #[must_use]
    pub fn share_name(&self) -> Option<&str> {
        self.is_shared()
            .then(|| &self.text[SHARE_PREFIX.len()..self.start - 1])
    }

    /// The `{filter}` of `$share/{name}/{filter}`; `None` if the subscription is not shared.
    #[must_use]
    pub fn shared_filter(&self) -> Option<Self> {
        self.is_shared().then(|| Self {
            text: self.inner().into(),
            start: 0,
        })
    }

    /// The filter without the `$share/{name}/` of a shared subscription.
    fn inner(&self) -> &str {
        &self.text[self.start..]
    }
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    #[test]
    fn only_a_filter_that_starts_with_share_and_a_slash_is_shared() {
        for text in ["$share", "$shared/g/a", "a/$share/g/b", "$SHARE/g/a"] {
            assert!(!filter(text).is_shared(), "{text}");
            assert_eq!(filter(text).share_name(), None);
            assert_eq!(filter(text).shared_filter(), None);
        }
    }
}
