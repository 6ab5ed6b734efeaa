//! Topic filters and how they relate to topic names and to each other (MQTT 5 section 4.7).

use std::fmt;
use std::sync::Arc;

use crate::topic::{TopicError, TopicName, check_characters, check_levels, find_wildcard};

/// What a shared subscription starts with (MQTT 5 section 4.8.2).
const SHARE_PREFIX: &str = "$share/";

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

    /// Whether the filter matches `topic` (MQTT 5 section 4.7): `#` stands for any number of
    /// levels, also none, `+` for one level, which may be empty, and a filter that starts with a
    /// wildcard does not match a topic name that starts with `$`.
    #[must_use]
    pub fn matches(&self, topic: &TopicName) -> bool {
        if topic.is_system() && self.inner().starts_with(['+', '#']) {
            return false;
        }
        let mut names = topic.levels();
        for level in self.levels() {
            match (level, names.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (literal, Some(name)) if literal == name => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    /// Whether this filter matches every topic name that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self.first_levels_exclude_each_other(other) {
            return false;
        }
        let mut theirs = other.pattern();
        for ours in self.pattern() {
            match (ours, theirs.next()) {
                ("#", _) => return true,
                // Theirs also matches the parent level, which is too short for ours.
                (_, Some("#") | None) => return false,
                ("+", Some(_)) => {}
                (literal, Some(level)) if literal == level => {}
                _ => return false,
            }
        }
        theirs.next().is_none()
    }

    /// Whether some topic name is matched by both filters.
    ///
    /// The length limit of topic names is not looked at: filters of tens of thousands of bytes are
    /// said to overlap even if what both match would be longer than a topic name can be.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        if self.first_levels_exclude_each_other(other) {
            return false;
        }
        let (mut ours, mut theirs) = (self.pattern(), other.pattern());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) | (Some("#"), _) | (_, Some("#")) => return true,
                (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
                (Some(a), Some(b)) if a == b => {}
                _ => return false,
            }
        }
    }

    /// The filter without the `$share/{name}/` of a shared subscription.
    fn inner(&self) -> &str {
        &self.text[self.start..]
    }

    /// The levels of an equivalent filter whose `#` matches the parent level in every case.
    ///
    /// There is no topic name of no level, or of one empty level, so `#` needs a level and `/#` two.
    pub(crate) fn pattern(&self) -> std::str::Split<'_, char> {
        let text = match self.inner() {
            "#" => "+/#",
            "/#" => "/+/#",
            text => text,
        };
        text.split('/')
    }

    /// Whether one filter matches only topic names that start with `$`, and the other starts with
    /// a wildcard and so matches none of them (MQTT 5 section 4.7.2).
    fn first_levels_exclude_each_other(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.inner(), other.inner());
        (ours.starts_with('$') && theirs.starts_with(['+', '#']))
            || (theirs.starts_with('$') && ours.starts_with(['+', '#']))
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

/// Where the inner filter of a shared subscription starts; 0 for another filter.
fn inner_start(text: &str) -> Result<usize, TopicError> {
    let Some(rest) = text.strip_prefix(SHARE_PREFIX) else {
        return Ok(0);
    };
    let (name, filter) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(TopicError::ShareNameEmpty);
    }
    if let Some((at, wildcard)) = find_wildcard(name) {
        let at = SHARE_PREFIX.len() + at;
        return Err(TopicError::ShareNameWildcard { wildcard, at });
    }
    if filter.is_empty() {
        return Err(TopicError::ShareWithoutFilter);
    }
    if filter.starts_with(SHARE_PREFIX) {
        return Err(TopicError::ShareNested);
    }
    Ok(text.len() - filter.len())
}

