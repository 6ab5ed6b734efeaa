//! One level of a template, parsed.

use crate::principal::Principal;
use crate::template::is_level;

/// What a level of a template stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// This text.
    Literal(String),
    /// A text with a placeholder.
    Open(OpenLevel),
    /// `+`, any text.
    Plus,
    /// `#`, any number of levels.
    Hash,
}

/// A level with a placeholder, and the texts around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpenLevel {
    pub(crate) before: String,
    pub(crate) placeholder: Placeholder,
    pub(crate) after: String,
}

/// What is filled into a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Placeholder {
    /// `%u`, the user name.
    User,
    /// `%c`, the client id.
    Client,
}

/// What the placeholders stand for in a decision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) user: &'a str,
    /// `None` if the client id cannot stand in a level, so that no `%c` can be filled in.
    pub(crate) client: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// The names of `principal`.
    pub(crate) fn of(principal: &Principal<'a>) -> Self {
        Self {
            user: principal.username.as_str(),
            client: Some(principal.client_id).filter(|id| is_level(id)),
        }
    }

    /// The name that a placeholder stands for.
    pub(crate) fn get(&self, placeholder: Placeholder) -> Option<&'a str> {
        match placeholder {
            Placeholder::User => Some(self.user),
            Placeholder::Client => self.client,
        }
    }
}

impl Level {
    /// Parses a level of a valid template: it has one placeholder at most, and percent signs only in
    /// `%u`, `%c` and `%%`.
    pub(crate) fn parse(text: &str) -> Self {
        match (text, find_placeholder(text)) {
            ("+", _) => Self::Plus,
            ("#", _) => Self::Hash,
            (text, None) => Self::Literal(unescape(text)),
            (text, Some((at, placeholder))) => Self::Open(OpenLevel {
                before: unescape(&text[..at]),
                placeholder,
                after: unescape(&text[at + 2..]),
            }),
        }
    }
}

/// The placeholder of a level and where its two bytes start.
fn find_placeholder(level: &str) -> Option<(usize, Placeholder)> {
    let mut bytes = level.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte == b'%' {
            match bytes.next() {
                Some((_, b'u')) => return Some((at, Placeholder::User)),
                Some((_, b'c')) => return Some((at, Placeholder::Client)),
                _ => {}
            }
        }
    }
    None
}

fn unescape(text: &str) -> String {
    text.replace("%%", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(before: &str, placeholder: Placeholder, after: &str) -> Level {
        Level::Open(OpenLevel {
            before: before.into(),
            placeholder,
            after: after.into(),
        })
    }

    #[test]
    fn a_level_is_a_wildcard_a_literal_or_open() {
        let literal = |text: &str| Level::Literal(text.into());
        let table = [
            ("+", Level::Plus),
            ("#", Level::Hash),
            ("", literal("")),
            ("room", literal("room")),
            ("100%%", literal("100%")),
            ("%%u%%%%c", literal("%u%%c")),
            ("%u", open("", Placeholder::User, "")),
            ("é%%%c-%%u", open("é%", Placeholder::Client, "-%u")),
        ];
        for (text, level) in table {
            assert_eq!(Level::parse(text), level, "{text:?}");
        }
    }
}
