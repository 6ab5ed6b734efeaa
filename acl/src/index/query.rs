//! A topic name or filter, as the index looks it up.

use crate::filter::TopicFilter;
use crate::index::level::Names;
use crate::index::symbols::{Symbol, Symbols};
use crate::topic::TopicName;

/// A topic name or a topic filter, in the symbols of the rules.
#[derive(Debug)]
pub(crate) struct Query {
    /// The levels without a `#`.
    pub(crate) levels: Vec<QueryLevel>,
    /// Whether a `#` follows.
    pub(crate) hash: bool,
    /// Whether it starts with `$`.
    pub(crate) system: bool,
}

/// A level of a [`Query`].
#[derive(Debug)]
pub(crate) enum QueryLevel {
    Level {
        /// The literal level of rules that equals it.
        literal: Option<Symbol>,
        /// The open levels of rules that equal it once they are filled in.
        open: Vec<Symbol>,
    },
    Plus,
}

impl Query {
    /// A query for one topic.
    pub(crate) fn topic(topic: &TopicName, names: &Names<'_>, symbols: &Symbols) -> Self {
        Self::new(topic.levels(), names, symbols)
    }

    /// A query for all topics of a filter.
    pub(crate) fn filter(filter: &TopicFilter, names: &Names<'_>, symbols: &Symbols) -> Self {
        Self::new(filter.pattern(), names, symbols)
    }

    fn new<'a>(texts: impl Iterator<Item = &'a str>, names: &Names<'_>, symbols: &Symbols) -> Self {
        let mut query = Self {
            levels: Vec::with_capacity(8),
            hash: false,
            system: false,
        };
        for text in texts {
            match text {
                "+" => query.levels.push(QueryLevel::Plus),
                "#" => query.hash = true,
                text => {
                    query.system |= query.levels.is_empty() && text.starts_with('$');
                    query.levels.push(QueryLevel::Level {
                        literal: symbols.literal(text),
                        open: symbols.open(text, names).collect(),
                    });
                }
            }
        }
        query
    }
}
