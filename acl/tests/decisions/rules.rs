//! What rules say.

use herald_acl::{Actions, Policy, Role, Subject, TopicFilter, Username};

use crate::{Client, DEFAULT, allow, allowed, denied, deny};

#[test]
fn a_deny_rule_outweighs_allow_rules_before_and_after_it() {
    let all = allow("all", &Subject::Everyone, Actions::Both, "#");
    let secret = deny("secret", &Subject::Everyone, Actions::Both, "+/secret/#");
    let bob = Client::new("bob", Role::User);
    for rules in [vec![all.clone(), secret.clone()], vec![secret, all]] {
        let policy = Policy::new(rules);
        assert_eq!(bob.publish(&policy, "a/b"), allowed("all"));
        assert_eq!(bob.publish(&policy, "a/secret"), denied("secret"));
        assert_eq!(bob.subscribe(&policy, "a/b"), allowed("all"));
        assert_eq!(bob.subscribe(&policy, "a/secret/b"), denied("secret"));
        assert_eq!(bob.subscribe(&policy, "a/#"), denied("secret"));
        assert_eq!(bob.subscribe(&policy, "$share/g/a/+"), denied("secret"));
    }
}

#[test]
fn a_rule_is_only_about_its_actions_and_its_subject() {
    let alice = Subject::User(Username::parse("alice").unwrap());
    let policy = Policy::new(vec![
        allow("all", &Subject::Everyone, Actions::Both, "#"),
        deny(
            "read-only",
            &Subject::Role(Role::User),
            Actions::Publish,
            "#",
        ),
        deny("not-alice", &alice, Actions::Subscribe, "#"),
    ]);
    let bob = Client::new("bob", Role::User);
    assert_eq!(bob.publish(&policy, "a"), denied("read-only"));
    assert_eq!(bob.subscribe(&policy, "a"), allowed("all"));
    let alice = Client::new("alice", Role::Admin);
    assert_eq!(alice.publish(&policy, "a"), allowed("all"));
    assert_eq!(alice.subscribe(&policy, "a"), denied("not-alice"));
}

#[test]
fn two_allow_rules_do_not_add_up_to_a_wider_one() {
    let policy = Policy::new(vec![
        allow("deeper", &Subject::Everyone, Actions::Subscribe, "a/+/#"),
        allow("parent", &Subject::Everyone, Actions::Subscribe, "a"),
    ]);
    let bob = Client::new("bob", Role::User);
    assert_eq!(bob.subscribe(&policy, "a/#"), DEFAULT);
}

#[test]
fn a_client_id_neither_widens_an_allow_rule_nor_escapes_a_deny_rule() {
    let devices = allow("devices", &Subject::Everyone, Actions::Both, "devices/%c/#");
    let locked = deny(
        "locked",
        &Subject::Everyone,
        Actions::Publish,
        "devices/%c/lock",
    );
    let policy = Policy::new(vec![devices, locked]);
    let mut bob = Client::new("bob", Role::User);
    assert_eq!(
        bob.subscribe(&policy, "devices/phone/#"),
        allowed("devices")
    );
    assert_eq!(bob.publish(&policy, "devices/phone/x"), allowed("devices"));
    assert_eq!(bob.publish(&policy, "devices/phone/lock"), denied("locked"));
    for client_id in ["+", "#", "phone/x", "a/+", "a\0"] {
        bob.client_id = client_id.into();
        assert_eq!(
            bob.subscribe(&policy, "devices/phone/#"),
            DEFAULT,
            "{client_id:?}"
        );
        assert_eq!(
            bob.subscribe(&policy, "devices/+/#"),
            DEFAULT,
            "{client_id:?}"
        );
        assert_eq!(
            bob.publish(&policy, "devices/phone/x"),
            denied("locked"),
            "{client_id:?}"
        );
    }
}

#[test]
fn a_rule_about_a_group_is_about_shared_subscriptions_in_it_alone() {
    let everyone = Subject::Everyone;
    let workers = Subject::Role(Role::User);
    let policy = Policy::new(vec![
        allow("lamps", &everyone, Actions::Subscribe, "lamps/#"),
        allow("jobs", &workers, Actions::Both, "$share/crew/jobs/+"),
        allow("crew", &workers, Actions::Subscribe, "$share/crew/lamps/1"),
        deny("closed", &everyone, Actions::Subscribe, "$share/no/#"),
        deny("danger", &everyone, Actions::Subscribe, "jobs/danger"),
    ]);
    let bob = Client::new("bob", Role::User);
    for (filter, decision) in [
        ("$share/crew/jobs/1", allowed("jobs")),
        // It denies some of that.
        ("$share/crew/jobs/+", denied("danger")),
        ("$share/crew/jobs/danger", denied("danger")),
        ("$share/crew/jobs/1/2", DEFAULT),
        ("$share/other/jobs/1", DEFAULT),
        ("jobs/1", DEFAULT),
        ("$share/crew/lamps/1", allowed("crew")),
        ("$share/crew/lamps/2", allowed("lamps")),
        ("$share/other/lamps/1", allowed("lamps")),
        ("lamps/1", allowed("lamps")),
        ("$share/no/lamps/1", denied("closed")),
    ] {
        assert_eq!(bob.subscribe(&policy, filter), decision, "{filter}");
    }
    assert_eq!(bob.publish(&policy, "jobs/1"), DEFAULT);
    let root = Client::new("root", Role::Admin);
    assert_eq!(root.subscribe(&policy, "$share/crew/jobs/1"), DEFAULT);
    for (filter, opens) in [
        ("$share/crew/jobs/1", true),
        ("$share/crew/lamps/1", true),
        ("$share/crew/lamps/2", false),
        ("lamps/1", false),
    ] {
        let filter = TopicFilter::parse(filter).unwrap();
        let permit = policy.subscribe(&bob.principal(), &filter).unwrap();
        assert_eq!(permit.opens_group, opens, "{filter}");
    }
}

#[test]
fn a_policy_without_rules_allows_nothing() {
    let (policy, root) = (Policy::new(Vec::new()), Client::new("root", Role::Admin));
    assert_eq!(root.subscribe(&policy, "a"), DEFAULT);
    assert_eq!(root.publish(&policy, "a"), DEFAULT);
}
