//! What a policy decides, case by case.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod builtin;
mod reserved;
mod rules;

use herald_acl::{
    Actions, Denial, Effect, FilterTemplate, Policy, Principal, Role, Rule, Subject, TopicFilter,
    TopicName, Username,
};

/// The rule that allows it, or why not.
type Decision = Result<String, Denial>;

/// What no rule is about.
const DEFAULT: Decision = Err(Denial::NoRule);

struct Client {
    username: Username,
    role: Role,
    client_id: String,
}

impl Client {
    fn new(username: &str, role: Role) -> Self {
        Self {
            username: Username::parse(username).unwrap(),
            role,
            client_id: "phone".into(),
        }
    }

    fn publish(&self, policy: &Policy, topic: &str) -> Decision {
        let permit = policy.publish(&self.principal(), &TopicName::parse(topic).unwrap())?;
        Ok(permit
            .rule
            .map_or_else(String::new, |rule| rule.to_string()))
    }

    fn subscribe(&self, policy: &Policy, filter: &str) -> Decision {
        let permit = policy.subscribe(&self.principal(), &TopicFilter::parse(filter).unwrap())?;
        Ok(permit.rule.to_string())
    }

    fn receive(&self, policy: &Policy, topic: &str) -> Result<(), Denial> {
        policy.receive(&self.principal(), &TopicName::parse(topic).unwrap())
    }

    fn principal(&self) -> Principal<'_> {
        Principal {
            username: &self.username,
            role: self.role,
            client_id: &self.client_id,
        }
    }
}

fn rule(id: &str, effect: Effect, subject: &Subject, actions: Actions, filter: &str) -> Rule {
    Rule {
        id: id.to_owned(),
        subject: subject.clone(),
        actions,
        effect,
        filter: FilterTemplate::parse(filter).unwrap(),
    }
}

fn allow(id: &str, subject: &Subject, actions: Actions, filter: &str) -> Rule {
    rule(id, Effect::Allow, subject, actions, filter)
}

fn deny(id: &str, subject: &Subject, actions: Actions, filter: &str) -> Rule {
    rule(id, Effect::Deny, subject, actions, filter)
}

fn allowed(rule: &str) -> Decision {
    Ok(rule.into())
}

fn denied(rule: &str) -> Decision {
    Err(Denial::Rule(rule.into()))
}
