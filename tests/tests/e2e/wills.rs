//! Last wills: when they come, with what, and when they do not (MQTT 5 sections 3.1.2.5 and 3.1.3.2).

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Property, Raw, Will},
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::heard::{Announcer, heard, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

/// The last words of the client `id`, after `delay` seconds.
fn dying(herald: &Herald, id: &str, payload: &str, delay: u32) -> Connect {
    Connect::kept("admin").client_id(id).will_with(Will {
        topic: herald.topic("gone"),
        payload: payload.into(),
        qos: 1,
        retain: false,
        properties: vec![Property::WillDelay(delay)],
    })
}

/// One who listens.
async fn alice(herald: &Herald) -> Raw {
    let mut alice = Raw::connect(herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe_at(&herald.topic("#"), 2).await, 2);
    alice
}

#[rstest]
#[tokio::test]
async fn a_will_comes_when_a_connection_is_lost_and_not_when_it_is_ended(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("gone");
    let mut alice = alice(&herald).await;
    for connect in [
        Connect::of("admin").will(topic, "a clean session"),
        dying(&herald, "kept", "a kept session", 0),
    ] {
        let admin = Raw::connect_as(&herald, version, &connect).await;
        admin.disconnect().await;
        let admin = Raw::connect_as(&herald, version, &connect).await;
        admin.cut().await;
        let will = alice.take().await;
        assert_eq!(will.topic, topic);
        assert_eq!(will.payload, connect.will.unwrap().payload);
        assert_eq!((will.qos, will.retain), (1, false));
    }
    let mut admin = Announcer::new(&herald, Version::V5).await;
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
}

#[tokio::test]
async fn a_will_comes_after_its_delay() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let admin = Raw::connect_as(&herald, Version::V5, &dying(&herald, "late", "late", 6)).await;
    let other = Raw::connect_as(&herald, Version::V5, &dying(&herald, "prompt", "prompt", 0)).await;
    admin.cut().await;
    other.cut().await;
    assert_eq!(heard(&mut alice, 2).await, ["prompt", "late"]);
}

#[tokio::test]
async fn a_client_that_is_back_before_the_delay_has_no_will() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let admin = Raw::connect_as(
        &herald,
        Version::V5,
        &dying(&herald, "back", "not dead", 12),
    )
    .await;
    admin.cut().await;
    let back = Connect {
        will: None,
        ..dying(&herald, "back", "", 0)
    };
    let _admin = Raw::resume(&herald, Version::V5, &back).await;
    // Whose delay ends later.
    let other = Raw::connect_as(&herald, Version::V5, &dying(&herald, "other", "dead", 13)).await;
    other.cut().await;
    assert_eq!(heard(&mut alice, 1).await, ["dead"]);
}

/// What is over cannot be waited for: a clean start ends the session, and its end is the time of the will.
#[tokio::test]
async fn a_clean_start_before_the_delay_brings_the_will_at_once() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let connect = dying(&herald, "anew", "the session is over", 3600);
    let admin = Raw::connect_as(&herald, Version::V5, &connect).await;
    admin.cut().await;
    let anew = Connect::of("admin").client_id("anew");
    Raw::connect_as(&herald, Version::V5, &anew).await;
    assert_eq!(heard(&mut alice, 1).await, ["the session is over"]);
}

#[tokio::test]
async fn a_session_that_ends_with_its_connection_has_no_time_for_a_delay() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let mut connect = dying(&herald, "short", "at once", 3600);
    connect.properties = vec![];
    let admin = Raw::connect_as(&herald, Version::V5, &connect).await;
    admin.cut().await;
    assert_eq!(heard(&mut alice, 1).await, ["at once"]);
}

#[tokio::test]
async fn disconnect_with_will_message_keeps_the_will_and_its_delay() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    for delay in [0, 1] {
        let connect = dying(&herald, "leaving", "all the same", delay);
        let admin = Raw::connect_as(&herald, Version::V5, &connect).await;
        admin.disconnect_with(0x04, &[]).await;
        assert_eq!(heard(&mut alice, 1).await, ["all the same"], "{delay}");
    }
}

#[tokio::test]
async fn a_will_has_all_its_properties() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let properties = vec![
        Property::PayloadFormat(1),
        Property::MessageExpiry(3600),
        Property::ContentType("text/plain".into()),
        Property::ResponseTopic("responses/admin/1".into()),
        Property::CorrelationData(vec![0, 1, 255]),
        Property::user("why", "cable"),
        Property::user("why", "spade"),
    ];
    let connect = Connect::of("admin").will_with(Will {
        topic: herald.topic("gone"),
        payload: "gone".into(),
        qos: 2,
        retain: false,
        properties: [properties.clone(), vec![Property::WillDelay(0)]].concat(),
    });
    let admin = Raw::connect_as(&herald, Version::V5, &connect).await;
    admin.cut().await;
    let will = alice.take().await;
    assert_eq!(will.qos, 2);
    for property in &properties {
        let passed_on = match property {
            // What is left of it.
            Property::MessageExpiry(_) => will
                .properties
                .iter()
                .any(|p| matches!(p, Property::MessageExpiry(left) if (1..=3600).contains(left))),
            property => will.properties.contains(property),
        };
        assert!(passed_on, "{property:?}: {will:?}");
    }
    // The delay is between client and server.
    assert_eq!(will.properties.len(), properties.len(), "{will:?}");
}

