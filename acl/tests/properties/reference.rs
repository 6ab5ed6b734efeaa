//! A policy as plainly as it can be put: each decision expands and compares every rule.

use herald_acl::{Action, Denial, Effect, Principal, Role, Rule, TopicFilter, TopicName};

/// What a client asks for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    Publish(TopicName),
    Receive(TopicName),
    Subscribe(TopicFilter),
}

/// The rule that allows it, or why not.
pub(crate) type Decision = Result<String, Denial>;

impl Asked {
    fn action(&self) -> Action {
        match self {
            Self::Publish(_) => Action::Publish,
            Self::Receive(_) | Self::Subscribe(_) => Action::Subscribe,
        }
    }

    fn is_covered_by(&self, filter: &TopicFilter) -> bool {
        match self {
            Self::Publish(topic) | Self::Receive(topic) => filter.matches(topic),
            Self::Subscribe(asked) => filter.covers(asked),
        }
    }

    fn is_touched_by(&self, filter: &TopicFilter) -> bool {
        match self {
            Self::Publish(topic) | Self::Receive(topic) => filter.matches(topic),
            Self::Subscribe(asked) => filter.overlaps(asked),
        }
    }
}

/// What rules have no say in comes first; but that a filter cannot be shared is said only to those who may have it.
pub(crate) fn decide(rules: &[Rule], principal: &Principal<'_>, asked: &Asked) -> Decision {
    let me = principal.username.as_str();
    match asked {
        Asked::Publish(topic) => {
            let levels: Vec<&str> = topic.levels().collect();
            match levels[..] {
                ["$SYS", "broker", "connection", ..] => return Ok(String::new()),
                ["users", name, "messages"] if name == me => {}
                ["users", ..] => return Err(Denial::Reserved),
                [first, ..] if first.starts_with('$') => return Err(Denial::Reserved),
                _ => {}
            }
        }
        Asked::Receive(topic) => {
            let is_own = topic.as_str().starts_with(&format!("users/{me}/"))
                || topic.as_str() == format!("users/{me}");
            let is_inbox = topic.levels().next() == Some("users");
            if is_inbox && !is_own && principal.role != Role::Admin {
                return Err(Denial::NotAdministrator);
            }
        }
        Asked::Subscribe(filter) => {
            if filter.as_str().len() > 1024 {
                return Err(Denial::FilterTooLong);
            }
            let users = TopicFilter::parse("users/#").unwrap();
            let own = TopicFilter::parse(format!("users/{me}/#")).unwrap();
            let reaches = filter.overlaps(&users);
            if !filter.is_shared()
                && reaches
                && !own.covers(filter)
                && principal.role != Role::Admin
            {
                return Err(Denial::NotAdministrator);
            }
        }
    }
    let rule = by_rules(rules, principal, asked)?;
    match asked {
        Asked::Subscribe(filter)
            if filter.is_shared() && matches!(filter.levels().next(), Some("users" | "$SYS")) =>
        {
            Err(Denial::NotShareable)
        }
        _ => Ok(rule),
    }
}

/// Names the first deny rule that touches what is asked for or cannot be expanded, else the allow
/// rule that is left when each that covers it gives way to a narrower one behind it.
fn by_rules(rules: &[Rule], principal: &Principal<'_>, asked: &Asked) -> Decision {
    let mut best: Option<(&Rule, TopicFilter)> = None;
    for rule in rules {
        if !rule.actions.contains(asked.action()) || !rule.subject.contains(principal) {
            continue;
        }
        let filter = rule.filter.expand(principal);
        match (rule.effect, filter) {
            (Effect::Deny, None) => return Err(Denial::Rule(rule.id.as_str().into())),
            (Effect::Deny, Some(filter)) if asked.is_touched_by(&filter) => {
                return Err(Denial::Rule(rule.id.as_str().into()));
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
    let best = best.map(|(rule, _)| rule.id.clone());
    best.ok_or(Denial::NoRule)
}
