//! What a client asks for, as the index looks it up.

use crate::filter::TopicFilter;
use crate::index::level::Names;
use crate::index::symbols::{Symbol, Symbols};
use crate::topic::TopicName;

/// A topic name or a topic filter, in the symbols of the rules.
#[derive(Debug)]
pub(crate) struct Question {
    /// The levels but a `#`.
    pub(crate) levels: Vec<Asked>,
    /// Whether a `#` follows.
    pub(crate) hash: bool,
    /// Whether it starts with `$`.
    pub(crate) system: bool,
}

/// A level of a [`Question`].
#[derive(Debug)]
pub(crate) enum Asked {
    Level {
        /// The literal level of rules that it is.
        literal: Option<Symbol>,
        /// The open levels of rules that it is when they are filled in for the client that asks.
        open: Vec<Symbol>,
    },
    Plus,
}

impl Question {
    /// Asks for the one topic of this name.
    pub(crate) fn topic(topic: &TopicName, names: &Names<'_>, symbols: &Symbols) -> Self {
        Self::new(topic.levels(), names, symbols)
    }

    /// Asks for all topics of this filter.
    pub(crate) fn filter(filter: &TopicFilter, names: &Names<'_>, symbols: &Symbols) -> Self {
        Self::new(filter.pattern(), names, symbols)
    }

    fn new<'a>(texts: impl Iterator<Item = &'a str>, names: &Names<'_>, symbols: &Symbols) -> Self {
        let mut question = Self {
            levels: Vec::with_capacity(8),
            hash: false,
            system: false,
        };
        for text in texts {
            match text {
                "+" => question.levels.push(Asked::Plus),
                "#" => question.hash = true,
                text => {
                    question.system |= question.levels.is_empty() && text.starts_with('$');
                    question.levels.push(Asked::Level {
                        literal: symbols.literal(text),
                        open: symbols.open(text, names).collect(),
                    });
                }
            }
        }
        question
    }
}
