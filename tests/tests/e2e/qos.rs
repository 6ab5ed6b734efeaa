//! Quality of service on shared topics, with every client.

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Message, Raw},
};
use rstest::rstest;
use serde_json::json;

use crate::heard::{announce, heard};

static SERVER: SharedServer = SharedServer::new();

const LEVELS: [u8; 3] = [0, 1, 2];

#[tokio::test]
async fn a_message_comes_at_the_lower_of_what_was_published_and_what_was_granted() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    for (publishing, subscribing) in [
        (Version::V311, Version::V5),
        (Version::V5, Version::V311),
        (Version::V5, Version::V5),
    ] {
        let mut admin = Raw::connect(&herald, publishing, "admin").await;
        for granted in LEVELS {
            let mut alice = Raw::connect(&herald, subscribing, "alice").await;
            let code = alice.subscribe_at(&herald.topic("#"), granted).await;
            assert_eq!(code, granted);
            for published in LEVELS {
                let payload = format!("{published} for {granted}");
                announce(&mut admin, &herald.topic("x"), published, &[&payload]).await;
                let received = alice.take().await;
                assert_eq!(received.payload, payload, "{subscribing:?}");
                assert_eq!(received.qos, published.min(granted), "{payload}");
                assert!(!received.dup && !received.retain, "{received:?}");
            }
            alice.disconnect().await;
        }
    }
}

#[rstest]
#[tokio::test]
async fn the_messages_of_a_topic_keep_their_order_at_each_level(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    const COUNT: usize = 100;
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe_at(&herald.topic("+"), 2).await, 2);
    for qos in LEVELS {
        let texts: Vec<String> = (0..COUNT).map(|n| format!("{qos}: {n}")).collect();
        let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
        announce(&mut admin, &herald.topic("ordered"), qos, &payloads).await;
        assert_eq!(heard(&mut alice, COUNT).await, texts, "{version:?}");
    }
    alice.disconnect().await;
}

/// As many at once as the server lets a client have under way (MQTT 5 section 4.9).
#[rstest]
#[tokio::test]
async fn messages_sent_without_waiting_are_answered_and_delivered_in_order(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    const COUNT: u16 = 32;
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe_at(&herald.topic("+"), 2).await, 2);
    for qos in [1, 2] {
        for id in 1..=COUNT {
            let message = Message::new(&herald.topic("hurried"), &id.to_string());
            admin.send_as(&message.qos(qos), id).await;
        }
        for id in 1..=COUNT {
            let (code, _) = match qos {
                1 => admin.puback(id).await,
                _ => admin.pubrec(id).await,
            };
            assert_eq!(code, 0);
        }
        if qos == 2 {
            for id in 1..=COUNT {
                admin.send_pubrel(id).await;
            }
            for id in 1..=COUNT {
                assert_eq!(admin.pubcomp(id).await, 0);
            }
        }
        let texts: Vec<String> = (1..=COUNT).map(|n| n.to_string()).collect();
        assert_eq!(heard(&mut alice, COUNT.into()).await, texts, "{version:?}");
    }
    alice.disconnect().await;
}

/// DUP is between two parties: what a subscriber gets is new to it (MQTT 5 section 3.3.1-3).
#[rstest]
#[tokio::test]
async fn the_dup_flag_of_a_publisher_is_not_passed_on(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe_at(&herald.topic("#"), 2).await, 2);
    for qos in [1, 2] {
        let message = Message::new(&herald.topic("x"), "repeated")
            .qos(qos)
            .again();
        assert_eq!(admin.deliver(&message).await, 0);
        let received = alice.take().await;
        assert_eq!((received.qos, received.dup), (qos, false));
    }
    alice.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn mosquitto_publishes_and_subscribes_at_each_level(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let alice = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let admin = Mosquitto::new(&herald, version, Transport::Tcp, "admin");
    for granted in LEVELS {
        let mut subscriber = alice.subscribe_at(granted, &[&herald.topic("#")]).await;
        for published in LEVELS {
            let payload = format!("{published} for {granted}");
            let code = admin
                .publish_at(published, &herald.topic("x"), &payload)
                .await;
            assert_eq!(code, 0);
            let received = subscriber.message().await;
            assert_eq!(received.payload, payload, "{version:?}");
            assert_eq!(received.qos, published.min(granted), "{payload}");
        }
        subscriber.stop().await;
    }
}

#[rstest]
#[tokio::test]
async fn mqttjs_publishes_and_subscribes_at_each_level_over_wss(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let mut alice = MqttJs::connected(&herald, version, &url, "alice", &password("alice")).await;
    let mut admin = MqttJs::connected(&herald, version, &url, "admin", &password("admin")).await;
    exchange(&herald, version, &mut admin, &mut alice).await;
}

/// Without TLS there is none for WebSocket either.
#[rstest]
#[tokio::test]
async fn mqttjs_publishes_and_subscribes_at_each_level_over_ws(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald =
        Herald::start_with(&[("HERALD_TLS__MODE", "off"), ("HERALD_MQTT__LISTEN_TLS", "")]).await;
    let url = format!("ws://{}/mqtt", herald.http_address());
    let mut one = MqttJs::connected(&herald, version, &url, "admin", &password("admin")).await;
    let mut other = MqttJs::connected(&herald, version, &url, "admin", &password("admin")).await;
    exchange(&herald, version, &mut one, &mut other).await;
}

/// Every level published by one client, for each level granted to the other.
async fn exchange(herald: &Herald, version: Version, from: &mut MqttJs, to: &mut MqttJs) {
    for granted in LEVELS {
        let options = json!({"qos": granted});
        assert_eq!(
            to.subscribe_with(&herald.topic("#"), options).await,
            granted
        );
        for published in LEVELS {
            let payload = format!("{published} for {granted}");
            let code = from
                .publish_at(published, &herald.topic("x"), &payload)
                .await;
            assert_eq!(code, 0);
            let message = to.message().await;
            assert_eq!(message["payload"], payload, "{version:?}");
            assert_eq!(message["qos"], published.min(granted), "{payload}");
        }
    }
}
