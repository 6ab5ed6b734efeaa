//! The rules together, and what they say. What a client may do is decided in [`decide`](crate::decide).

use std::sync::Arc;

use crate::denial::Denial;
use crate::filter::TopicFilter;
use crate::groups::Groups;
use crate::index::{Index, Verdict};
use crate::own::{self, OwnTopics};
use crate::rule::{Rule, Subject};
use crate::template::FilterTemplate;
use crate::topic::TopicName;
use crate::username::Username;
use crate::who::Who;

/// An immutable set of rules. What no rule allows is denied, and a deny rule outweighs every allow
/// rule.
///
/// A deny rule that cannot be expanded for a client (see [`FilterTemplate::expand`]) denies it
/// every action that the rule is about: a client does not get rid of a rule by the id it takes. An
/// allow rule that cannot be expanded allows nothing.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Of each rule, in their order.
    ids: Vec<Arc<str>>,
    /// Of each allow rule with a `%u`, in their order.
    named: Vec<(Subject, FilterTemplate)>,
    index: Index,
    groups: Groups,
}

impl Policy {
    /// A policy of these rules. Their order only says which one a decision names if several would
    /// do: the earlier one.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let named = rules.iter().filter(|rule| own::names_its_user(rule));
        Self {
            named: named
                .map(|rule| (rule.subject.clone(), rule.filter.clone()))
                .collect(),
            index: Index::new(&rules),
            groups: Groups::new(&rules),
            ids: rules.into_iter().map(|rule| rule.id.into()).collect(),
        }
    }

    /// The topics that belong to `username`, whether or not there is such a user.
    #[must_use]
    pub fn own_topics(&self, username: &Username) -> OwnTopics {
        OwnTopics::new(&self.named, username)
    }

    /// The rule that lets a client publish to `topic`: an allow rule matches it and no deny rule
    /// does.
    pub(crate) fn publish_rule(
        &self,
        who: &Who<'_>,
        topic: &TopicName,
    ) -> Result<Arc<str>, Denial> {
        self.name_rule(self.index.publish(who, topic))
    }

    /// The rule that lets a client receive the messages of `topic`.
    pub(crate) fn receive_rule(
        &self,
        who: &Who<'_>,
        topic: &TopicName,
    ) -> Result<Arc<str>, Denial> {
        self.name_rule(self.index.receive(who, topic))
    }

    /// The rule that lets a client subscribe to `filter`, and whether that is one about its group:
    /// one allow rule covers all of it and no deny rule overlaps it.
    ///
    /// A shared subscription is decided on the inner filter, and by the rules about its group: those
    /// whose filter is `$share/{group}/...`, which concern no other subscription. Such an allow rule
    /// is the one that is named.
    pub(crate) fn subscribe_rule(
        &self,
        who: &Who<'_>,
        filter: &TopicFilter,
    ) -> Result<(Arc<str>, bool), Denial> {
        let by_topics = self.index.subscribe(who, filter);
        let by_group = if filter.is_shared() {
            self.groups.subscribe(who, filter)
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
