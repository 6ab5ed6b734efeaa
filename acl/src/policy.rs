//! What the rules allow. [`decide`](crate::decide) adds what no rule can change.

use std::sync::Arc;

use crate::denial::Denial;
use crate::filter::TopicFilter;
use crate::group_rules::GroupRules;
use crate::index::{Index, Verdict};
use crate::own_topics::{self, OwnTopics};
use crate::principal::Principal;
use crate::rule::{Rule, Subject};
use crate::template::FilterTemplate;
use crate::topic::TopicName;
use crate::username::Username;

/// An immutable set of rules. What no rule allows is denied, and a deny rule outweighs every allow
/// rule.
///
/// A deny rule that cannot be expanded for a client (see [`FilterTemplate::expand`]) denies it
/// every action that the rule is about, so that no client id evades a rule. An allow rule that
/// cannot be expanded allows nothing.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The ids of the rules, in order.
    ids: Vec<Arc<str>>,
    /// The allow rules with a `%u`, in order.
    named: Vec<(Subject, FilterTemplate)>,
    index: Index,
    groups: GroupRules,
}

impl Policy {
    /// A policy of these rules. Their order matters only for which rule a decision names: of
    /// several, the first.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let named = rules.iter().filter(|rule| own_topics::names_its_user(rule));
        Self {
            named: named
                .map(|rule| (rule.subject.clone(), rule.filter.clone()))
                .collect(),
            index: Index::new(&rules),
            groups: GroupRules::new(&rules),
            ids: rules.into_iter().map(|rule| rule.id.into()).collect(),
        }
    }

    /// The topics that belong to `username`, whether or not there is such a user.
    #[must_use]
    pub fn own_topics(&self, username: &Username) -> OwnTopics {
        OwnTopics::new(&self.named, username)
    }

    /// The rule that allows a client to publish to `topic`: an allow rule matches it and no deny
    /// rule does.
    pub(crate) fn publish_rule(
        &self,
        principal: &Principal<'_>,
        topic: &TopicName,
    ) -> Result<Arc<str>, Denial> {
        self.name_rule(self.index.publish(principal, topic))
    }

    /// The rule that allows a client to receive the messages of `topic`.
    pub(crate) fn receive_rule(
        &self,
        principal: &Principal<'_>,
        topic: &TopicName,
    ) -> Result<Arc<str>, Denial> {
        self.name_rule(self.index.receive(principal, topic))
    }

    /// The rule that allows a client to subscribe to `filter`, and whether it is about the
    /// filter's group: one allow rule covers all of it and no deny rule overlaps it.
    ///
    /// A shared subscription is decided by its inner filter and by the rules about its group, whose
    /// filter is `$share/{group}/...` and which concern no other subscription. If one of these
    /// allows it, that one is named.
    pub(crate) fn subscribe_rule(
        &self,
        principal: &Principal<'_>,
        filter: &TopicFilter,
    ) -> Result<(Arc<str>, bool), Denial> {
        let by_topics = self.index.subscribe(principal, filter);
        let by_group = if filter.is_shared() {
            self.groups.subscribe(principal, filter)
        } else {
            Verdict::Unmentioned
        };
        let verdict = match (by_topics, by_group) {
            (Verdict::Denied(a), Verdict::Denied(b)) => Verdict::Denied(a.min(b)),
            (denied @ Verdict::Denied(_), _) => denied,
            (by_topics, Verdict::Unmentioned) => by_topics,
            (_, by_group) => by_group,
        };
        let rule = self.name_rule(verdict)?;
        Ok((rule, matches!(by_group, Verdict::Allowed(_))))
    }

    fn name_rule(&self, verdict: Verdict) -> Result<Arc<str>, Denial> {
        match verdict {
            Verdict::Allowed(rule) => Ok(self.ids[rule].clone()),
            Verdict::Denied(rule) => Err(Denial::Rule(self.ids[rule].clone())),
            Verdict::Unmentioned => Err(Denial::NoRule),
        }
    }
}
