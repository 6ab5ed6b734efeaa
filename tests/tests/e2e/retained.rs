//! Retained messages (MQTT 5 sections 3.3.1.3 and 3.8.3.1).

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Message, Property, Raw},
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::heard::Announcer;

static SERVER: SharedServer = SharedServer::new();

/// Subscription options: retain as published, retain handling 1 and 2.
const AS_PUBLISHED: u8 = 0b1000;
const IF_NEW: u8 = 0x10;
const NEVER: u8 = 0x20;

fn state(herald: &Herald, payload: &str) -> Message {
    Message::new(&herald.topic("state"), payload)
        .qos(1)
        .retained()
}

/// What is retained for a new subscription to `filter`, by payload.
async fn greeting(herald: &Herald, version: Version, filter: &str) -> Vec<String> {
    let connect = Connect::of("alice").client_id("newcomer");
    let mut raw = Raw::connect_as(herald, version, &connect).await;
    assert_eq!(raw.subscribe(filter).await, 1);
    let all = raw.at_once().await;
    assert!(all.iter().all(|p| p.retain), "{all:?}");
    all.into_iter().map(|p| p.payload).collect()
}

#[rstest]
#[tokio::test]
async fn the_last_retained_message_greets_a_subscriber_until_it_is_cleared(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("state");
    let mut admin = Raw::connect(&herald, version, "admin").await;
    assert!(greeting(&herald, version, topic).await.is_empty());
    for qos in [0, 1, 2] {
        let text = format!("set at {qos}");
        for payload in ["old", &text] {
            let message = state(&herald, payload).qos(qos);
            assert_eq!(admin.deliver(&message).await, 0);
        }
        // QoS 0 has no answer to wait for.
        admin.ping().await;
        for filter in ["state", "+", "#"] {
            assert_eq!(
                greeting(&herald, version, &herald.topic(filter)).await,
                [text.as_str()]
            );
        }
    }
    // Neither another message nor an empty one that is not retained changes it.
    for payload in ["live", ""] {
        let live = Message::new(topic, payload).qos(1);
        assert_eq!(admin.deliver(&live).await, 0);
    }
    assert_eq!(greeting(&herald, version, topic).await, ["set at 2"]);
    assert_eq!(admin.deliver(&state(&herald, "")).await, 0);
    assert!(greeting(&herald, version, topic).await.is_empty());
}