/// Checks the wildcards of the filter that starts at byte `start` of `text`.
fn check_wildcards(text: &str, start: usize) -> Result<(), TopicError> {
    let mut at = start;
    for level in text[start..].split('/') {
        let end = at + level.len();
        if let Some((offset, wildcard)) = find_wildcard(level) {
            if level.len() > 1 {
                return Err(TopicError::WildcardNotAlone {
                    wildcard,
                    at: at + offset,
                });
            }
            if wildcard == '#' && end < text.len() {
                return Err(TopicError::HashNotLast { at });
            }
        }
        at = end + 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TopicFilter {
        TopicFilter::parse(text).unwrap()
    }

    fn topic(text: &str) -> TopicName {
        TopicName::parse(text).unwrap()
    }

    #[test]
    fn filters_match_as_the_specification_says() {
        // MQTT 5 section 4.7: filter, topic name, whether it matches.
        let table = [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/score/wimbledon",
                true,
            ),
            ("sport/tennis/player1/#", "sport/tennis/player2", false),
            ("sport/#", "sport", true),
            ("sport/#", "sports", false),
            ("#", "sport/tennis", true),
            ("#", "/", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player2", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/tennis/#", "sport/tennis", true),
            ("+/tennis/#", "sport/tennis/player1", true),
            ("sport/+/player1", "sport/tennis/player1", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/monitor", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/monitor/Clients", true),
            ("$SYS/#", "$SYS", true),
            ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
            ("sport/#", "sport/$SYS", true),
            ("sport/+", "sport/$SYS", true),
            ("ACCOUNTS", "Accounts", false),
            ("Accounts payable", "Accounts payable", true),
            ("finance", "/finance", false),
            ("finance", "finance/", false),
            ("/#", "/", true),
            ("/#", "a", false),
        ];
        for (f, t, expected) in table {
            assert_eq!(filter(f).matches(&topic(t)), expected, "{f} matches {t}");
        }
    }

    #[test]
    fn a_filter_covers_what_it_matches_all_of() {
        let table = [
            ("#", "a/b", true),
            ("#", "+/+/#", true),
            ("#", "$SYS/#", false),
            ("+/#", "$SYS/a", false),
            ("+", "$SYS", false),
            ("$SYS/#", "$SYS/a/+", true),
            ("$SYS/#", "#", false),
            ("$SYS/#", "+/a", false),
            ("a/#", "a", true),
            ("a/#", "a/#", true),
            ("a/#", "a/+/#", true),
            ("a/+/#", "a/#", false),
            ("a/+", "a/#", false),
            ("a/+", "a/", true),
            ("a", "a/#", false),
            ("a/b", "a/+", false),
            ("+/b", "a/b", true),
            ("a/+", "a/$b", true),
            ("a", "a/b", false),
            ("a/b", "a", false),
            // The only topics without a parent level that could be matched.
            ("+/#", "#", true),
            ("/+/#", "/#", true),
            ("+/+/#", "/#", true),
            ("+/+/#", "+/#", false),
        ];
        for (f, g, expected) in table {
            assert_eq!(filter(f).covers(&filter(g)), expected, "{f} covers {g}");
        }
    }

    #[test]
    fn filters_overlap_if_both_match_a_topic() {
        let table = [
            ("a/+", "+/b", true),
            ("a/#", "a", true),
            ("a/#", "+", true),
            ("a/#", "+/b/c", true),
            ("a/#", "b/#", false),
            ("a/+", "a", false),
            ("a/+/c", "a/b/+", true),
            ("a/+/c", "a/b/d", false),
            ("#", "$SYS/#", false),
            ("+/a", "$SYS/a", false),
            ("+/a", "$SYS/#", false),
            ("$SYS/+", "$SYS/#", true),
            ("$SYS/#", "$other/#", false),
            ("a/+", "a/$b", true),
            ("a/#", "a/$b", true),
            // What both could match is the empty topic, which is none.
            ("/#", "+", false),
            ("/#", "+/#", true),
            ("/#", "#", true),
        ];
        for (f, g, expected) in table {
            assert_eq!(filter(f).overlaps(&filter(g)), expected, "{f} overlaps {g}");
            assert_eq!(filter(g).overlaps(&filter(f)), expected, "{g} overlaps {f}");
        }
    }

    #[test]
    fn a_shared_subscription_is_compared_by_its_inner_filter() {
        let shared = filter("$share/consumer1/sport/tennis/+");
        assert!(shared.is_shared());
        assert_eq!(shared.share_name(), Some("consumer1"));
        assert_eq!(shared.shared_filter(), Some(filter("sport/tennis/+")));
        assert_eq!(shared.as_str(), "$share/consumer1/sport/tennis/+");
        assert_eq!(
            shared.levels().collect::<Vec<_>>(),
            ["sport", "tennis", "+"]
        );
        assert!(!shared.is_literal());
        assert!(shared.matches(&topic("sport/tennis/player1")));
        assert!(!shared.matches(&topic("$share/consumer1/sport/tennis/player1")));
        assert!(filter("sport/#").covers(&shared));
        assert!(shared.covers(&filter("sport/tennis/player1")));
        assert!(shared.overlaps(&filter("#")));
        assert!(!filter("$share/g/#").matches(&topic("$SYS/a")));

        let leading_slash = filter("$share/consumer1//finance");
        assert_eq!(leading_slash.shared_filter(), Some(filter("/finance")));
        assert!(leading_slash.is_literal());
    }

    #[test]
    fn only_a_filter_that_starts_with_share_and_a_slash_is_shared() {
        for text in ["$share", "$shared/g/a", "a/$share/g/b", "$SHARE/g/a"] {
            assert!(!filter(text).is_shared(), "{text}");
            assert_eq!(filter(text).share_name(), None);
            assert_eq!(filter(text).shared_filter(), None);
        }
    }

    #[test]
    fn what_is_wrong_with_a_filter_is_said() {
        let not_alone = |wildcard, at| TopicError::WildcardNotAlone { wildcard, at };
        let name_wildcard = |wildcard, at| TopicError::ShareNameWildcard { wildcard, at };
        let cases = [
            ("", TopicError::Empty),
            ("a\0", TopicError::Nul { at: 1 }),
            ("sport+", not_alone('+', 5)),
            ("sport/tennis#", not_alone('#', 12)),
            ("a/++", not_alone('+', 2)),
            ("##", not_alone('#', 0)),
            ("sport/tennis/#/ranking", TopicError::HashNotLast { at: 13 }),
            ("#/", TopicError::HashNotLast { at: 0 }),
            ("$share/", TopicError::ShareNameEmpty),
            ("$share//a", TopicError::ShareNameEmpty),
            ("$share/g", TopicError::ShareWithoutFilter),
            ("$share/g/", TopicError::ShareWithoutFilter),
            ("$share/g+/a", name_wildcard('+', 8)),
            ("$share/#", name_wildcard('#', 7)),
            ("$share/g/a/b#", not_alone('#', 12)),
            ("$share/g/#/a", TopicError::HashNotLast { at: 9 }),
            ("$share/g/$share/h/a", TopicError::ShareNested),
        ];
        for (text, error) in cases {
            assert_eq!(TopicFilter::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn a_filter_has_at_most_65535_bytes_and_128_levels() {
        assert!(TopicFilter::parse("x".repeat(65_535)).is_ok());
        let bytes = 65_536;
        assert_eq!(
            TopicFilter::parse("x".repeat(bytes)),
            Err(TopicError::TooLong { bytes })
        );

        let deepest = format!("{}#", "+/".repeat(127));
        assert!(TopicFilter::parse(&deepest).is_ok());
        assert!(TopicFilter::parse(format!("$share/g/{deepest}")).is_ok());
        let levels = 129;
        let error = TopicError::TooManyLevels { levels };
        assert_eq!(TopicFilter::parse(format!("+/{deepest}")), Err(error));
        assert_eq!(
            TopicFilter::parse(format!("$share/g/+/{deepest}")),
            Err(error)
        );
    }
}
