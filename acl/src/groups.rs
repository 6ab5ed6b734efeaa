//! The rules about groups: those whose filter names a shared subscription.
//!
//! They are few, and found by the group's name; what else a policy says of a shared subscription is the
//! [`Index`](crate::index::Index)'s, by the inner filter.

use std::collections::HashMap;

use crate::filter::TopicFilter;
use crate::index::Verdict;
use crate::rule::{Action, Effect, Rule, Subject};
use crate::who::Who;

/// The rules about groups, by the name of the group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Groups(HashMap<String, Vec<GroupRule>>);

#[derive(Debug, Clone)]
struct GroupRule {
    /// Its place in the policy.
    number: usize,
    subject: Subject,
    effect: Effect,
    filter: TopicFilter,
}

impl Groups {
    /// Those among `rules`.
    pub(crate) fn new(rules: &[Rule]) -> Self {
        let mut groups = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            let filter = rule.filter.of_group();
            let Some(filter) = filter.filter(|_| rule.actions.contains(Action::Subscribe)) else {
                continue;
            };
            let Some(name) = filter.share_name() else {
                continue;
            };
            let rules = groups.0.entry(name.to_owned()).or_default();
            rules.push(GroupRule {
                number,
                subject: rule.subject.clone(),
                effect: rule.effect,
                filter,
            });
        }
        groups
    }

    /// What they say of `filter`: that of the first one that denies any of it, else of the first that allows all of it.
    pub(crate) fn subscribe(&self, who: &Who<'_>, filter: &TopicFilter) -> Verdict {
        let named = filter.share_name().and_then(|name| self.0.get(name));
        let rules = || {
            let rules = named.into_iter().flatten();
            rules.filter(|rule| rule.subject.contains(who))
        };
        let denies =
            |rule: &&GroupRule| rule.effect == Effect::Deny && rule.filter.overlaps(filter);
        let allows = |rule: &&GroupRule| rule.effect == Effect::Allow && rule.filter.covers(filter);
        if let Some(rule) = rules().find(denies) {
            return Verdict::Denied(rule.number);
        }
        let allowing = rules().find(allows);
        allowing.map_or(Verdict::Unmentioned, |rule| Verdict::Allowed(rule.number))
    }
}
