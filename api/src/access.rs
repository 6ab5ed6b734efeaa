//! What a user may do, as the broker decides it.

use herald_acl::{Decision, Policy, Role, TopicFilter, TopicName, Who};

/// First level of the topics that belong to a user.
const USERS: &str = "users";

/// First level of what the server says of itself.
const SYS: &str = "$SYS";

/// Whether a client may publish to `topic`.
pub(crate) fn publish(policy: &Policy, who: &Who<'_>, topic: &TopicName) -> Decision {
    let mut levels = topic.levels();
    // No rule lets anyone publish for another user or for the server.
    let reserved = match levels.next() {
        Some(USERS) => !levels.eq([who.username.as_str(), "messages"]),
        Some(first) => first.starts_with('$'),
        None => false,
    };
    if reserved {
        refused()
    } else {
        policy.publish(who, topic)
    }
}

/// Whether a client may subscribe to `filter`.
pub(crate) fn subscribe(policy: &Policy, who: &Who<'_>, filter: &TopicFilter) -> Decision {
    if filter.is_shared() {
        // A group is for shared topics alone, whatever else its filter matches.
        return match filter.levels().next() {
            Some(USERS | SYS) => refused(),
            _ => policy.subscribe(who, filter),
        };
    }
    let touches_users = matches!(filter.levels().next(), Some(USERS | "+" | "#"));
    let own = TopicFilter::parse(format!("{USERS}/{}/#", who.username));
    // No rule opens an inbox to another user who is no administrator.
    let reaches_others = touches_users && !own.is_ok_and(|own| own.covers(filter));
    if reaches_others && who.role != Role::Admin {
        return refused();
    }
    policy.subscribe(who, filter)
}

/// Refused by no rule, and whatever rules say.
pub(crate) fn refused() -> Decision {
    Decision {
        allowed: false,
        rule: None,
    }
}

#[cfg(test)]
mod tests {
    use herald_acl::{Actions, Effect, FilterTemplate, Rule, Subject, Username};

    use super::*;

    /// A policy that allows whatever can be allowed.
    fn all() -> Policy {
        let rule = |filter: &str| Rule {
            id: filter.to_owned(),
            subject: Subject::Everyone,
            actions: Actions::Both,
            effect: Effect::Allow,
            filter: FilterTemplate::parse(filter).unwrap(),
        };
        Policy::new(vec![rule("#"), rule("$SYS/#")])
    }

    #[test]
    fn no_rule_lets_anyone_publish_for_another_user_or_the_server() {
        let bob = Username::parse("bob").unwrap();
        for role in [Role::User, Role::Admin] {
            let who = Who {
                username: &bob,
                role,
                client_id: "",
            };
            for (topic, allowed) in [
                ("users/bob/messages", true),
                ("lamps/1", true),
                ("users", false),
                ("users/bob", false),
                ("users/bob/messages/x", false),
                ("users/bob/notifications", false),
                ("users/alice/messages", false),
                ("$SYS/x", false),
            ] {
                let decision = publish(&all(), &who, &TopicName::parse(topic).unwrap());
                assert_eq!(decision.allowed, allowed, "{topic}");
            }
        }
    }

    #[test]
    fn no_rule_opens_an_inbox_to_another_user() {
        let bob = Username::parse("bob").unwrap();
        let who = |role| Who {
            username: &bob,
            role,
            client_id: "",
        };
        for (filter, allowed) in [
            ("users/bob/#", true),
            ("users/bob/notifications", true),
            ("lamps/#", true),
            ("$SYS/#", true),
            ("#", false),
            ("+/bob/#", false),
            ("users/+/notifications", false),
            ("users/alice/#", false),
        ] {
            let filter = TopicFilter::parse(filter).unwrap();
            let decision = subscribe(&all(), &who(Role::User), &filter);
            assert_eq!(decision.allowed, allowed, "{filter}");
            let decision = subscribe(&all(), &who(Role::Admin), &filter);
            assert!(decision.allowed, "{filter}");
        }
    }

    #[test]
    fn a_group_is_for_shared_topics_alone() {
        let bob = Username::parse("bob").unwrap();
        for role in [Role::User, Role::Admin] {
            let who = Who {
                username: &bob,
                role,
                client_id: "",
            };
            for (filter, allowed) in [
                ("$share/g/lamps/#", true),
                // What it matches of inboxes does not come.
                ("$share/g/#", true),
                ("$share/g/users/bob/+", false),
                ("$share/g/users/#", false),
                ("$share/g/$SYS/#", false),
            ] {
                let parsed = TopicFilter::parse(filter).unwrap();
                let decision = subscribe(&all(), &who, &parsed);
                assert_eq!(decision.allowed, allowed, "{filter}");
            }
        }
    }
}
