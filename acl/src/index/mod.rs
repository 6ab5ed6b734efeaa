//! The rules of a policy, so that a decision looks only at the few that concern it.
//!
//! Rules are kept apart by action, subject and effect, and then by the levels of their templates.
//! No template is expanded: each level of the query is looked up once, also as the levels with a
//! placeholder that it could come from. The number of a rule is its position in the policy.

mod expansion;
mod level;
mod pattern;
mod query;
mod shape;
mod symbols;
mod trie;

use std::collections::HashMap;

use crate::filter::TopicFilter;
use crate::index::expansion::Expansion;
use crate::index::level::Names;
use crate::index::pattern::Pattern;
use crate::index::query::Query;
use crate::index::shape::Shape;
use crate::index::symbols::Symbols;
use crate::index::trie::{FirstRule, Trie};
use crate::principal::Principal;
use crate::rule::{Action, Effect, Rule, Subject};
use crate::topic::TopicName;

/// What the rules decide, and the number of the rule that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed(usize),
    Denied(usize),
    /// No rule is about it.
    Unmentioned,
}

/// All rules of a policy.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    symbols: Symbols,
    /// By the number of the rule.
    facts: Vec<RuleFacts>,
    publish: HashMap<Subject, SubjectRules>,
    subscribe: HashMap<Subject, SubjectRules>,
}

/// What a decision needs of a rule that it has found.
#[derive(Debug, Clone, Copy)]
struct RuleFacts {
    shape: Shape,
    expansion: Expansion,
}

/// The rules about one action of one subject.
#[derive(Debug, Clone)]
struct SubjectRules {
    allow: Trie,
    deny: Trie,
    /// The numbers of the deny rules, in order.
    denying: Vec<usize>,
    /// If this is possible for a client, so is the expansion of every deny rule.
    deny_expansion: Expansion,
}

impl Index {
    /// An index of these rules.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut symbols = Symbols::default();
        let patterns: Vec<Pattern> = rules
            .iter()
            .map(|rule| Pattern::new(&rule.filter, &mut symbols))
            .collect();
        let facts: Vec<RuleFacts> = rules
            .iter()
            .zip(&patterns)
            .map(|(rule, pattern)| RuleFacts {
                shape: Shape::of(pattern),
                expansion: Expansion::new(&rule.filter),
            })
            .collect();
        let arrange = |action| {
            let mut numbers: HashMap<Subject, Vec<usize>> = HashMap::new();
            for (number, rule) in rules.iter().enumerate() {
                // Those about groups are in `GroupRules`.
                if rule.actions.contains(action) && !rule.filter.is_shared() {
                    numbers
                        .entry(rule.subject.clone())
                        .or_default()
                        .push(number);
                }
            }
            numbers
                .into_iter()
                .map(|(subject, numbers)| {
                    let rules = SubjectRules::new(&numbers, rules, &patterns, &facts);
                    (subject, rules)
                })
                .collect()
        };
        Self {
            publish: arrange(Action::Publish),
            subscribe: arrange(Action::Subscribe),
            symbols,
            facts,
        }
    }

    /// Decides on a publication: covering and overlapping one topic is matching it.
    pub(crate) fn publish(&self, principal: &Principal<'_>, topic: &TopicName) -> Verdict {
        let names = Names::of(principal);
        let query = Query::topic(topic, &names, &self.symbols);
        self.decide(principal, &names, &self.publish, &query)
    }

    /// Decides on a subscription.
    pub(crate) fn subscribe(&self, principal: &Principal<'_>, filter: &TopicFilter) -> Verdict {
        let names = Names::of(principal);
        let query = Query::filter(filter, &names, &self.symbols);
        self.decide(principal, &names, &self.subscribe, &query)
    }

    /// Decides on the messages of one topic.
    pub(crate) fn receive(&self, principal: &Principal<'_>, topic: &TopicName) -> Verdict {
        let names = Names::of(principal);
        let query = Query::topic(topic, &names, &self.symbols);
        self.decide(principal, &names, &self.subscribe, &query)
    }

    /// The first deny rule that overlaps the query or cannot be expanded, else the narrowest of the
    /// allow rules that cover it.
    fn decide(
        &self,
        principal: &Principal<'_>,
        names: &Names<'_>,
        rules: &HashMap<Subject, SubjectRules>,
        query: &Query,
    ) -> Verdict {
        let subjects = [
            Subject::Everyone,
            Subject::Role(principal.role),
            Subject::User(principal.username.clone()),
        ];
        let concerned = || subjects.iter().filter_map(|subject| rules.get(subject));

        let mut denied = FirstRule::NONE;
        for rules in concerned() {
            denied = denied.min(self.first_that_fails_closed(rules, names));
            rules.deny.find_first_overlapping(query, &mut denied);
        }
        if let Some(rule) = denied.rule() {
            return Verdict::Denied(rule);
        }

        let mut allowed = Vec::new();
        for rules in concerned() {
            rules.allow.find_covering(query, &mut allowed);
        }
        allowed.retain(|&rule| self.facts[rule].expansion.is_possible(names));
        // Of equally narrow rules the first is named.
        allowed.sort_unstable();
        let best = allowed.into_iter().reduce(|best, next| {
            let is_better = self.facts[next]
                .shape
                .is_narrower_than(self.facts[best].shape);
            if is_better { next } else { best }
        });
        best.map_or(Verdict::Unmentioned, Verdict::Allowed)
    }

    /// The first deny rule that cannot be expanded for this client.
    fn first_that_fails_closed(&self, rules: &SubjectRules, names: &Names<'_>) -> FirstRule {
        if rules.deny_expansion.is_possible(names) {
            return FirstRule::NONE;
        }
        let mut denying = rules.denying.iter();
        let fails = denying.find(|&&rule| !self.facts[rule].expansion.is_possible(names));
        fails.map_or(FirstRule::NONE, |&rule| FirstRule::of(rule))
    }
}

impl SubjectRules {
    /// The rules with these numbers.
    fn new(numbers: &[usize], rules: &[Rule], patterns: &[Pattern], facts: &[RuleFacts]) -> Self {
        let of = |effect| -> Vec<usize> {
            let numbers = numbers.iter().copied();
            numbers
                .filter(|&rule| rules[rule].effect == effect)
                .collect()
        };
        let trie = |numbers: &[usize]| {
            let patterns = numbers.iter().map(|&rule| (&patterns[rule], rule));
            Trie::new(patterns.collect())
        };
        let denying = of(Effect::Deny);
        let expansions = denying.iter().map(|&rule| facts[rule].expansion);
        Self {
            allow: trie(&of(Effect::Allow)),
            deny: trie(&denying),
            deny_expansion: expansions.fold(Expansion::default(), Expansion::and),
            denying,
        }
    }
}
