//! What a text needs to be a topic filter.

use crate::topic::{TopicError, find_wildcard};

/// What a shared subscription starts with (MQTT 5 section 4.8.2).
pub(super) const SHARE_PREFIX: &str = "$share/";

/// Where the inner filter of a shared subscription starts; 0 for another filter.
pub(super) fn inner_start(text: &str) -> Result<usize, TopicError> {
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
pub(super) fn check_wildcards(text: &str, start: usize) -> Result<(), TopicError> {
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
    use crate::filter::TopicFilter;

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
