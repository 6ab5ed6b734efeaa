//! A template, with symbols for its levels.

use crate::index::level::Level;
use crate::index::symbols::{Symbol, Symbols};
use crate::template::FilterTemplate;

/// The levels of a template. If several spellings mean the same filter, it is the one with the most
/// levels before its `#`.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The levels without a `#`.
    pub(crate) levels: Vec<PatternLevel>,
    /// Whether a `#` follows.
    pub(crate) hash: bool,
    /// Whether it starts with `$`.
    pub(crate) system: bool,
}

/// A level of a [`Pattern`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PatternLevel {
    /// A literal or open level.
    Level(Symbol),
    Plus,
}

impl Pattern {
    /// Compiles a template; its levels are added to `symbols`.
    pub(crate) fn new(template: &FilterTemplate, symbols: &mut Symbols) -> Self {
        let mut levels = Vec::new();
        let mut hash = false;
        for level in template.pattern() {
            match Level::parse(level) {
                Level::Literal(text) => {
                    levels.push(PatternLevel::Level(symbols.insert_literal(text)))
                }
                Level::Open(level) => levels.push(PatternLevel::Level(symbols.insert_open(&level))),
                Level::Plus => levels.push(PatternLevel::Plus),
                Level::Hash => hash = true,
            }
        }
        Self {
            levels,
            hash,
            system: template.as_str().starts_with('$'),
        }
    }
}
