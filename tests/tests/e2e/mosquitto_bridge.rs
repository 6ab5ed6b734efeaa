//! A mosquitto bridge with its defaults, as docs/mqtt.md says.

use herald_tests::{
    Herald, MosquittoBridge, Transport, Version,
    raw::{Publish, Raw},
    until,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::notified::{inbox, messages};

/// The next message to `topic`.
async fn heard(client: &mut Raw, topic: &str) -> Publish {
    loop {
        let message = client.take().await;
        if message.topic == topic {
            return message;
        }
    }
}

#[rstest]
#[case(Transport::Tls, "mqttv311")]
#[case(Transport::Tcp, "mqttv311")]
#[case(Transport::Tls, "mqttv50")]
#[tokio::test]
async fn a_mosquitto_bridge_with_its_defaults_passes_messages_on_both_ways(
    #[case] transport: Transport,
    #[case] version: &str,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.allow("user:alice", "both", "rooms/alice/#").await;
    let mut there = Raw::connect(&herald, Version::V5, "alice").await;
    until("the rule to be in force", async || {
        (there.subscribe("rooms/alice/#").await == 1).then_some(())
    })
    .await;
    let settings = [
        &format!("bridge_protocol_version {version}"),
        "topic users/alice/messages out 1",
        "topic users/alice/notifications in 1",
        "topic broadcast/# in 1",
        "topic rooms/alice/# both 1",
    ];
    let bridge = MosquittoBridge::start(&herald, transport, "alice", &settings).await;
    let mut local = bridge.client().await;
    assert_eq!(local.subscribe("$SYS/broker/connection/+/state").await, 1);
    // It is connected when it says so at home. The same it says to Herald, retained.
    until("the bridge to be connected", async || {
        (local.take().await.payload == "1").then_some(())
    })
    .await;
    let session = until("it to have subscribed", async || {
        let answer = admin.get("/admin/connections").await.expect(200);
        let mut sessions = answer["items"].as_array().unwrap().iter();
        sessions.find(|s| s["subscriptions"] == 3).cloned()
    })
    .await;

    // From the bridge to Herald.
    assert_eq!(local.subscribe("rooms/#").await, 1);
    assert_eq!(local.publish("rooms/alice/up", "from here").await, 0);
    let up = there.take().await;
    assert_eq!(
        (up.topic.as_str(), up.payload.as_str()),
        ("rooms/alice/up", "from here")
    );
    // And back. What it published itself does not come back with it.
    assert_eq!(there.publish("rooms/alice/down", "from there").await, 0);
    assert_eq!(there.take().await.payload, "from there");
    let came = [local.take().await.payload, local.take().await.payload];
    assert_eq!(came, ["from here", "from there"]);

    // A message of the user, and the notification of it.
    assert_eq!(local.subscribe(&inbox("alice")).await, 1);
    let send = json!({"body": "over the bridge"}).to_string();
    assert_eq!(local.publish(&messages("alice"), &send).await, 0);
    let notification = heard(&mut local, &inbox("alice")).await;
    let notification: Value = serde_json::from_str(&notification.payload).unwrap();
    assert_eq!(notification["message"]["result"], "over the bridge");

    // What is for everyone.
    assert_eq!(local.subscribe("broadcast/#").await, 1);
    let mut root = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(root.publish("broadcast/news", "news").await, 0);
    assert_eq!(heard(&mut local, "broadcast/news").await.payload, "news");

    // Its state was taken, or mosquitto would have been disconnected, and dropped, though it was retained.
    assert_eq!(root.subscribe("$SYS/broker/connection/#").await, 1);
    assert_eq!(root.at_once().await, []);
    let answer = admin.get("/admin/connections").await.expect(200);
    let now = answer["items"].as_array().unwrap();
    let same = now.iter().find(|s| s["id"] == session["id"]);
    assert_eq!(same.unwrap()["connected_at"], session["connected_at"]);
    assert!(!herald.stderr().contains("publish refused"));
    assert_eq!(local.at_once().await, [], "nothing comes twice");
}
