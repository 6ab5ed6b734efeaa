//! Finds the rules that concern a query.

use crate::index::pattern::{Pattern, PatternLevel};
use crate::index::query::{Query, QueryLevel};
use crate::index::symbols::Symbol;

/// Rules by the levels of their templates.
///
/// The halves have no topic in common: a filter that starts with a wildcard or a placeholder
/// matches no topic that starts with `$` (MQTT 5 section 4.7.2,
/// [`expand`](crate::FilterTemplate::expand)). So within a half the first level is like any other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trie {
    ordinary: Node,
    system: Node,
}

/// The first of some rules by their numbers, or [`NONE`](Self::NONE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FirstRule(usize);

/// What follows some levels.
#[derive(Debug, Clone, Default)]
struct Node {
    /// What follows each level that is not a wildcard, sorted by symbol.
    children: Vec<(Symbol, Self)>,
    /// What follows a `+`.
    plus: Option<Box<Self>>,
    /// The first of the rules that continue with a `#`. They have the same filter, so the first is enough.
    hash: FirstRule,
    /// The first of the rules that end here.
    end: FirstRule,
    /// The first of all rules in and below this node.
    first: FirstRule,
}

impl FirstRule {
    /// No rule: greater than any.
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

impl Default for FirstRule {
    fn default() -> Self {
        Self::NONE
    }
}

impl Trie {
    /// A trie of these patterns and the numbers of their rules.
    pub(crate) fn new(mut rules: Vec<(&Pattern, usize)>) -> Self {
        // So that the children of each node are pushed in order.
        rules.sort_by(|(a, _), (b, _)| a.levels.cmp(&b.levels));
        let mut trie = Self::default();
        for (pattern, rule) in rules {
            let half = if pattern.system {
                &mut trie.system
            } else {
                &mut trie.ordinary
            };
            half.push(&pattern.levels, pattern.hash, FirstRule::of(rule));
        }
        trie
    }

    /// Adds to `found` the rules that cover all of the query, in no order. Some of them may have a
    /// template that cannot be expanded.
    pub(crate) fn find_covering(&self, query: &Query, found: &mut Vec<usize>) {
        let half = self.half(query);
        half.find_covering(&query.levels, query.hash, found);
    }

    /// Lowers `first` to the first rule that overlaps the query, or to another one whose template
    /// cannot be expanded.
    pub(crate) fn find_first_overlapping(&self, query: &Query, first: &mut FirstRule) {
        let half = self.half(query);
        half.find_first_overlapping(&query.levels, query.hash, first);
    }

    fn half(&self, query: &Query) -> &Node {
        if query.system {
            &self.system
        } else {
            &self.ordinary
        }
    }
}

impl Node {
    fn push(&mut self, levels: &[PatternLevel], hash: bool, rule: FirstRule) {
        self.first = self.first.min(rule);
        match levels {
            [] if hash => self.hash = self.hash.min(rule),
            [] => self.end = self.end.min(rule),
            [PatternLevel::Level(symbol), rest @ ..] => {
                if self.children.last().is_none_or(|(last, _)| last != symbol) {
                    self.children.push((*symbol, Self::default()));
                }
                if let Some((_, child)) = self.children.last_mut() {
                    child.push(rest, hash, rule);
                }
            }
            [PatternLevel::Plus, rest @ ..] => {
                let plus = self.plus.get_or_insert_default();
                plus.push(rest, hash, rule);
            }
        }
    }

    fn find_covering(&self, levels: &[QueryLevel], hash: bool, found: &mut Vec<usize>) {
        found.extend(self.hash.rule());
        let Some((level, rest)) = levels.split_first() else {
            // What does not go on with a `#` itself does not cover one.
            found.extend(self.end.rule().filter(|_| !hash));
            return;
        };
        if let Some(plus) = &self.plus {
            plus.find_covering(rest, hash, found);
        }
        if let QueryLevel::Level { literal, open } = level {
            for child in literal.iter().chain(open).filter_map(|s| self.child(*s)) {
                child.find_covering(rest, hash, found);
            }
        }
    }

    fn find_first_overlapping(&self, levels: &[QueryLevel], hash: bool, first: &mut FirstRule) {
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
            QueryLevel::Plus => {
                for (_, child) in &self.children {
                    child.find_first_overlapping(rest, hash, first);
                }
            }
            QueryLevel::Level { literal, open } => {
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
