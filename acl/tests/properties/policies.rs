//! Properties of templates and policies.

use std::collections::BTreeSet;

use herald_acl::{
    Actions, Denial, Effect, FilterTemplate, Policy, Principal, Role, Rule, Subject, TopicFilter,
    TopicName, Username,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::universe::{LEVELS, any_topic, matched_topics, reference_matches, universe};

/// Client ids, most of them hostile.
pub(crate) fn any_client_id() -> impl Strategy<Value = String> {
    const CHOSEN: [&str; 11] = [
        "a", "b", "+", "#", "a/b", "a/#", "$x", "$share", "", "/", "\0",
    ];
    prop_oneof![3 => select(&CHOSEN).prop_map(Into::into), 1 => any::<String>()]
}

pub(crate) fn any_role() -> impl Strategy<Value = Role> {
    select(&[Role::User, Role::Admin])
}

pub(crate) fn any_username() -> impl Strategy<Value = Username> {
    select(&["a", "b"]).prop_map(|name| Username::parse(name).unwrap())
}

fn any_template() -> impl Strategy<Value = FilterTemplate> {
    let level = prop_oneof![
        2 => select(&LEVELS), 2 => Just("+"), 1 => Just("%u"), 1 => Just("%c"), 1 => Just("b%c")
    ];
    (prop::collection::vec(level, 0..=2), any::<bool>()).prop_filter_map(
        "not every text is a template",
        |(mut levels, hash)| {
            levels.extend(hash.then_some("#"));
            FilterTemplate::parse(levels.join("/")).ok()
        },
    )
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let subject = prop_oneof![
        2 => Just(Subject::Everyone),
        1 => any_role().prop_map(Subject::Role),
        1 => any_username().prop_map(Subject::User),
    ];
    let actions = select(&[Actions::Publish, Actions::Subscribe, Actions::Both]);
    let effect = prop_oneof![4 => Just(Effect::Allow), 1 => Just(Effect::Deny)];
    (any::<u16>(), subject, actions, effect, any_template()).prop_map(
        |(id, subject, actions, effect, filter)| Rule {
            id: id.to_string(),
            subject,
            actions,
            effect,
            filter,
        },
    )
}

/// Whether the rule is about this topic for the client, found without the code under test deciding
/// on any filter.
fn concerns(rule: &Rule, principal: &Principal<'_>, publish: bool, topic: &TopicName) -> bool {
    let action = if publish {
        Actions::Publish
    } else {
        Actions::Subscribe
    };
    let subject = match &rule.subject {
        Subject::Everyone => true,
        Subject::Role(role) => *role == principal.role,
        Subject::User(username) => username == principal.username,
    };
    subject
        && (rule.actions == action || rule.actions == Actions::Both)
        && match rule.filter.expand(principal) {
            Some(filter) => reference_matches(&filter, topic),
            None => rule.effect == Effect::Deny,
        }
}

fn is_allowed(rules: &[Rule], principal: &Principal<'_>, publish: bool, topic: &TopicName) -> bool {
    let has = |effect| {
        rules
            .iter()
            .any(|r| r.effect == effect && concerns(r, principal, publish, topic))
    };
    has(Effect::Allow) && !has(Effect::Deny)
}

proptest! {
    #[test]
    fn an_allowed_subscription_receives_only_topics_that_are_allowed_and_not_denied(
        rules in prop::collection::vec(any_rule(), 1..8),
        username in any_username(), role in any_role(), client_id in any_client_id(),
        filter in any_template(),
    ) {
        let principal = Principal { username: &username, role, client_id: &client_id };
        let Some(filter) = filter.expand(&principal) else { return Ok(()) };
        let decision = Policy::new(rules.clone()).subscribe(&principal, &filter);
        if decision.is_ok() {
            let rule_filters: Vec<_> = rules.iter().filter_map(|r| r.filter.expand(&principal)).collect();
            let used = rule_filters.iter().flat_map(TopicFilter::levels).filter(|level| !matches!(*level, "+" | "#"));
            let levels: Vec<&str> = used.chain(["", "fresh"]).collect::<BTreeSet<_>>().into_iter().collect();
            for topic in matched_topics(&filter, &levels, 4) {
                prop_assert!(is_allowed(&rules, &principal, false, &topic), "{filter} reads {topic}");
            }
        }
    }

    #[test]
    fn a_publication_is_allowed_if_an_allow_rule_and_no_deny_rule_matches(
        rules in prop::collection::vec(any_rule(), 1..8),
        username in any_username(), role in any_role(), client_id in any_client_id(),
        topic in any_topic(),
    ) {
        let principal = Principal { username: &username, role, client_id: &client_id };
        let decision = Policy::new(rules.clone()).publish(&principal, &topic);
        // None of these topics is below `users/`.
        let reserved = topic.as_str().starts_with('$');
        prop_assert_eq!(decision.is_ok(), !reserved && is_allowed(&rules, &principal, true, &topic));
    }

    #[test]
    fn a_decision_names_a_rule_that_does_what_it_says(
        rules in prop::collection::vec(any_rule(), 1..8),
        username in any_username(), client_id in any_client_id(), topic in any_topic(),
    ) {
        let principal = Principal { username: &username, role: Role::User, client_id: &client_id };
        let decision = Policy::new(rules.clone()).publish(&principal, &topic);
        let (id, effect) = match decision {
            Ok(permit) => (permit.rule.unwrap(), Effect::Allow),
            Err(Denial::Rule(id)) => (id, Effect::Deny),
            Err(_) => return Ok(()),
        };
        let is_it = |rule: &Rule| {
            *rule.id == *id && rule.effect == effect && concerns(rule, &principal, true, &topic)
        };
        prop_assert!(rules.iter().any(is_it));
    }

    #[test]
    fn a_client_id_changes_neither_the_levels_nor_the_wildcards_of_a_template(
        template in any_template(), username in any_username(), client_id in any_client_id(),
    ) {
        let principal = Principal { username: &username, role: Role::User, client_id: &client_id };
        if let Some(filter) = template.expand(&principal) {
            let wildcards = |text: &str| -> Vec<Option<char>> {
                text.split('/').map(|level| level.chars().find(|c| "+#".contains(*c))).collect()
            };
            prop_assert_eq!(wildcards(filter.as_str()), wildcards(template.as_str()));
            prop_assert_eq!(filter.as_str().starts_with('$'), template.as_str().starts_with('$'));
            prop_assert!(!filter.is_shared());
        }
    }

    #[test]
    fn no_user_reads_the_inbox_of_another_one(
        filter in inbox_filter(), client_id in any_client_id(),
    ) {
        let bob = Username::parse("bob").unwrap();
        let principal = Principal { username: &bob, role: Role::User, client_id: &client_id };
        if Policy::builtin().subscribe(&principal, &filter).is_ok() {
            prop_assert!(!filter.overlaps(&TopicFilter::parse("users/alice/#").unwrap()));
            for rest in universe(&["", "messages", "bob", "$x"], 3) {
                let topic = TopicName::parse(format!("users/alice/{rest}")).unwrap();
                prop_assert!(!filter.matches(&topic), "{filter} reads {topic}");
            }
            for topic in ["users/alice", "users/alice/"] {
                prop_assert!(!filter.matches(&TopicName::parse(topic).unwrap()));
            }
        }
    }

    #[test]
    fn no_user_sends_as_another_one(
        one in "[a-z0-9][a-z0-9._-]{0,5}", two in "[a-z0-9][a-z0-9._-]{0,5}",
        client_id in any_client_id(), role in any_role(),
    ) {
        let (one, two) = (Username::parse(&one).unwrap(), Username::parse(&two).unwrap());
        let principal = Principal { username: &one, role, client_id: &client_id };
        let topic = TopicName::parse(format!("users/{two}/messages")).unwrap();
        prop_assert_eq!(Policy::builtin().publish(&principal, &topic).is_ok(), one == two);
    }
}

/// Filters around the inboxes of alice and bob, some of them shared.
fn inbox_filter() -> impl Strategy<Value = TopicFilter> {
    let rest = select(&[
        "alice",
        "bob",
        "messages",
        "users",
        "broadcast",
        "+",
        "",
        "$x",
    ]);
    let first = prop_oneof![3 => Just("users"), 1 => rest.clone()];
    let second = prop_oneof![2 => Just("bob"), 2 => rest.clone()];
    let share = select(&["", "", "$share/bob/", "$share/users/"]);
    (
        share,
        first,
        second,
        prop::collection::vec(rest, 0..3),
        any::<bool>(),
    )
        .prop_map(|(share, first, second, mut rest, hash)| {
            rest.splice(0..0, [first, second]);
            rest.extend(hash.then_some("#"));
            TopicFilter::parse(format!("{share}{}", rest.join("/"))).unwrap()
        })
}
