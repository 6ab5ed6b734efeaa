//! What a subscription brings, and what it does not (MQTT 5 sections 3.3.4, 3.8 and 4.7).

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Message, Property, Raw},
};
use rstest::rstest;

use crate::heard::{Announcer, announce, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

/// Subscription option: do not send back what this session publishes.
const NO_LOCAL: u8 = 0b100;

fn numbered(id: u32) -> [Property; 1] {
    [Property::SubscriptionIdentifier(id)]
}

#[tokio::test]
async fn overlapping_filters_bring_one_copy_at_the_highest_level_with_all_identifiers() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("a/b");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let filters = [
        ("#", 0, 7),
        ("+/b", 2, 268_435_455),
        ("a/b", 1, 1),
        ("other", 2, 3),
    ];
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    for (filter, qos, id) in filters {
        let filter = &herald.topic(filter);
        let codes = alice.subscribe_with(&[(filter, qos)], &numbered(id)).await;
        assert_eq!(codes, [qos]);
    }
    announce(&mut admin, topic, 2, &["once"]).await;
    let received = alice.take().await;
    assert_eq!(received.qos, 2);
    assert_eq!(received.identifiers(), [1, 7, 268_435_455]);
    hears_nothing_before(&mut alice, &mut admin, topic).await;
    // Without an identifier, or with another, from now on.
    let codes = alice.subscribe_with(&[(topic, 1)], &[]).await;
    assert_eq!(codes, [1]);
    let codes = alice
        .subscribe_with(&[(&herald.topic("#"), 0)], &numbered(8))
        .await;
    assert_eq!(codes, [0]);
    announce(&mut admin, topic, 2, &["once"]).await;
    assert_eq!(alice.take().await.identifiers(), [8, 268_435_455]);
    // Less, and lower.
    assert_eq!(alice.unsubscribe(&herald.topic("+/b")).await, 0);
    announce(&mut admin, topic, 2, &["once"]).await;
    let received = alice.take().await;
    assert_eq!((received.qos, received.identifiers()), (1, vec![8]));
}

#[tokio::test]
async fn overlapping_filters_bring_one_copy_in_3_1_1_too() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("a/b");
    let mut admin = Raw::connect(&herald, Version::V311, "admin").await;
    let mut alice = Raw::connect(&herald, Version::V311, "alice").await;
    let (all, wild) = (herald.topic("#"), herald.topic("+/b"));
    let filters = [(all.as_str(), 0), (&wild, 2), (topic, 1)];
    assert_eq!(alice.subscribe_all(&filters, None).await, [0, 2, 1]);
    for text in ["one", "two"] {
        announce(&mut admin, topic, 2, &[text]).await;
        let received = alice.take().await;
        assert_eq!((received.payload.as_str(), received.qos), (text, 2));
    }
    hears_nothing_before(&mut alice, &mut admin, topic).await;
}

#[tokio::test]
async fn subscription_identifiers_are_kept_with_the_session() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("a/b");
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let connect = Connect::kept("alice");
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe_with(&[(topic, 1)], &numbered(5)).await, [1]);
    admin.tell(topic, 1, &["under way"]).await;
    assert_eq!(alice.message().await.identifiers(), [5]);
    alice.cut().await;
    admin.tell(topic, 1, &["waiting"]).await;
    let mut alice = Raw::resume(&herald, Version::V5, &connect).await;
    admin.tell(topic, 1, &["live"]).await;
    for expected in ["under way", "waiting", "live"] {
        let received = alice.take().await;
        assert_eq!(received.payload, expected);
        assert_eq!(received.identifiers(), [5], "{expected}");
    }
}

