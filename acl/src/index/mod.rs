//! The rules of a policy, arranged so that a decision looks at the few that concern it.
//!
//! Rules are kept apart by action, subject and effect, and then by the levels of their templates.
//! No template is expanded: which levels with a placeholder a level of the question could be is
//! looked up once. The number of a rule is its place in the policy.

mod filling;
mod level;
mod pattern;
mod question;
mod shape;
mod symbols;
mod trie;

use std::collections::HashMap;

use crate::filter::TopicFilter;
use crate::index::filling::Filling;
use crate::index::level::Names;
use crate::index::pattern::Pattern;
use crate::index::question::Question;
use crate::index::shape::Shape;
use crate::index::symbols::Symbols;
use crate::index::trie::{First, Trie};
use crate::rule::{Action, Effect, Rule, Subject};
use crate::topic::TopicName;
use crate::who::Who;

/// What the rules say, and the number of the rule that it rests on.
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
    /// Of each rule, in the order of the policy.
    facts: Vec<Facts>,
    publish: HashMap<Subject, Rules>,
    subscribe: HashMap<Subject, Rules>,
}

/// What is asked about a rule once it is found.
#[derive(Debug, Clone, Copy)]
struct Facts {
    shape: Shape,
    filling: Filling,
}

/// The rules about one action of one subject.
#[derive(Debug, Clone)]
struct Rules {
    allow: Trie,
    deny: Trie,
    /// The deny rules, the first one first.
    denying: Vec<usize>,
    /// If this is possible for a client, all deny rules can be expanded.
    deny_filling: Filling,
}

impl Index {
    /// Arranges these rules.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut symbols = Symbols::default();
        let patterns: Vec<Pattern> = rules
            .iter()
            .map(|rule| Pattern::new(&rule.filter, &mut symbols))
            .collect();
        let facts: Vec<Facts> = rules
            .iter()
            .zip(&patterns)
            .map(|(rule, pattern)| Facts {
                shape: Shape::of(pattern),
                filling: Filling::new(&rule.filter),
            })
            .collect();
        let arrange = |action| {
            let mut numbers: HashMap<Subject, Vec<usize>> = HashMap::new();
            for (number, rule) in rules.iter().enumerate() {
                // Those about groups are kept elsewhere.
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
                    let rules = Rules::new(&numbers, rules, &patterns, &facts);
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
    pub(crate) fn publish(&self, who: &Who<'_>, topic: &TopicName) -> Verdict {
        let names = Names::of(who);
        let question = Question::topic(topic, &names, &self.symbols);
        self.decide(who, &names, &self.publish, &question)
    }

    /// Decides on a subscription.
    pub(crate) fn subscribe(&self, who: &Who<'_>, filter: &TopicFilter) -> Verdict {
        let names = Names::of(who);
        let question = Question::filter(filter, &names, &self.symbols);
        self.decide(who, &names, &self.subscribe, &question)
    }

    /// Decides on the messages of one topic.
    pub(crate) fn receive(&self, who: &Who<'_>, topic: &TopicName) -> Verdict {
        let names = Names::of(who);
        let question = Question::topic(topic, &names, &self.symbols);
        self.decide(who, &names, &self.subscribe, &question)
    }

    /// Names the first deny rule that overlaps what is asked for or cannot be expanded, else of
    /// the allow rules that cover it one that covers no other.
    fn decide(
        &self,
        who: &Who<'_>,
        names: &Names<'_>,
        rules: &HashMap<Subject, Rules>,
        question: &Question,
    ) -> Verdict {
        let subjects = [
            Subject::Everyone,
            Subject::Role(who.role),
            Subject::User(who.username.clone()),
        ];
        let concerned = || subjects.iter().filter_map(|subject| rules.get(subject));

        let mut denied = First::NONE;
        for rules in concerned() {
            denied = denied.min(self.first_that_fails_closed(rules, names));
            rules.deny.find_first_overlapping(question, &mut denied);
        }
        if let Some(rule) = denied.rule() {
            return Verdict::Denied(rule);
        }

        let mut allowed = Vec::new();
        for rules in concerned() {
            rules.allow.find_covering(question, &mut allowed);
        }
        allowed.retain(|&rule| self.facts[rule].filling.is_possible(names));
        // Of rules of which none is narrower than another, the first is named.
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
    fn first_that_fails_closed(&self, rules: &Rules, names: &Names<'_>) -> First {
        if rules.deny_filling.is_possible(names) {
            return First::NONE;
        }
        let mut denying = rules.denying.iter();
        let fails = denying.find(|&&rule| !self.facts[rule].filling.is_possible(names));
        fails.map_or(First::NONE, |&rule| First::of(rule))
    }
}

impl Rules {
    /// The rules with these numbers.
    fn new(numbers: &[usize], rules: &[Rule], patterns: &[Pattern], facts: &[Facts]) -> Self {
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
        let fillings = denying.iter().map(|&rule| facts[rule].filling);
        Self {
            allow: trie(&of(Effect::Allow)),
            deny: trie(&denying),
            deny_filling: fillings.fold(Filling::default(), Filling::and),
            denying,
        }
    }
}