#[rstest]
#[tokio::test]
async fn a_retained_will_greets_who_comes_later(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic = herald.topic("retained");
    let mut listening = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(listening.subscribe(&topic).await, 1);
    let connect = Connect::of("admin").will_with(Will {
        topic: topic.clone(),
        payload: "gone".into(),
        qos: 1,
        retain: true,
        properties: vec![],
    });
    let admin = Raw::connect_as(&herald, version, &connect).await;
    admin.cut().await;
    let live = listening.message().await;
    assert_eq!((live.payload.as_str(), live.retain), ("gone", false));
    listening.disconnect().await;
    let later = Connect::of("alice").client_id("later");
    let mut later = Raw::connect_as(&herald, version, &later).await;
    assert_eq!(later.subscribe(&topic).await, 1);
    let greeting = later.take().await;
    assert_eq!((greeting.payload.as_str(), greeting.retain), ("gone", true));
    later.disconnect().await;
}

/// The older connection did not say DISCONNECT.
#[rstest]
#[tokio::test]
async fn a_takeover_brings_the_will_of_the_connection_that_is_taken_over(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let id = format!("{version:?}");
    let first = dying(&herald, &id, "the first", 0);
    let mut first = Raw::connect_as(&herald, version, &first).await;
    let second = dying(&herald, &id, "the second", 0);
    let second = Raw::resume(&herald, version, &second).await;
    first.ended().await;
    assert_eq!(heard(&mut alice, 1).await, ["the first"], "{version:?}");
    second.cut().await;
    assert_eq!(heard(&mut alice, 1).await, ["the second"], "{version:?}");
}

/// The client is back before the delay is over.
#[tokio::test]
async fn a_takeover_brings_no_will_whose_delay_is_not_over() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let first = dying(&herald, "delayed", "not dead", 3600);
    let mut first = Raw::connect_as(&herald, Version::V5, &first).await;
    let second = dying(&herald, "delayed", "dead", 0);
    let second = Raw::resume(&herald, Version::V5, &second).await;
    assert_eq!(first.ended().await, Some(0x8E));
    second.cut().await;
    assert_eq!(heard(&mut alice, 1).await, ["dead"]);
}

#[rstest]
#[tokio::test]
async fn a_client_that_falls_silent_has_its_will(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let connect = Connect {
        keep_alive_s: 1,
        ..dying(&herald, "silent", "silent", 0)
    };
    let mut admin = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(admin.ended().await, version.is_v5().then_some(0x8D));
    assert_eq!(heard(&mut alice, 1).await, ["silent"], "{version:?}");
}

/// A protocol error ends a connection without the client's DISCONNECT, too.
#[rstest]
#[tokio::test]
async fn a_client_that_breaks_the_protocol_has_its_will(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = alice(&herald).await;
    let connect = Connect::of("admin").will(&herald.topic("gone"), "broken");
    let mut admin = Raw::connect_as(&herald, version, &connect).await;
    // UNSUBACK is the server's.
    admin.send(&[0xB0, 2, 0, 1]).await;
    admin.ended().await;
    assert_eq!(heard(&mut alice, 1).await, ["broken"], "{version:?}");
}

#[rstest]
#[tokio::test]
async fn a_will_that_its_client_may_not_publish_is_refused_at_once(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    for topic in [
        &herald.topic("gone"),
        "users/bob/notifications",
        "$SYS/herald/uptime",
        "x",
    ] {
        let connect = Connect::of("alice").will(topic, "mine");
        let code = Raw::connect_code(&herald, version, &connect).await;
        assert_eq!(code, version.connect_refused(), "{version:?}: {topic}");
    }
    let connect = Connect::of("admin").will(&herald.topic("#"), "to all topics");
    let mut raw = Raw::open(&herald, version).await;
    if version.is_v5() {
        assert_eq!(raw.login(&connect).await, 0x90);
    } else {
        // Malformed: closed without a word (MQTT-3.1.4-1).
        raw.send_connect(&connect).await;
        assert_eq!(raw.ended().await, None);
    }
}

/// A will may be a send.
#[rstest]
#[tokio::test]
async fn a_will_to_ones_own_messages_is_processed(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let http = herald.http("alice").await;
    let will = json!({"body": "lost"}).to_string();
    let connect = Connect::of("alice").will(&herald.messages("alice"), &will);
    Raw::connect_as(&herald, version, &connect)
        .await
        .cut()
        .await;
    let sent = until("the will to be a message", async || {
        let list = http.get("/messages").await.expect(200);
        let items = list["items"].as_array().unwrap();
        (items.len() == 1).then(|| items[0]["id"].as_str().unwrap().to_owned())
    });
    http.processed(&sent.await).await;
}

#[rstest]
#[tokio::test]
async fn mosquitto_and_mqttjs_leave_wills(#[values(Version::V311, Version::V5)] version: Version) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("gone");
    let mut alice = alice(&herald).await;
    let client = Mosquitto::new(&herald, version, Transport::Tls, "admin");
    let options = ["--will-topic", topic, "--will-qos", "2", "--will-payload"];
    let client = client.args(&options).args(&["mosquitto's"]);
    // Killed.
    drop(client.subscribe(&[&herald.topic("nothing")]).await);
    let will = alice.take().await;
    assert_eq!((will.qos, will.payload.as_str()), (2, "mosquitto's"));

    let url = format!("wss://{}/mqtt", herald.http_address());
    let will = json!({"topic": topic, "payload": "MQTT.js's", "qos": 1, "retain": false});
    let options = json!({"will": will});
    let mut client =
        MqttJs::connect(&herald, version, &url, "admin", &password("admin"), options).await;
    assert_eq!(client.event("connack").await["code"], 0);
    drop(client);
    let will = alice.take().await;
    assert_eq!((will.qos, will.payload.as_str()), (1, "MQTT.js's"));
}
