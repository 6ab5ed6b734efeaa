//! A template, compiled.

use crate::index::level::Level;
use crate::index::symbols::{Symbol, Symbols};
use crate::template::FilterTemplate;

/// The levels of a template. Of a filter that has several spellings it is the one whose `#` has
/// the most levels before it.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The levels but a `#`.
    pub(crate) steps: Vec<Step>,
    /// Whether a `#` follows.
    pub(crate) hash: bool,
    /// Whether the template is one of `$` topics.
    pub(crate) system: bool,
}

/// A level of a [`Pattern`].
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A literal or open level.
    Level(Symbol),
    Plus,
}

impl Pattern {
    /// Compiles a template; its levels are added to `symbols`.
    pub(crate) fn new(template: &FilterTemplate, symbols: &mut Symbols) -> Self {
        let mut steps = Vec::new();
        let mut hash = false;
        for level in template.pattern() {
            match Level::parse(level) {
                Level::Literal(text) => steps.push(Step::Level(symbols.insert_literal(text))),
                Level::Open(level) => steps.push(Step::Level(symbols.insert_open(&level))),
                Level::Plus => steps.push(Step::Plus),
                Level::Hash => hash = true,
            }
        }
        Self {
            steps,
            hash,
            system: template.as_str().starts_with('$'),
        }
    }
}
