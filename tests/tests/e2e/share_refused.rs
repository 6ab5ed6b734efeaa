//! What cannot be shared (MQTT 5 section 4.8.2), and shows nothing to a group.

use herald_tests::{
    SharedServer, Version,
    raw::{Connect, Packet, Raw},
};
use rstest::rstest;

use crate::heard::announce;

static SERVER: SharedServer = SharedServer::new();

#[rstest]
#[tokio::test]
async fn inboxes_and_the_brokers_own_topics_are_not_shared(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    // 0x9E: shared subscriptions not supported.
    let refused = if version.is_v5() { 0x9E } else { 0x80 };
    let mut alice = Raw::connect(&herald, version, "alice").await;
    for filter in ["notifications", "#", "+"] {
        let filter = format!("$share/g/users/{}/{filter}", herald.name("alice"));
        assert_eq!(alice.subscribe(&filter).await, refused, "{filter}");
    }
    let mut admin = Raw::connect(&herald, version, "admin").await;
    for filter in ["$share/g/users/#", "$share/g/$SYS/herald/uptime"] {
        assert_eq!(admin.subscribe(filter).await, refused, "{filter}");
    }
}

/// An observer's subscription is not shared either: `#` in a group is of shared topics.
#[tokio::test]
async fn a_group_sees_no_inbox() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let own = herald.inbox("alice");
    let alice = herald.http("alice").await;
    let mut observer = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(observer.subscribe(&own).await, 1);
    let in_group = Connect::of("admin").client_id("in a group");
    let mut in_group = Raw::connect_as(&herald, Version::V5, &in_group).await;
    let of_alice = own.replace("users/", "$share/g/+/");
    for filter in ["$share/g/#", &of_alice] {
        assert!(in_group.subscribe(filter).await <= 2, "{filter}");
    }
    alice.send_message("secret").await;
    assert_eq!(observer.take().await.topic, own);
    announce(&mut observer, &herald.topic("x"), 1, &["for all"]).await;
    assert_eq!(in_group.take().await.payload, "for all");
}

#[rstest]
#[tokio::test]
async fn what_may_not_be_subscribed_to_may_not_be_shared(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    for filter in [
        "$share/g/#",
        "$share/g/users/bob/#",
        "$share/g/$SYS/#",
        "$share/g/x",
    ] {
        let code = alice.subscribe(filter).await;
        assert_eq!(code, version.subscribe_refused(), "{filter}");
    }
}

/// A name has at least one character, and a filter follows it. What says otherwise is answered as a malformed filter, or
/// ends the connection as a malformed packet.
#[tokio::test]
async fn a_malformed_group_is_not_joined() {
    let herald = SERVER.with_users(&["admin"]).await;
    for filter in [
        "$share/g",
        "$share//broadcast/x",
        "$share/g/",
        "$share/+/broadcast/x",
    ] {
        let mut admin = Raw::connect(&herald, Version::V311, "admin").await;
        assert_eq!(admin.subscribe(filter).await, 0x80, "{filter}");
        let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
        admin.send_subscribe(1, filter, 1).await;
        let answer = admin.packet().await;
        let refused = match &answer {
            Some(Packet::Suback { codes, .. }) => codes == &[0x8F],
            Some(Packet::Disconnect { code, .. }) => *code == 0x81,
            _ => false,
        };
        assert!(refused, "{filter}: {answer:?}");
    }
}

/// Section 3.8.3.1-4.
#[tokio::test]
async fn no_local_in_a_group_is_a_protocol_error() {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    alice.send_subscribe(1, "$share/g/broadcast/x", 0b101).await;
    assert_eq!(alice.ended().await, Some(0x82));
}
