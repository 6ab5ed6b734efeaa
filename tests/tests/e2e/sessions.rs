//! Sessions: how long they last, who has them, who takes them over (MQTT 5 sections 3.1.2.4, 3.1.2.11.2, 3.1.4 and 4.1).

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Property, Raw, Will},
};
use rstest::rstest;

use crate::heard::{Announcer, heard, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

async fn admin(herald: &Herald) -> Announcer {
    Announcer::new(herald, Version::V5).await
}

/// An hour.
const LONG: Property = Property::SessionExpiry(3600);

#[rstest]
#[case(Version::V311, true)]
#[case(Version::V5, true)]
#[case(Version::V5, false)]
#[tokio::test]
async fn a_session_that_was_not_to_be_kept_ends_with_its_connection(
    #[case] version: Version,
    #[case] clean: bool,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let connect = &Connect {
        clean,
        ..Connect::of("alice")
    };
    for politely in [true, false] {
        let (mut alice, connack) = Raw::begin(&herald, version, connect).await;
        assert!(!connack.session_present);
        assert_eq!(alice.subscribe(topic).await, 1);
        if politely {
            alice.disconnect().await;
        } else {
            alice.cut().await;
        }
        admin.tell(topic, 1, &["while away"]).await;
        let again = Connect::kept("alice");
        let (mut alice, connack) = Raw::begin(&herald, version, &again).await;
        assert!(!connack.session_present, "{version:?}");
        admin.tell(topic, 1, &["not subscribed to"]).await;
        assert_eq!(alice.subscribe(topic).await, 1);
        hears_nothing_before(&mut alice, &mut admin.0, topic).await;
        // Takes the kept one away.
        alice.disconnect().await;
        Raw::connect(&herald, version, "alice")
            .await
            .disconnect()
            .await;
    }
}

#[rstest]
#[tokio::test]
async fn a_kept_session_goes_on_however_its_connection_ended(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = admin(&herald).await;
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let (mut alice, connack) = Raw::begin(&herald, version, &connect).await;
    assert!(!connack.session_present);
    assert_eq!(alice.subscribe(&herald.topic("a")).await, 1);
    assert_eq!(alice.subscribe(&herald.topic("b")).await, 1);
    assert_eq!(alice.unsubscribe(&herald.topic("b")).await, 0);
    for politely in [true, false, true] {
        if politely {
            alice.disconnect().await;
        } else {
            alice.cut().await;
        }
        alice = Raw::resume(&herald, version, &connect).await;
        admin.tell(&herald.topic("b"), 1, &["not any more"]).await;
        admin.tell(&herald.topic("a"), 1, &["still"]).await;
        assert_eq!(heard(&mut alice, 1).await, ["still"], "{version:?}");
    }
    alice.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn a_clean_start_takes_a_kept_session_away(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let kept = Connect::kept("alice");
    let mut alice = Raw::connect_as(&herald, version, &kept).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    alice.disconnect().await;
    admin.tell(topic, 1, &["while away"]).await;
    let (mut alice, connack) = Raw::begin(&herald, version, &Connect::of("alice")).await;
    assert!(!connack.session_present);
    admin.tell(topic, 1, &["not subscribed to"]).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
    alice.disconnect().await;
    let (alice, connack) = Raw::begin(&herald, version, &kept).await;
    assert!(!connack.session_present);
    alice.disconnect().await;
    Raw::connect(&herald, version, "alice")
        .await
        .disconnect()
        .await;
}

/// To begin anew and to be kept are two things in MQTT 5.
#[tokio::test]
async fn a_clean_start_with_an_expiry_begins_a_session_that_is_kept() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let begin = Connect::of("alice").with(LONG);
    let mut alice = Raw::connect_as(&herald, Version::V5, &begin).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    alice.cut().await;
    admin.tell(topic, 1, &["while away"]).await;
    let mut alice = Raw::resume(&herald, Version::V5, &Connect::kept("alice")).await;
    assert_eq!(heard(&mut alice, 1).await, ["while away"]);
}

/// The will, whose delay is longer, tells when the session ends (MQTT 5 section 3.1.3.2.2).
#[tokio::test]
async fn a_session_expires() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&herald.topic("expired")).await, 1);
    let connect = Connect {
        clean: false,
        ..Connect::of("admin").with(Property::SessionExpiry(1))
    };
    let with_will = connect.clone().will_with(Will {
        topic: herald.topic("expired"),
        payload: "gone".into(),
        qos: 1,
        retain: false,
        properties: vec![Property::WillDelay(3600)],
    });
    let mut admin = Raw::connect_as(&herald, Version::V5, &with_will).await;
    assert_eq!(admin.subscribe(&herald.topic("x")).await, 1);
    admin.cut().await;
    assert_eq!(heard(&mut alice, 1).await, ["gone"]);
    let (_, connack) = Raw::begin(&herald, Version::V5, &connect).await;
    assert!(!connack.session_present);
}

#[tokio::test]
async fn disconnect_can_end_a_session_that_was_to_be_kept() {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect::kept("alice");
    let alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    alice
        .disconnect_with(0, &[Property::SessionExpiry(0)])
        .await;
    let (alice, connack) = Raw::begin(&herald, Version::V5, &connect).await;
    assert!(!connack.session_present);
    alice.disconnect_with(0, &[LONG]).await;
    Raw::resume(&herald, Version::V5, &connect).await;
}

