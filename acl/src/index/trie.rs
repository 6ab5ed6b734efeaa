//! Finds the rules that a question concerns among many.

use crate::index::pattern::{Pattern, Step};
use crate::index::question::{Asked, Question};
use crate::index::symbols::Symbol;

/// Rules by the levels of their templates.
///
/// The halves have no topic in common: a filter that starts with a wildcard or a placeholder is
/// none of `$` topics (MQTT 5 section 4.7.2, [`expand`](crate::FilterTemplate::expand)). So in each
/// half the first level is nothing special.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trie {
    ordinary: Node,
    system: Node,
}

/// The first of some rules by their numbers, or [`NONE`](Self::NONE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct First(usize);

/// What follows some levels.
#[derive(Debug, Clone, Default)]
struct Node {
    /// What follows each level that is no wildcard, by symbol for binary search.
    children: Vec<(Symbol, Self)>,
    /// What follows a `+`.
    plus: Option<Box<Self>>,
    /// Of the rules that go on with a `#`. They are the same filter, so the others do not matter.
    hash: First,
    /// Of the rules that end here.
    end: First,
    /// Of all rules in and below this node.
    first: First,
}

impl First {
    /// No rule: behind all that there are.
    pub(crate) const NONE: Self = Self(usize::MAX);

    /// The rule of this number.
    pub(crate) fn of(rule: usize) -> Self {
        Self(rule)
    }

    /// The number of the rule, if there is one.
    pub(crate) fn rule(self) -> Option<usize> {
        (self != Self::NONE).then_some(self.0)
    }
}

impl Default for First {
    fn default() -> Self {
        Self::NONE
    }
}

impl Trie {
    /// A trie of these rules, which are known by their numbers.
    pub(crate) fn new(mut rules: Vec<(&Pattern, usize)>) -> Self {
        // So that each node gets its children in their order.
        rules.sort_by(|(a, _), (b, _)| a.steps.cmp(&b.steps));
        let mut trie = Self::default();
        for (pattern, rule) in rules {
            let half = if pattern.system {
                &mut trie.system
            } else {
                &mut trie.ordinary
            };
            half.push(&pattern.steps, pattern.hash, First::of(rule));
        }
        trie
    }

    /// Adds to `found` the rules that cover all that is asked for, in no order. Of some of them the
    /// template may be one that cannot be expanded.
    pub(crate) fn find_covering(&self, question: &Question, found: &mut Vec<usize>) {
        let half = self.half(question);
        half.find_covering(&question.levels, question.hash, found);
    }

    /// Lowers `first` to the first rule that overlaps what is asked for. It may be another one
    /// instead whose template cannot be expanded.
    pub(crate) fn find_first_overlapping(&self, question: &Question, first: &mut First) {
        let half = self.half(question);
        half.find_first_overlapping(&question.levels, question.hash, first);
    }

    fn half(&self, question: &Question) -> &Node {
        if question.system {
            &self.system
        } else {
            &self.ordinary
        }
    }
}

impl Node {
    fn push(&mut self, steps: &[Step], hash: bool, rule: First) {
        self.first = self.first.min(rule);
        match steps {
            [] if hash => self.hash = self.hash.min(rule),
            [] => self.end = self.end.min(rule),
            [Step::Level(symbol), rest @ ..] => {
                if self.children.last().is_none_or(|(last, _)| last != symbol) {
                    self.children.push((*symbol, Self::default()));
                }
                if let Some((_, child)) = self.children.last_mut() {
                    child.push(rest, hash, rule);
                }
            }
            [Step::Plus, rest @ ..] => {
                let plus = self.plus.get_or_insert_default();
                plus.push(rest, hash, rule);
            }
        }
    }

    fn find_covering(&self, levels: &[Asked], hash: bool, found: &mut Vec<usize>) {
        found.extend(self.hash.rule());
        let Some((level, rest)) = levels.split_first() else {
            // What does not go on with a `#` itself does not cover one.
            found.extend(self.end.rule().filter(|_| !hash));
            return;
        };
        if let Some(plus) = &self.plus {
            plus.find_covering(rest, hash, found);
        }
        if let Asked::Level { literal, open } = level {
            for child in literal.iter().chain(open).filter_map(|s| self.child(*s)) {
                child.find_covering(rest, hash, found);
            }
        }
    }

    fn find_first_overlapping(&self, levels: &[Asked], hash: bool, first: &mut First) {
        if self.first >= *first {
            return;
        }
        let Some((level, rest)) = levels.split_first() else {
            *first = if hash {
                self.first
            } else {
                self.hash.min(self.end).min(*first)
            };
            return;
        };
        *first = self.hash.min(*first);
        if let Some(plus) = &self.plus {
            plus.find_first_overlapping(rest, hash, first);
        }
        match level {
            Asked::Plus => {
                for (_, child) in &self.children {
                    child.find_first_overlapping(rest, hash, first);
                }
            }
            Asked::Level { literal, open } => {
                for child in literal.iter().chain(open).filter_map(|s| self.child(*s)) {
                    child.find_first_overlapping(rest, hash, first);
                }
            }
        }
    }

    fn child(&self, symbol: Symbol) -> Option<&Self> {
        let at = self.children.binary_search_by_key(&symbol, |(of, _)| *of);
        at.ok().map(|at| &self.children[at].1)
    }
}
