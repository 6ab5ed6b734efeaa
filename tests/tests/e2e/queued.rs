//! What waits for a session without a connection.

use std::time::Duration;

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Message, Raw},
};
use rstest::rstest;
use serde_json::json;

use crate::heard::{Announcer, heard, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

/// A session that listens at QoS 2, and is away.
async fn away(herald: &Herald, version: Version) -> Connect {
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let mut alice = Raw::connect_as(herald, version, &connect).await;
    assert_eq!(alice.subscribe_at(&herald.topic("#"), 2).await, 2);
    alice.disconnect().await;
    connect
}

#[rstest]
#[tokio::test]
async fn qos_1_and_2_wait_in_order_and_qos_0_does_not(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let connect = away(&herald, version).await;
    let mut admin = Announcer::new(&herald, version).await;
    for (n, qos) in (0..).zip([1, 0, 2, 2, 0, 1, 2, 1, 0]) {
        let message = Message::new(topic, &format!("{n} at {qos}")).qos(qos);
        admin.send(&message).await;
    }
    let mut alice = Raw::resume(&herald, version, &connect).await;
    for (n, qos) in [(0, 1), (2, 2), (3, 2), (5, 1), (6, 2), (7, 1)] {
        let received = alice.take().await;
        assert_eq!(received.payload, format!("{n} at {qos}"), "{version:?}");
        // It was not sent before.
        assert_eq!((received.qos, received.dup), (qos, false));
    }
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
    alice.disconnect().await;
}

/// What was under way comes first, then what came since.
#[rstest]
#[tokio::test]
async fn what_was_under_way_comes_before_what_waited(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    for qos in [1, 2] {
        let connect = Connect::kept("alice").client_id(&format!("{version:?} {qos}"));
        let mut alice = Raw::connect_as(&herald, version, &connect).await;
        assert_eq!(alice.subscribe_at(topic, qos).await, qos);
        let mut admin = Announcer::new(&herald, version).await;
        admin.tell(topic, qos, &["1", "2"]).await;
        alice.message().await;
        alice.message().await;
        alice.cut().await;
        admin.tell(topic, qos, &["3", "4"]).await;
        let mut alice = Raw::resume(&herald, version, &connect).await;
        for (payload, dup) in [("1", true), ("2", true), ("3", false), ("4", false)] {
            let received = alice.take().await;
            assert_eq!((received.payload.as_str(), received.dup), (payload, dup));
        }
        alice.disconnect().await;
    }
}

/// Twice what is sent before the broker waits for acknowledgements.
#[rstest]
#[tokio::test]
async fn a_long_queue_is_taken_by_a_slow_client_in_order(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    const COUNT: usize = 64;
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let connect = away(&herald, version).await;
    let mut admin = Announcer::new(&herald, version).await;
    let texts: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
    let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
    admin.tell(&herald.topic("x"), 1, &payloads).await;
    let mut alice = Raw::resume(&herald, version, &connect).await;
    assert_eq!(heard(&mut alice, COUNT).await, texts);
    alice.disconnect().await;
}

/// Reads until the counter has this value, which a round of `$SYS` says.
async fn until_dropped(watcher: &mut Raw, count: &str) {
    let counting = async { while watcher.take().await.payload != count {} };
    // Rounds are ten seconds apart.
    tokio::time::timeout(Duration::from_secs(40), counting)
        .await
        .expect("the counter comes");
}

#[rstest]
#[tokio::test]
async fn the_oldest_are_dropped_past_the_limit_and_counted(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let limit = ("HERALD_LIMITS__QUEUED_MESSAGES", "10");
    let herald = Herald::start_with(&[limit]).await;
    let topic: &str = &herald.topic("x");
    let admin = herald.http("admin").await;
    admin.create_user("alice", "user").await;
    let mut watcher = Raw::connect(&herald, Version::V5, "admin").await;
    let counter = "$SYS/herald/shared/dropped";
    assert_eq!(watcher.subscribe(counter).await, 1);
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let connect = away(&herald, version).await;
    let texts: Vec<String> = (0..15).map(|n| n.to_string()).collect();
    let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
    admin.tell(topic, 1, &payloads).await;
    let mut alice = Raw::resume(&herald, version, &connect).await;
    assert_eq!(heard(&mut alice, 10).await, texts[5..], "{version:?}");
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
    assert_eq!(alice.unsubscribe(&herald.topic("#")).await, 0);
    until_dropped(&mut watcher, "5").await;
}

#[rstest]
#[tokio::test]
async fn the_oldest_are_dropped_past_the_bytes_that_may_wait(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let limit = ("HERALD_LIMITS__QUEUED_BYTES", "140000");
    let herald = Herald::start_with(&[limit]).await;
    let topic: &str = &herald.topic("x");
    let admin = herald.http("admin").await;
    admin.create_user("alice", "user").await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let connect = away(&herald, version).await;
    for n in 0..10 {
        let payload = format!("{n}{}", "x".repeat(40_000));
        admin.tell(topic, 1, &[&payload]).await;
    }
    let mut alice = Raw::resume(&herald, version, &connect).await;
    for n in ["7", "8", "9"] {
        assert_eq!(alice.take().await.payload[..1], *n, "{version:?}");
    }
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
    assert_eq!(alice.unsubscribe(&herald.topic("#")).await, 0);
}

#[rstest]
#[tokio::test]
async fn mosquitto_sub_gets_what_its_session_is_owed(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let id = format!("{version:?}");
    let client = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let mut client = client.args(&["-i", &id, "-c"]);
    if version.is_v5() {
        client = client.args(&["-x", "3600"]);
    }
    client.subscribe_at(2, &[topic]).await.stop().await;
    let admin = Mosquitto::new(&herald, version, Transport::Tls, "admin");
    for (qos, payload) in [(1, "one"), (0, "none"), (2, "two")] {
        assert_eq!(admin.publish_at(qos, topic, payload).await, 0);
    }
    let mut subscriber = client.subscribe_at(2, &[topic]).await;
    for (qos, payload) in [(1, "one"), (2, "two")] {
        let received = subscriber.message().await;
        assert_eq!((received.qos, received.payload.as_str()), (qos, payload));
    }
    subscriber.stop().await;
}

#[rstest]
#[tokio::test]
async fn mqttjs_gets_what_its_session_is_owed(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let url = format!("wss://{}/mqtt", herald.http_address());
    let mut options = json!({"clientId": format!("{version:?}"), "clean": false});
    if version.is_v5() {
        options["properties"] = json!({"sessionExpiryInterval": 3600});
    }
    let connecting = || {
        let (url, options) = (url.clone(), options.clone());
        let herald = &herald;
        async move {
            let secret = password("alice");
            MqttJs::connect(herald, version, &url, "alice", &secret, options).await
        }
    };
    let mut client = connecting().await;
    let connack = client.event("connack").await;
    assert_eq!(connack["sessionPresent"], false, "{connack}");
    assert_eq!(client.subscribe_with(topic, json!({"qos": 2})).await, 2);
    client.disconnect().await;
    let mut admin = Announcer::new(&herald, version).await;
    admin.tell(topic, 1, &["one"]).await;
    admin.tell(topic, 2, &["two"]).await;
    let mut client = connecting().await;
    let connack = client.event("connack").await;
    assert_eq!(connack["sessionPresent"], true, "{connack}");
    for (qos, payload) in [(1, "one"), (2, "two")] {
        let message = client.message().await;
        assert_eq!(message["payload"], payload, "{version:?}");
        assert_eq!(message["qos"], qos);
    }
    client.disconnect().await;
}
