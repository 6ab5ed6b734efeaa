//! The rules about groups, whose filter is a shared subscription.
//!
//! They are few, and found by the group's name. Other rules decide on a shared subscription by its inner filter, in the
//! [`Index`](crate::index::Index).

use std::collections::HashMap;

use crate::filter::TopicFilter;
use crate::index::Verdict;
use crate::principal::Principal;
use crate::rule::{Action, Effect, Rule, Subject};

/// The rules about groups, by the name of the group.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupRules(HashMap<String, Vec<GroupRule>>);

#[derive(Debug, Clone)]
struct GroupRule {
    /// Its place in the policy.
    number: usize,
    subject: Subject,
    effect: Effect,
    filter: TopicFilter,
}

impl GroupRules {
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

    /// The first rule that denies any of `filter`, else the first that allows all of it.
    pub(crate) fn subscribe(&self, principal: &Principal<'_>, filter: &TopicFilter) -> Verdict {
        let named = filter.share_name().and_then(|name| self.0.get(name));
        let rules = || {
            let rules = named.into_iter().flatten();
            rules.filter(|rule| rule.subject.contains(principal))
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
