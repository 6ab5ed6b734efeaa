//! Topic filters with placeholders for the user name and the client id.

use std::fmt;

use crate::filter::TopicFilter;
use crate::principal::Principal;
use crate::topic::{TopicError, find_wildcard};

/// A topic filter in which `%u` stands for the user name and `%c` for the client id, as a level or
/// as part of one; `%%` is a percent sign.
///
/// A level has at most one of them, so that no two users or clients fill it to the same text, and
/// a first level that starts with `$` has none. A clone shares the text.
///
/// `$share/{group}/{filter}` is about shared subscriptions in that group only: see
/// [`Policy::subscribe`](crate::Policy::subscribe). It has neither `%u` nor `%c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterTemplate(
    // `%u` and `%c` are ordinary characters to a filter, so a valid template is a valid filter.
    TopicFilter,
);

/// Why a text is not a [`FilterTemplate`]. `at` is an offset in bytes from the start of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The text is not a topic filter.
    #[error(transparent)]
    Filter(#[from] TopicError),
    /// A `%` before something other than `u`, `c` or `%`.
    #[error("only %u, %c and %% may follow a percent sign (byte {at})")]
    Unknown {
        /// Where the `%` is.
        at: usize,
    },
    /// A second `%u` or `%c` in one level.
    #[error("a level can hold only one of %u and %c (byte {at})")]
    SecondInLevel {
        /// Where the second one is.
        at: usize,
    },
    /// A `%u` or `%c` in a first level that starts with `$`.
    #[error("a first level that starts with '$' cannot hold %u or %c (byte {at})")]
    InSystemLevel {
        /// Where it is.
        at: usize,
    },
    /// A `%u` or `%c` in a `$share/...` filter.
    #[error("a rule about a group ($share/<group>/...) cannot hold %u or %c (byte {at})")]
    InGroup {
        /// Where it is.
        at: usize,
    },
}

impl FilterTemplate {
    /// Checks `text` and keeps a copy of it.
    ///
    /// # Errors
    ///
    /// A [`TemplateError`] that says what is wrong with it, and where.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, TemplateError> {
        let filter = TopicFilter::parse(text)?;
        check_placeholders(filter.as_str(), filter.is_shared())?;
        Ok(Self(filter))
    }

    /// Whether it is about shared subscriptions only.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.is_shared()
    }

    /// The template as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The filter, if it is about shared subscriptions only.
    pub(crate) fn of_group(&self) -> Option<TopicFilter> {
        // It has no placeholders, only percent signs.
        let text = self.as_str().replace("%%", "%");
        TopicFilter::parse(text).ok().filter(TopicFilter::is_shared)
    }

    /// The levels as text: see [`TopicFilter::pattern`].
    pub(crate) fn pattern(&self) -> std::str::Split<'_, char> {
        self.0.pattern()
    }

    /// Whether it has a `%u`.
    pub(crate) fn names_user(&self) -> bool {
        self.as_str().replace("%%", "").contains("%u")
    }

    /// The filter for one client: `%u` and `%c` are filled in.
    ///
    /// `None` if the template holds `%c` and the client id cannot stand in a level: it is empty,
    /// holds `/`, `+`, `#` or NUL, or would make the filter start with `$`. So no client id changes
    /// the levels and wildcards of the filter. Also `None` if the filter would be too long.
    #[must_use]
    pub fn expand(&self, principal: &Principal<'_>) -> Option<TopicFilter> {
        let template = self.as_str();
        if !template.contains('%') {
            return Some(self.0.clone());
        }
        let mut text = String::with_capacity(template.len() + principal.username.as_str().len());
        let mut characters = template.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            match characters.next() {
                Some('u') => text.push_str(principal.username.as_str()),
                Some('c') if is_level(principal.client_id) => text.push_str(principal.client_id),
                Some('c') => return None,
                // A template has nothing else but `%%`.
                _ => text.push('%'),
            }
        }
        if text.starts_with('$') && !template.starts_with('$') {
            return None;
        }
        TopicFilter::parse(text).ok()
    }
}

impl fmt::Display for FilterTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a client id can stand in a level and stay inside it.
pub(crate) fn is_level(client_id: &str) -> bool {
    !client_id.is_empty() && !client_id.contains(['/', '\0']) && find_wildcard(client_id).is_none()
}