/// MQTT 5 section 3.14.2.2.2.
#[tokio::test]
async fn disconnect_cannot_keep_a_session_that_was_not_to_be_kept() {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    // DISCONNECT, reason 0, a session expiry interval of a second.
    alice.send(&[0xE0, 7, 0, 5, 0x11, 0, 0, 0, 1]).await;
    assert_eq!(alice.ended().await, Some(0x82));
    let (_, connack) = Raw::begin(&herald, Version::V5, &Connect::kept("alice")).await;
    assert!(!connack.session_present);
}

#[tokio::test]
async fn the_operator_bounds_how_long_sessions_are_kept() {
    let longest = ("HERALD_MQTT__MAX_SESSION_EXPIRY_S", "60");
    let herald = Herald::start_with(&[longest]).await;
    for (asked, told) in [(30, None), (60, None), (61, Some(60)), (u32::MAX, Some(60))] {
        let connect = Connect::of("admin").with(Property::SessionExpiry(asked));
        let (_, connack) = Raw::begin(&herald, Version::V5, &connect).await;
        let expiry = connack.properties.iter().find_map(|p| match p {
            Property::SessionExpiry(seconds) => Some(*seconds),
            _ => None,
        });
        assert_eq!(expiry, told, "{asked}");
    }
}

#[rstest]
#[tokio::test]
async fn the_same_client_takes_its_session_over(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let mut first = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(first.subscribe(topic).await, 1);
    admin.tell(topic, 1, &["one"]).await;
    let unacknowledged = first.message().await;

    let mut second = Raw::resume(&herald, version, &connect).await;
    assert_eq!(first.ended().await, version.is_v5().then_some(0x8E));
    let again = second.take().await;
    assert_eq!((again.id, again.dup), (unacknowledged.id, true));
    admin.tell(topic, 1, &["two"]).await;
    assert_eq!(heard(&mut second, 1).await, ["two"]);

    // A clean start ends the older connection just as well, and its session.
    let clean = Connect {
        clean: true,
        ..connect
    };
    let (third, connack) = Raw::begin(&herald, version, &clean).await;
    assert!(!connack.session_present);
    assert_eq!(second.ended().await, version.is_v5().then_some(0x8E));
    third.disconnect().await;
}

/// Each is taken over by the next, and the last one has the session.
#[rstest]
#[tokio::test]
async fn a_client_that_connects_many_times_at_once_has_one_session(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    alice.disconnect().await;
    let connecting = (0..8).map(|_| async {
        let mut raw = Raw::open(&herald, version).await;
        raw.connack(&connect).await;
        raw
    });
    let all = futures_util::future::join_all(connecting).await;
    let mut last = Raw::resume(&herald, version, &connect).await;
    admin.tell(topic, 1, &["to one"]).await;
    assert_eq!(heard(&mut last, 1).await, ["to one"]);
    for mut raw in all {
        raw.ended_at_last().await;
    }
    last.ping().await;
}

#[rstest]
#[tokio::test]
async fn another_users_client_of_the_same_id_is_another_session(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let connect = |user| Connect::kept(user).client_id(&format!("phone {version:?}"));
    let mut alice = Raw::connect_as(&herald, version, &connect("alice")).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    let (mut bob, connack) = Raw::begin(&herald, version, &connect("bob")).await;
    assert!(!connack.session_present);
    alice.ping().await;
    assert_eq!(bob.subscribe(&herald.topic("of-bob")).await, 1);
    bob.cut().await;
    alice.cut().await;
    admin.tell(topic, 1, &["for alice"]).await;
    admin.tell(&herald.topic("of-bob"), 1, &["for bob"]).await;
    let mut bob = Raw::resume(&herald, version, &connect("bob")).await;
    let mut alice = Raw::resume(&herald, version, &connect("alice")).await;
    assert_eq!(heard(&mut bob, 1).await, ["for bob"]);
    assert_eq!(heard(&mut alice, 1).await, ["for alice"]);
}

/// Sessions are kept in memory; what must not be lost is in the inbox.
#[rstest]
#[tokio::test]
async fn a_session_does_not_outlive_the_server_and_says_so(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let connect = Connect::kept("alice");
    let (mut alice, connack) = Raw::begin(&herald, version, &connect).await;
    assert!(!connack.session_present);
    assert_eq!(alice.subscribe(&herald.topic("x")).await, 1);
    alice.disconnect().await;
    herald.restart().await;
}

#[rstest]
#[tokio::test]
async fn a_subscription_that_is_repeated_replaces_the_one_of_an_earlier_connection(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = admin(&herald).await;
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(alice.subscribe_at(topic, 2).await, 2);
    alice.disconnect().await;
    let mut alice = Raw::resume(&herald, version, &connect).await;
    assert_eq!(alice.subscribe_at(topic, 1).await, 1);
    admin.tell(topic, 2, &["once"]).await;
    assert_eq!(alice.take().await.qos, 1);
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
    alice.disconnect().await;
}
