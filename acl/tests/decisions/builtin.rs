//! The rules of a new installation.

use herald_acl::{Denial, Policy, Role};

use crate::{Client, DEFAULT, allowed};

#[test]
fn a_user_reads_the_own_inbox_and_the_broadcasts() {
    let (policy, bob) = (Policy::builtin(), Client::new("bob", Role::User));
    for filter in [
        "users/bob/#",
        "users/bob/notifications",
        "users/bob/+",
        "users/bob",
    ] {
        assert_eq!(
            bob.subscribe(&policy, filter),
            allowed("builtin-inbox"),
            "{filter}"
        );
    }
    assert_eq!(
        bob.subscribe(&policy, "broadcast/#"),
        allowed("builtin-broadcast")
    );
    assert_eq!(
        bob.subscribe(&policy, "$share/g/users/bob/#"),
        Err(Denial::NotShareable)
    );
    assert_eq!(
        bob.subscribe(&policy, "responses/bob/#"),
        allowed("builtin-responses")
    );
}

#[test]
fn a_user_reads_nothing_else() {
    let (policy, bob) = (Policy::builtin(), Client::new("bob", Role::User));
    let others = [
        "#",
        "+/#",
        "+",
        "users/#",
        "users/+/#",
        "users/+/messages",
        "users/alice/#",
        "users/bobby/#",
        "+/bob/#",
    ];
    for filter in others {
        let decision = bob.subscribe(&policy, filter);
        assert_eq!(decision, Err(Denial::NotAdministrator), "{filter}");
    }
    let filters = [
        "$SYS/#",
        "$share/g/#",
        "$share/g/users/alice/#",
        "$share/users/bob/#",
        "broadcasts",
        "responses/#",
        "responses/+/1",
        "responses/alice/#",
    ];
    for filter in filters {
        assert_eq!(bob.subscribe(&policy, filter), DEFAULT, "{filter}");
    }
}

#[test]
fn a_user_sends_only_own_messages() {
    let (policy, bob) = (Policy::builtin(), Client::new("bob", Role::User));
    assert_eq!(
        bob.publish(&policy, "users/bob/messages"),
        allowed("builtin-send")
    );
    for topic in ["users/alice/messages", "users/bob/notifications", "$SYS/x"] {
        let decision = bob.publish(&policy, topic);
        assert_eq!(decision, Err(Denial::Reserved), "{topic}");
    }
    for topic in ["broadcast/all", "responses/bob/1", "x"] {
        assert_eq!(bob.publish(&policy, topic), DEFAULT, "{topic}");
    }
}

#[test]
fn an_admin_reads_everything_announces_and_responds() {
    let (policy, root) = (Policy::builtin(), Client::new("root", Role::Admin));
    assert_eq!(root.subscribe(&policy, "#"), allowed("builtin-debug"));
    assert_eq!(
        root.subscribe(&policy, "users/alice/#"),
        allowed("builtin-debug")
    );
    assert_eq!(root.subscribe(&policy, "$other/#"), DEFAULT);
    assert_eq!(
        root.publish(&policy, "broadcast/all"),
        allowed("builtin-announce")
    );
    assert_eq!(root.subscribe(&policy, "$SYS/#"), allowed("builtin-sys"));
    assert_eq!(
        root.publish(&policy, "responses/alice/1"),
        allowed("builtin-respond")
    );
    for topic in ["users/alice/messages", "$SYS/x"] {
        let decision = root.publish(&policy, topic);
        assert_eq!(decision, Err(Denial::Reserved), "{topic}");
    }
}

#[test]
fn the_most_specific_allow_rule_is_named_in_any_order() {
    let (policy, root) = (Policy::builtin(), Client::new("root", Role::Admin));
    assert_eq!(
        root.subscribe(&policy, "users/root/x"),
        allowed("builtin-inbox")
    );
    let reversed = Policy::new(Policy::builtin_rules().into_iter().rev().collect());
    assert_eq!(
        root.subscribe(&reversed, "users/root/x"),
        allowed("builtin-inbox")
    );
}