/// Checks what follows each `%` of the template.
fn check_placeholders(text: &str, shared: bool) -> Result<(), TemplateError> {
    let mut level_is_fixed = text.starts_with('$');
    let mut level_has_one = false;
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '/' => (level_is_fixed, level_has_one) = (false, false),
            '%' => match characters.next() {
                Some((_, 'u' | 'c')) if shared => {
                    return Err(TemplateError::InGroup { at });
                }
                Some((_, 'u' | 'c')) if level_is_fixed => {
                    return Err(TemplateError::InSystemLevel { at });
                }
                Some((_, 'u' | 'c')) if level_has_one => {
                    return Err(TemplateError::SecondInLevel { at });
                }
                Some((_, 'u' | 'c')) => level_has_one = true,
                Some((_, '%')) => {}
                _ => return Err(TemplateError::Unknown { at }),
            },
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;
    use crate::username::Username;

    fn expand(template: &str, username: &str, client_id: &str) -> Option<String> {
        let username = Username::parse(username).unwrap();
        let principal = Principal {
            username: &username,
            role: Role::User,
            client_id,
        };
        let filter = FilterTemplate::parse(template).unwrap().expand(&principal);
        filter.map(|filter| filter.to_string())
    }

    #[test]
    fn the_user_name_and_the_client_id_are_filled_in() {
        let table = [
            ("users/%u/#", "users/bob/#"),
            ("%u", "bob"),
            ("+/%c/x-%u-y/%%u", "+/phone 1/x-bob-y/%u"),
            ("%c/%c", "phone 1/phone 1"),
            ("$SYS/%u", "$SYS/bob"),
            ("#", "#"),
            ("100%%", "100%"),
        ];
        for (template, filter) in table {
            assert_eq!(
                expand(template, "bob", "phone 1").as_deref(),
                Some(filter),
                "{template}"
            );
        }
    }

    #[test]
    fn a_client_id_that_is_not_a_plain_level_fills_no_template() {
        for client_id in ["", "+", "#", "a/b", "/", "a+", "a#b", "a\0b"] {
            for template in ["devices/%c", "devices/x%c/#", "%c/%u"] {
                assert_eq!(
                    expand(template, "bob", client_id),
                    None,
                    "{template} {client_id:?}"
                );
            }
            assert_eq!(
                expand("users/%u", "bob", client_id).as_deref(),
                Some("users/bob")
            );
        }
    }

    #[test]
    fn a_client_id_makes_no_filter_one_of_system_topics_or_a_shared_one() {
        assert_eq!(expand("%c/#", "bob", "$SYS"), None);
        assert_eq!(expand("%c/g/#", "bob", "$share"), None);
        assert_eq!(expand("x/%c/#", "bob", "$SYS").as_deref(), Some("x/$SYS/#"));
        assert_eq!(expand("x%c/#", "bob", "$SYS").as_deref(), Some("x$SYS/#"));
    }

    #[test]
    fn a_client_id_that_makes_the_filter_too_long_fills_no_template() {
        assert!(expand("%c/%c", "bob", &"x".repeat(32_767)).is_some());
        assert_eq!(expand("%c/%c", "bob", &"x".repeat(32_768)), None);
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said() {
        let cases = [
            ("", TemplateError::Filter(TopicError::Empty)),
            (
                "a/+%u",
                TemplateError::Filter(TopicError::WildcardNotAlone {
                    wildcard: '+',
                    at: 2,
                }),
            ),
            (
                "a/%c#",
                TemplateError::Filter(TopicError::WildcardNotAlone {
                    wildcard: '#',
                    at: 4,
                }),
            ),
            ("$share/g/%u/#", TemplateError::InGroup { at: 9 }),
            ("$share/%c/a", TemplateError::InGroup { at: 7 }),
            (
                "$share/g",
                TemplateError::Filter(TopicError::ShareWithoutFilter),
            ),
            ("a/%U", TemplateError::Unknown { at: 2 }),
            ("a/%", TemplateError::Unknown { at: 2 }),
            ("a%/u", TemplateError::Unknown { at: 1 }),
            ("%%%", TemplateError::Unknown { at: 2 }),
            ("%u/%u-%c", TemplateError::SecondInLevel { at: 6 }),
            ("$%u/a/#", TemplateError::InSystemLevel { at: 1 }),
        ];
        for (text, error) in cases {
            assert_eq!(FilterTemplate::parse(text), Err(error), "{text:?}");
        }
    }
}
