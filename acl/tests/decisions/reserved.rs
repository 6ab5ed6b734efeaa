//! What no rule can allow, by a policy that allows whatever can be allowed.

use herald_acl::{
    Actions, Denial, Destination, Policy, Role, Subject, TopicFilter, TopicName, topics,
};

use crate::{Client, allow, allowed};

const ROLES: [Role; 2] = [Role::User, Role::Admin];

fn all() -> Policy {
    let rule = |filter| allow(filter, &Subject::Everyone, Actions::Both, filter);
    Policy::new(vec![rule("#"), rule("$SYS/#")])
}

#[test]
fn no_rule_lets_anyone_publish_for_another_user_or_the_server() {
    for role in ROLES {
        let bob = Client::new("bob", role);
        for (topic, destination) in [
            ("users/bob/messages", Ok(Destination::Send)),
            ("lamps/1", Ok(Destination::Shared)),
            ("/users/alice/messages", Ok(Destination::Shared)),
            (
                "$SYS/broker/connection/home/state",
                Ok(Destination::BridgeState),
            ),
            ("users", Err(Denial::Reserved)),
            ("users/", Err(Denial::Reserved)),
            ("users/bob", Err(Denial::Reserved)),
            ("users/bob/messages/", Err(Denial::Reserved)),
            ("users/bob/messages/x", Err(Denial::Reserved)),
            ("users/bob/notifications", Err(Denial::Reserved)),
            ("users/bob/progress", Err(Denial::Reserved)),
            ("users/alice/messages", Err(Denial::Reserved)),
            ("$SYS/x", Err(Denial::Reserved)),
            ("$SYS/broker/x", Err(Denial::Reserved)),
            ("$share/g/x", Err(Denial::Reserved)),
        ] {
            let decision = all().publish(&bob.principal(), &TopicName::parse(topic).unwrap());
            let decision = decision.map(|permit| permit.destination);
            assert_eq!(decision, destination, "{topic}");
        }
    }
}

#[test]
fn a_bridges_state_needs_no_rule_and_the_own_messages_do() {
    let (bob, none) = (Client::new("bob", Role::User), Policy::new(vec![]));
    let state = "$SYS/broker/connection/home/state";
    assert_eq!(bob.publish(&none, state), Ok(String::new()));
    let send = bob.publish(&none, "users/bob/messages");
    assert_eq!(send, Err(Denial::NoRule));
}

#[test]
fn no_rule_opens_an_inbox_to_another_user() {
    for (filter, is_own) in [
        ("users/bob/#", true),
        ("users/bob", true),
        ("users/bob/notifications", true),
        ("lamps/#", true),
        ("$SYS/#", true),
        ("#", false),
        ("+", false),
        ("+/bob/#", false),
        ("users", false),
        ("users/", false),
        ("users/+/notifications", false),
        ("users/#", false),
        ("users/alice/#", false),
    ] {
        let user = Client::new("bob", Role::User).subscribe(&all(), filter);
        assert_eq!(user.is_ok(), is_own, "{filter}");
        if !is_own {
            assert_eq!(user, Err(Denial::NotAdministrator), "{filter}");
        }
        let admin = Client::new("bob", Role::Admin).subscribe(&all(), filter);
        assert!(admin.is_ok(), "{filter}");
    }
}

#[test]
fn a_group_is_for_shared_topics_alone() {
    for role in ROLES {
        let bob = Client::new("bob", role);
        for (filter, allowed) in [
            ("$share/g/lamps/#", true),
            // What it matches of inboxes does not come.
            ("$share/g/#", true),
            ("$share/g/users/bob/+", false),
            ("$share/g/users/#", false),
            ("$share/g/$SYS/#", false),
        ] {
            let decision = bob.subscribe(&all(), filter);
            assert_eq!(decision.is_ok(), allowed, "{filter}");
            if !allowed {
                assert_eq!(decision, Err(Denial::NotShareable), "{filter}");
            }
        }
    }
}

#[test]
fn a_filter_has_at_most_1024_bytes() {
    let bob = Client::new("bob", Role::User);
    for start in ["lamps/", "$share/g/", "users/bob/"] {
        let longest = format!("{start:x<1024}");
        let decision = bob.subscribe(&all(), &longest);
        assert_ne!(decision, Err(Denial::FilterTooLong), "{start}");
        let decision = bob.subscribe(&all(), &format!("{longest}x"));
        assert_eq!(decision, Err(Denial::FilterTooLong), "{start}");
    }
    // A topic may be longer.
    let topic = "x".repeat(65_535);
    assert_eq!(bob.publish(&all(), &topic), allowed("#"));
    assert_eq!(bob.receive(&all(), &topic), Ok(()));
}

#[test]
fn what_may_be_received_is_what_may_be_subscribed_to_by_its_name() {
    for role in ROLES {
        let bob = Client::new("bob", role);
        for topic in [
            "lamps/1",
            "users/bob/notifications",
            "users/alice/notifications",
            "users",
            "users/bob",
            "$SYS/x",
            "$other/x",
        ] {
            let subscribed = bob.subscribe(&all(), topic).map(drop);
            assert_eq!(bob.receive(&all(), topic), subscribed, "{topic}");
        }
    }
}

#[test]
fn a_live_copy_is_what_reaches_others() {
    let bob = Client::new("bob", Role::Admin);
    for (filter, reaches) in [
        ("#", true),
        ("+/+", true),
        ("users/#", true),
        ("users/alice/#", true),
        ("users/bob/#", false),
        ("lamps/#", false),
        ("$SYS/#", false),
        ("$share/g/#", false),
    ] {
        let filter = TopicFilter::parse(filter).unwrap();
        let reached = topics::reaches_others(&filter, &bob.username);
        assert_eq!(reached, reaches, "{filter}");
    }
}
