//! A policy as plainly as it can be put: each decision expands and compares every rule.

use herald_acl::{Action, Decision, Effect, Rule, TopicFilter, TopicName, Who};

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Publish(TopicName),
    Subscribe(TopicFilter),
}

impl Asked {
    fn action(&self) -> Action {
        match self {
            Self::Publish(_) => Action::Publish,
            Self::Subscribe(_) => Action::Subscribe,
        }
    }

    fn is_covered_by(&self, filter: &TopicFilter) -> bool {
        match self {
            Self::Publish(topic) => filter.matches(topic),
            Self::Subscribe(asked) => filter.covers(asked),
        }
    }

    fn is_touched_by(&self, filter: &TopicFilter) -> bool {
        match self {
            Self::Publish(topic) => filter.matches(topic),
            Self::Subscribe(asked) => filter.overlaps(asked),
        }
    }
}

/// Names the first deny rule that touches what is asked for or cannot be expanded, else the allow
/// rule that is left when each that covers it gives way to a narrower one behind it.
pub(crate) fn decide(rules: &[Rule], who: &Who<'_>, asked: &Asked) -> Decision {
    let mut best: Option<(&Rule, TopicFilter)> = None;
    for rule in rules {
        if !rule.actions.contains(asked.action()) || !rule.subject.contains(who) {
            continue;
        }
        let filter = rule.filter.expand(who);
        match (rule.effect, filter) {
            (Effect::Deny, None) => return answer(false, Some(rule)),
            (Effect::Deny, Some(filter)) if asked.is_touched_by(&filter) => {
                return answer(false, Some(rule));
            }
            (Effect::Allow, Some(filter)) if asked.is_covered_by(&filter) => {
                let is_better =
                    |(_, best): &(_, TopicFilter)| best.covers(&filter) && !filter.covers(best);
                if best.as_ref().is_none_or(is_better) {
                    best = Some((rule, filter));
                }
            }
            _ => {}
        }
    }
    answer(best.is_some(), best.map(|(rule, _)| rule))
}

fn answer(allowed: bool, rule: Option<&Rule>) -> Decision {
    Decision {
        allowed,
        rule: rule.map(|rule| rule.id.clone()),
    }
}
