//! What is denied goes nowhere, whenever it is denied.

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Message, Property, Raw, Will},
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::heard::{Announcer, heard, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

const TOPIC: &str = "broadcast/x";

/// One who may listen to everything, and does.
async fn listener(herald: &Herald) -> Raw {
    let connect = Connect::of("admin").client_id("listener");
    let mut raw = Raw::connect_as(herald, Version::V5, &connect).await;
    assert_eq!(raw.subscribe_at("#", 2).await, 2);
    raw
}

/// At each level, retained or not, named or by alias.
#[rstest]
#[tokio::test]
async fn a_denied_message_reaches_no_subscriber_and_is_not_retained(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let mut listener = listener(&herald).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    for topic in [
        TOPIC,
        "elsewhere",
        "users/bob/notifications",
        "users/bob/messages",
        "$SYS/x",
    ] {
        for qos in [0, 1, 2] {
            let denied = Message::new(topic, r#"{"body": "denied"}"#).qos(qos);
            let mut messages = vec![denied.clone(), denied.clone().retained()];
            // There is no DUP at QoS 0.
            messages.extend((qos > 0).then(|| denied.again()));
            for message in messages {
                let code = alice.deliver(&message).await;
                let expected = if qos == 0 { 0 } else { version.puback(0x87) };
                assert_eq!(code, expected, "{version:?}: {message:?}");
            }
        }
    }
    alice.ping().await;
    hears_nothing_before(&mut listener, &mut admin, TOPIC).await;
    let newcomer = Connect::of("admin").client_id("newcomer");
    let mut newcomer = Raw::connect_as(&herald, Version::V5, &newcomer).await;
    assert_eq!(newcomer.subscribe("#").await, 1);
    assert_eq!(newcomer.at_once().await, []);
    let bob = herald.http("bob").await.get("/messages").await.expect(200);
    assert_eq!(bob["items"], json!([]));
}

/// A clear that is denied clears nothing.
#[rstest]
#[tokio::test]
async fn a_denied_message_does_not_change_what_is_retained(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let kept = Message::new(topic, "kept").qos(1).retained();
    assert_eq!(admin.deliver(&kept).await, 0);
    let mut alice = Raw::connect(&herald, version, "alice").await;
    for payload in ["", "another"] {
        for qos in [0, 1, 2] {
            let message = Message::new(topic, payload).qos(qos).retained();
            alice.deliver(&message).await;
        }
    }
    alice.ping().await;
    assert_eq!(alice.subscribe(topic).await, 1);
    assert_eq!(heard(&mut alice, 1).await, ["kept"], "{version:?}");
    alice.disconnect().await;
}

/// In MQTT 5 PUBREC says no, and ends the flow; 3.1.1 goes through it.
#[rstest]
#[tokio::test]
async fn a_denied_message_at_qos_2_is_answered_to_its_end(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect::kept("alice");
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    let message = Message::new(TOPIC, "denied").qos(2);
    alice.send_as(&message, 7).await;
    assert_eq!(alice.pubrec(7).await.0, version.puback(0x87));
    alice.cut().await;
    let mut alice = Raw::resume(&herald, version, &connect).await;
    match version {
        Version::V5 => {
            // The packet identifier is free.
            alice.send_as(&message, 7).await;
            assert_eq!(alice.pubrec(7).await.0, 0x87);
        }
        Version::V311 => {
            alice.send_as(&message.again(), 7).await;
            assert_eq!(alice.pubrec(7).await.0, 0);
            alice.send_pubrel(7).await;
            assert_eq!(alice.pubcomp(7).await, 0);
        }
    }
    alice.ping().await;
    alice.disconnect().await;
    Raw::connect(&herald, version, "alice")
        .await
        .disconnect()
        .await;
}

#[rstest]
#[tokio::test]
async fn mosquitto_and_mqttjs_are_told_of_a_denied_message_in_mqtt_5(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let connect = Connect::of("admin").client_id("listener");
    let mut listener = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(listener.subscribe_at(topic, 2).await, 2);
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let client = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let code = client.publish(topic, "denied").await;
    assert_eq!(code, version.puback(0x87));
    let secret = password("alice");
    let mut browser = MqttJs::connected(&herald, version, &url, "alice", &secret).await;
    let code = browser.publish(topic, "denied").await;
    assert_eq!(code, version.puback(0x87));
    hears_nothing_before(&mut listener, &mut admin, topic).await;
}

/// Waits until administrators may not publish to the topic any more, or may again.
async fn until_answered(raw: &mut Raw, topic: &str, code: u8) {
    until("the rules to be in force", async || {
        (raw.publish(topic, "").await == code).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_will_that_its_client_may_not_publish_any_more_goes_nowhere() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let gone: &str = &herald.topic("gone");
    let all: &str = &herald.topic("#");
    let http = herald.http("admin").await;
    let connect = |id: &str, delay: u32| {
        Connect::kept("admin").client_id(id).will_with(Will {
            topic: gone.into(),
            payload: format!("will of {id}"),
            qos: 1,
            retain: true,
            properties: vec![Property::WillDelay(delay)],
        })
    };
    let lost_after = Raw::connect_as(&herald, Version::V5, &connect("lost after", 0)).await;
    let lost_old = Raw::connect_as(&herald, Version::V311, &connect("3.1.1", 0)).await;
    // Its connection is lost while it may still, its delay is over when it may not.
    let late = Raw::connect_as(&herald, Version::V5, &connect("late", 6)).await;
    let later = Connect::of("admin").client_id("later").will_with(Will {
        topic: herald.topic("x"),
        payload: "the last".into(),
        qos: 1,
        retain: false,
        properties: vec![],
    });
    let mut later = later.with(Property::SessionExpiry(60));
    if let Some(will) = &mut later.will {
        will.properties = vec![Property::WillDelay(7)];
    }
    let later = Raw::connect_as(&herald, Version::V5, &later).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(all).await, 1);
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;

    late.cut().await;
    later.cut().await;
    let rule = http.deny("role:admin", "publish", gone).await;
    until_answered(&mut admin, gone, 0x87).await;
    lost_after.cut().await;
    lost_old.cut().await;
    // Its connection was lost last, and its delay is the longest.
    loop {
        let message = alice.take().await;
        assert!(!message.payload.starts_with("will"), "{message:?}");
        if message.payload == "the last" {
            break;
        }
    }
    // Nor was any retained.
    let path = format!("/admin/acl/rules/{rule}");
    http.delete(&path).await.expect(204);
    until_answered(&mut admin, gone, 0).await;
    assert_eq!(alice.unsubscribe(all).await, 0);
    assert_eq!(alice.subscribe(gone).await, 1);
    let retained = alice.at_once().await;
    assert!(retained.iter().all(|p| !p.retain), "{retained:?}");
}

#[rstest]
#[tokio::test]
async fn a_rule_opens_a_topic_and_its_end_closes_it_for_who_is_connected(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob", "admin"]).await;
    let room: &str = &format!("rooms-{version:?}/{}/1", herald.name("alice"));
    let http = herald.http("admin").await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    let mut bob = Raw::connect(&herald, version, "bob").await;
    assert_eq!(alice.subscribe(room).await, version.subscribe_refused());
    let rule = http
        .allow("role:user", "both", &format!("rooms-{version:?}/%u/#"))
        .await;
    until("the rule to be in force", async || {
        (alice.subscribe(room).await == 1).then_some(())
    })
    .await;
    assert_eq!(bob.subscribe(room).await, version.subscribe_refused());
    assert_eq!(bob.publish(room, "of bob").await, version.puback(0x87));
    assert_eq!(alice.publish(room, "of alice").await, 0);
    assert_eq!(heard(&mut alice, 1).await, ["of alice"]);

    let path = format!("/admin/acl/rules/{rule}");
    http.delete(&path).await.expect(204);
    // It was the only subscription.
    assert_eq!(alice.ended().await, version.is_v5().then_some(0x87));
    // Bob had none, and stays.
    bob.ping().await;
}

/// What waits for a session is not handed out once it may not have it.
#[rstest]
#[tokio::test]
async fn what_waits_for_a_session_is_not_given_to_it_once_it_may_not_have_it(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let http = herald.http("admin").await;
    let (secret, open) = (herald.topic("secret"), herald.topic("open"));
    let (secret, open) = (secret.as_str(), open.as_str());
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(alice.subscribe_at(secret, 2).await, 2);
    assert_eq!(alice.subscribe_at(open, 2).await, 2);
    let mut admin = Announcer::new(&herald, version).await;
    admin.tell(secret, 2, &["under way"]).await;
    assert_eq!(alice.message().await.payload, "under way");
    alice.cut().await;
    admin.tell(secret, 1, &["waiting"]).await;
    admin.tell(open, 1, &["for all"]).await;
    let rule = http
        .deny(
            &format!("user:{}", herald.name("alice")),
            "subscribe",
            secret,
        )
        .await;
    let mut other = Raw::connect(&herald, version, "alice").await;
    // A session that is left with no subscription ends.
    assert_eq!(other.subscribe(&herald.topic("other")).await, 1);
    until("the rule to be in force", async || {
        let code = other.subscribe(secret).await;
        (code == version.subscribe_refused()).then_some(())
    })
    .await;
    let mut alice = Raw::resume(&herald, version, &connect).await;
    assert_eq!(heard(&mut alice, 1).await, ["for all"], "{version:?}");
    let path = format!("/admin/acl/rules/{rule}");
    http.delete(&path).await.expect(204);
    until("the rule to be gone", async || {
        (alice.subscribe(secret).await == 1).then_some(())
    })
    .await;
    alice.disconnect().await;
}
