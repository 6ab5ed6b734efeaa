//! The shared plane: announcements and what only administrators see.

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Raw},
};
use rstest::rstest;

use crate::notified::{inbox, parse};

static SERVER: SharedServer = SharedServer::new();

/// Subscription option: do not send back what this session publishes (MQTT 5 section 3.8.3.1).
const NO_LOCAL: u8 = 0b100;

#[tokio::test]
async fn everyone_hears_an_announcement() {
    let herald = SERVER
        .with_users(&["alice", "bob", "carol", "dave", "admin"])
        .await;
    let mut printing = vec![];
    for (version, user) in [(Version::V311, "alice"), (Version::V5, "bob")] {
        let client = Mosquitto::new(&herald, version, Transport::Tls, user);
        printing.push(client.subscribe(&[&herald.topic("#")]).await);
    }
    let url = format!("wss://{}/mqtt", herald.http_address());
    let mut browsers = vec![];
    for (version, user) in [(Version::V311, "carol"), (Version::V5, "dave")] {
        let mut client = MqttJs::connected(&herald, version, &url, user, &password(user)).await;
        assert_eq!(client.subscribe(&herald.topic("+")).await, 1);
        browsers.push(client);
    }
    for (version, text) in [(Version::V311, "hello"), (Version::V5, "good bye")] {
        let admin = Mosquitto::new(&herald, version, Transport::Tls, "admin");
        assert_eq!(admin.publish(&herald.topic("news"), text).await, 0);
        for subscriber in &mut printing {
            let received = subscriber.message().await;
            assert_eq!(
                (received.topic.as_str(), received.payload.as_str()),
                (herald.topic("news").as_str(), text)
            );
            assert_eq!((received.qos, received.retain), (1, false));
        }
        for client in &mut browsers {
            let message = client.message().await;
            assert_eq!(message["topic"], herald.topic("news"));
            assert_eq!(message["payload"], text);
        }
    }
}

#[rstest]
#[tokio::test]
async fn only_administrators_announce(#[values(Version::V311, Version::V5)] version: Version) {
    let herald = SERVER.with_users(&["alice", "bob", "admin"]).await;
    let mut bob = Raw::connect(&herald, Version::V5, "bob").await;
    assert_eq!(bob.subscribe(&herald.topic("#")).await, 1);
    let mut alice = Raw::connect(&herald, version, "alice").await;
    for topic in [&herald.topic("news"), "elsewhere", "$SYS/herald/x"] {
        let code = alice.publish(topic, "from alice").await;
        assert_eq!(code, version.puback(0x87), "{version:?}: {topic}");
        alice.publish_at_most_once(topic, "from alice", true).await;
    }
    alice.ping().await;
    alice.disconnect().await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(admin.publish(&herald.topic("news"), "from admin").await, 0);
    assert_eq!(bob.take().await.payload, "from admin");
}

#[rstest]
#[tokio::test]
async fn a_retained_announcement_greets_who_comes_later(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, Version::V311, "admin").await;
    assert_eq!(admin.subscribe(&herald.topic("+")).await, 1);
    admin
        .publish_at_most_once(&herald.topic("state"), "old", true)
        .await;
    admin
        .publish_at_most_once(&herald.topic("state"), "open", true)
        .await;
    for expected in ["old", "open"] {
        let live = admin.take().await;
        assert_eq!((live.payload.as_str(), live.retain), (expected, false));
    }
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    let greeting = alice.take().await;
    assert_eq!((greeting.payload.as_str(), greeting.retain), ("open", true));
    alice.disconnect().await;
    // An empty one takes it away.
    admin
        .publish_at_most_once(&herald.topic("state"), "", true)
        .await;
    assert_eq!(admin.take().await.payload, "");
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    assert_eq!(admin.publish(&herald.topic("news"), "fresh").await, 0);
    let next = alice.take().await;
    assert_eq!((next.payload.as_str(), next.retain), ("fresh", false));
}

#[tokio::test]
async fn no_local_keeps_ones_own_announcements_away() {
    let herald = SERVER.with_users(&["admin"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let all = herald.topic("#");
    let filters = [(all.as_str(), 1 | NO_LOCAL)];
    assert_eq!(admin.subscribe_all(&filters, None).await, [1]);
    assert_eq!(admin.publish(&herald.topic("news"), "mine").await, 0);
    let other = Connect::of("admin").client_id("other");
    let mut other = Raw::connect_as(&herald, Version::V311, &other).await;
    assert_eq!(other.publish(&herald.topic("news"), "another's").await, 0);
    assert_eq!(admin.take().await.payload, "another's");
}

#[rstest]
#[tokio::test]
async fn the_lower_qos_of_publisher_and_subscriber_counts(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let all = herald.topic("#");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    for granted in [0, 1] {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        let filters = [(all.as_str(), granted)];
        assert_eq!(alice.subscribe_all(&filters, None).await, [granted]);
        admin
            .publish_at_most_once(&herald.topic("news"), "at most once", false)
            .await;
        let received = alice.take().await;
        assert_eq!(
            (received.payload.as_str(), received.qos),
            ("at most once", 0)
        );
        assert_eq!(
            admin.publish(&herald.topic("news"), "at least once").await,
            0
        );
        let received = alice.take().await;
        assert_eq!(
            (received.payload.as_str(), received.qos),
            ("at least once", granted)
        );
        alice.disconnect().await;
    }
}

#[rstest]
#[tokio::test]
async fn notifications_are_granted_at_qos_1_and_shared_topics_at_what_is_asked(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    let (all, own) = (herald.topic("#"), herald.inbox("alice"));
    let filters = [(all.as_str(), 2), (own.as_str(), 2)];
    assert_eq!(alice.subscribe_all(&filters, None).await, [2, 1]);
}

#[rstest]
#[tokio::test]
async fn a_dropped_connection_publishes_the_last_will(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    let gone = herald.topic("gone");
    let connect = Connect::of("admin").will(&gone, "quietly");
    let admin = Raw::connect_as(&herald, version, &connect).await;
    admin.disconnect().await;
    let connect = Connect::of("admin").will(&gone, "suddenly");
    let admin = Raw::connect_as(&herald, version, &connect).await;
    drop(admin);
    // A clean end publishes none.
    let will = alice.take().await;
    assert_eq!(
        (will.topic.as_str(), will.payload.as_str()),
        (gone.as_str(), "suddenly")
    );
}

#[rstest]
#[tokio::test]
async fn administrators_can_watch_everyones_notifications(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    assert_eq!(admin.subscribe("users/#").await, 1);
    herald.http("alice").await.send_message("hello").await;
    let seen = admin.take().await;
    assert_eq!(seen.topic, inbox("alice"));
    assert_eq!(parse(&seen.payload), (1, "hello".into()));
    admin.disconnect().await;
    // Watching is not receiving.
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&inbox("alice")).await, 1);
    assert_eq!(parse(&alice.take().await.payload).0, 1);
}