/// Section 3.8.2.1.2.
#[tokio::test]
async fn the_subscription_identifier_0_is_a_protocol_error() {
    let herald = SERVER.with_users(&["admin"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    // SUBSCRIBE 1, identifier 0, to "a" at QoS 0.
    admin
        .send(&[0x82, 9, 0, 1, 2, 0x0B, 0, 0, 1, b'a', 0])
        .await;
    assert_eq!(admin.ended().await, Some(0x82));
}

#[tokio::test]
async fn no_local_is_of_one_subscription_and_of_one_session() {
    let herald = SERVER.with_users(&["admin"]).await;
    let topic: &str = &herald.topic("a/b");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let other = Connect::of("admin").client_id("other");
    let mut other = Raw::connect_as(&herald, Version::V5, &other).await;
    for raw in [&mut admin, &mut other] {
        assert_eq!(raw.subscribe_at(&herald.topic("#"), 1 | NO_LOCAL).await, 1);
    }
    announce(&mut admin, topic, 1, &["of admin"]).await;
    assert_eq!(other.take().await.payload, "of admin");
    hears_nothing_before(&mut admin, &mut other, topic).await;
    // Another filter that lets it through brings it.
    let codes = admin.subscribe_with(&[(topic, 1)], &numbered(4)).await;
    assert_eq!(codes, [1]);
    announce(&mut admin, topic, 1, &["to myself"]).await;
    let received = admin.take().await;
    assert_eq!(received.payload, "to myself");
    assert_eq!(received.identifiers(), [4]);
}

/// A session that goes on is still the one that published.
#[tokio::test]
async fn no_local_holds_when_a_session_goes_on() {
    let herald = SERVER.with_users(&["admin"]).await;
    let topic: &str = &herald.topic("a/b");
    let connect = Connect::kept("admin").client_id("kept");
    let mut kept = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(kept.subscribe_at(&herald.topic("#"), 1 | NO_LOCAL).await, 1);
    kept.cut().await;
    let mut kept = Raw::resume(&herald, Version::V5, &connect).await;
    announce(&mut kept, topic, 1, &["mine"]).await;
    let mut other = Raw::connect(&herald, Version::V311, "admin").await;
    hears_nothing_before(&mut kept, &mut other, topic).await;
}

#[rstest]
#[tokio::test]
async fn unsubscribing_ends_what_it_names_and_nothing_else(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    assert_eq!(alice.subscribe(&herald.topic("a")).await, 1);
    // 0x11: there was none.
    let code = alice.unsubscribe(&herald.topic("+")).await;
    assert_eq!(code, version.puback(0x11));
    assert_eq!(alice.unsubscribe(&herald.topic("#")).await, 0);
    let code = alice.unsubscribe(&herald.topic("#")).await;
    assert_eq!(code, version.puback(0x11));
    admin.tell(&herald.topic("b"), 1, &["not wanted"]).await;
    admin.tell(&herald.topic("a"), 1, &["wanted"]).await;
    assert_eq!(alice.take().await.payload, "wanted", "{version:?}");
    alice.disconnect().await;
}

#[tokio::test]
async fn wildcards_match_as_the_standard_says() {
    let herald = Herald::with_users(&["alice"]).await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    for (filter, matching, others) in [
        (
            "broadcast/#",
            &["broadcast", "broadcast/", "broadcast/a/b/c"][..],
            &[][..],
        ),
        (
            "broadcast/+",
            &["broadcast/", "broadcast/a", "broadcast/$a"],
            &["broadcast", "broadcast/a/b", "broadcast/a/"],
        ),
        (
            "broadcast/+/b",
            &["broadcast//b", "broadcast/a/b"],
            &["broadcast/b", "broadcast/a/B"],
        ),
        (
            "broadcast/ü/+/#",
            &["broadcast/ü/a", "broadcast/ü/a/b", "broadcast/ü/"],
            &["broadcast/ü", "broadcast/u/a"],
        ),
    ] {
        let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
        assert_eq!(alice.subscribe(filter).await, 1);
        for topic in others.iter().chain(matching) {
            admin.tell(topic, 1, &["x"]).await;
        }
        for topic in matching {
            assert_eq!(alice.take().await.topic, *topic, "{filter}");
        }
        alice.disconnect().await;
    }
}

/// MQTT 5 section 4.7.2: the broker's own topics come to those who name them. In both versions at once, as rounds are ten
/// seconds apart.
#[tokio::test]
async fn wildcards_never_match_topics_that_begin_with_a_dollar_sign() {
    let herald = Herald::start().await;
    let mut clients = vec![];
    for version in [Version::V311, Version::V5] {
        let connect = |who: &str| Connect::of("admin").client_id(&format!("{who} {version:?}"));
        let mut named = Raw::connect_as(&herald, version, &connect("named")).await;
        assert_eq!(named.subscribe("$SYS/herald/uptime").await, 1);
        assert_eq!(named.take().await.topic, "$SYS/herald/uptime");
        let mut wild = Raw::connect_as(&herald, version, &connect("wild")).await;
        for filter in ["#", "+/herald/uptime", "+/herald/#", "+/#"] {
            assert_eq!(wild.subscribe_at(filter, 0).await, 0);
            assert_eq!(wild.at_once().await, [], "{version:?}: {filter}");
        }
        clients.push((version, named, wild));
    }
    // The next round has come to whoever named it, and passed by whoever did not.
    for (version, named, wild) in &mut clients {
        assert_eq!(named.take().await.topic, "$SYS/herald/uptime");
        assert_eq!(wild.at_once().await, [], "{version:?}");
    }
}

/// The answer to a SUBSCRIBE has one code a filter, in its order.
#[rstest]
#[case(Version::V311, [1, 0x80, 0x80, 0x80, 2, 0x80])]
#[case(Version::V5, [1, 0x87, 0x8F, 0x87, 2, 0x87])]
#[tokio::test]
async fn each_filter_of_a_subscribe_is_answered_for_itself(
    #[case] version: Version,
    #[case] expected: [u8; 6],
) {
    let herald = Herald::with_users(&["alice"]).await;
    let filters = [
        ("broadcast/a", 1),
        ("users/bob/notifications", 1),
        ("broadcast/#/a", 1),
        ("$SYS/#", 0),
        ("broadcast/b", 2),
        ("#", 0),
    ];
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe_all(&filters, None).await, expected);
    admin.send(&Message::new("broadcast/c", "for nobody")).await;
    admin.send(&Message::new("broadcast/b", "for alice")).await;
    assert_eq!(alice.take().await.payload, "for alice");
    alice.disconnect().await;
}