#[tokio::test]
async fn each_topic_has_its_own_retained_message() {
    let herald = Herald::with_users(&["alice"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    for topic in ["broadcast/b/1", "broadcast", "broadcast/a", "broadcast/b/2"] {
        let message = Message::new(topic, topic).qos(1).retained();
        assert_eq!(admin.deliver(&message).await, 0);
    }
    for (filter, expected) in [
        ("broadcast/b/1", &["broadcast/b/1"][..]),
        ("broadcast/b/+", &["broadcast/b/1", "broadcast/b/2"]),
        ("broadcast/+", &["broadcast/a"]),
        (
            "broadcast/#",
            &["broadcast", "broadcast/a", "broadcast/b/1", "broadcast/b/2"],
        ),
        ("broadcast/c", &[]),
    ] {
        let mut all = greeting(&herald, Version::V5, filter).await;
        all.sort();
        assert_eq!(all, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_retained_message_comes_at_the_lower_level_with_its_properties() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let properties = [
        Property::PayloadFormat(1),
        Property::ContentType("text/plain".into()),
        Property::CorrelationData(vec![0, 255]),
        Property::user("a", "1"),
        Property::user("a", "2"),
    ];
    for published in [0, 1, 2] {
        let mut message = state(&herald, "kept").qos(published);
        for property in &properties {
            message = message.with(property.clone());
        }
        assert_eq!(admin.deliver(&message).await, 0);
        admin.ping().await;
        for granted in [0, 1, 2] {
            let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
            let code = alice.subscribe_at(&herald.topic("state"), granted).await;
            assert_eq!(code, granted);
            let received = alice.take().await;
            assert_eq!(received.qos, published.min(granted));
            assert_eq!(received.properties, properties);
            alice.disconnect().await;
        }
    }
}

#[tokio::test]
async fn a_retained_message_expires() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("state");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let short = state(&herald, "short").with(Property::MessageExpiry(1));
    assert_eq!(admin.deliver(&short).await, 0);
    until("the message to expire", async || {
        let all = greeting(&herald, Version::V5, topic).await;
        all.is_empty().then_some(())
    })
    .await;
    let long = state(&herald, "long").with(Property::MessageExpiry(3600));
    assert_eq!(admin.deliver(&long).await, 0);
    assert_eq!(greeting(&herald, Version::V311, topic).await, ["long"]);
}

#[tokio::test]
async fn retained_messages_survive_a_restart_and_a_kill() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let kept = state(&herald, "kept")
        .with(Property::ContentType("text/plain".into()))
        .with(Property::user("a", "1"))
        .with(Property::MessageExpiry(3600));
    assert_eq!(admin.deliver(&kept).await, 0);
    let other = |payload| Message::new("broadcast/other", payload).qos(2).retained();
    for payload in ["replaced", "other"] {
        assert_eq!(admin.deliver(&other(payload)).await, 0);
    }
    for payload in ["cleared", ""] {
        let message = Message::new("broadcast/none", payload).qos(1).retained();
        assert_eq!(admin.deliver(&message).await, 0);
    }
    let short = Message::new("broadcast/short", "short").qos(1).retained();
    let short = short.with(Property::MessageExpiry(1));
    assert_eq!(admin.deliver(&short).await, 0);
    until("the message to expire", async || {
        let all = greeting(&herald, Version::V5, "broadcast/short").await;
        all.is_empty().then_some(())
    })
    .await;
    for kill in [false, true] {
        if kill {
            herald.kill().await;
            herald.begin().await;
        } else {
            herald.restart().await;
        }
        let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
        assert_eq!(alice.subscribe_at("broadcast/#", 2).await, 2);
        let mut all = alice.at_once().await;
        all.sort_by(|a, b| a.topic.cmp(&b.topic));
        let [other, kept] = all.as_slice() else {
            panic!("two of them expected: {all:?}");
        };
        assert_eq!((other.payload.as_str(), other.qos), ("other", 2));
        assert_eq!((kept.payload.as_str(), kept.qos), ("kept", 1));
        let [
            Property::MessageExpiry(left),
            Property::ContentType(kind),
            Property::User(..),
        ] = kept.properties.as_slice()
        else {
            panic!("{kept:?}");
        };
        assert!((1..=3600).contains(left) && kind == "text/plain");
        // What greets whoever comes later can still be cleared.
    }
    let mut admin = Raw::connect(&herald, Version::V311, "admin").await;
    assert_eq!(admin.deliver(&state(&herald, "")).await, 0);
    assert_eq!(admin.deliver(&other("")).await, 0);
    assert!(
        greeting(&herald, Version::V5, "broadcast/#")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn retain_handling_says_when_a_subscription_is_greeted() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("state");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(admin.deliver(&state(&herald, "kept")).await, 0);
    // The first subscription, then the same again.
    for (handling, first, again) in [(0, 1, 1), (IF_NEW, 1, 0), (NEVER, 0, 0)] {
        let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
        for expected in [first, again] {
            assert_eq!(alice.subscribe_at(topic, handling).await, 0);
            assert_eq!(alice.at_once().await.len(), expected, "{handling:#x}");
        }
        // Once it is gone, it is new.
        assert_eq!(alice.unsubscribe(topic).await, 0);
        assert_eq!(alice.subscribe_at(topic, handling).await, 0);
        assert_eq!(alice.at_once().await.len(), first, "{handling:#x}");
        alice.disconnect().await;
    }
}

/// A subscription of an earlier connection is not new.
#[tokio::test]
async fn retain_handling_knows_the_subscriptions_of_a_session_that_goes_on() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("state");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(admin.deliver(&state(&herald, "kept")).await, 0);
    let connect = Connect::kept("alice");
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe_at(topic, IF_NEW).await, 0);
    assert_eq!(alice.at_once().await.len(), 1);
    alice.cut().await;
    let mut alice = Raw::resume(&herald, Version::V5, &connect).await;
    assert_eq!(alice.at_once().await, []);
    assert_eq!(alice.subscribe_at(topic, IF_NEW).await, 0);
    assert_eq!(alice.at_once().await, []);
    assert_eq!(alice.subscribe_at(topic, 0).await, 0);
    assert_eq!(alice.at_once().await.len(), 1);
}

#[tokio::test]
async fn retain_as_published_shows_the_flag_of_a_live_message() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("state");
    let mut admin = Announcer::new(&herald, Version::V5).await;
    for (options, live) in [(1, false), (1 | AS_PUBLISHED, true)] {
        let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
        assert_eq!(alice.subscribe_at(topic, options | NEVER).await, 1);
        admin.send(&state(&herald, "retained")).await;
        assert_eq!(alice.take().await.retain, live);
        admin
            .send(&Message::new(topic, "not retained").qos(1))
            .await;
        assert!(!alice.take().await.retain);
        // What was there before always has it.
        assert_eq!(alice.subscribe_at(topic, options).await, 1);
        assert!(alice.take().await.retain);
        alice.disconnect().await;
    }
}

#[rstest]
#[tokio::test]
async fn mosquitto_and_mqttjs_set_and_get_retained_messages(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("state");
    let url = format!("wss://{}/mqtt", herald.http_address());
    let admin = Mosquitto::new(&herald, version, Transport::Tls, "admin").args(&["-r"]);
    assert_eq!(admin.publish_at(2, topic, "of mosquitto").await, 0);
    let secret = password("alice");
    let mut alice = MqttJs::connected(&herald, version, &url, "alice", &secret).await;
    assert_eq!(alice.subscribe(topic).await, 1);
    let message = alice.message().await;
    assert_eq!(message["payload"], "of mosquitto");
    assert_eq!(message["retain"], true);
    alice.disconnect().await;

    let mut admin = MqttJs::connected(&herald, version, &url, "admin", "admin").await;
    let options = json!({"qos": 1, "retain": true});
    assert_eq!(admin.publish_with(topic, "of MQTT.js", options).await, 0);
    let alice = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let mut alice = alice.subscribe(&[topic]).await;
    let message = alice.message().await;
    assert_eq!(
        (message.payload.as_str(), message.retain),
        ("of MQTT.js", true)
    );
    alice.stop().await;
}
