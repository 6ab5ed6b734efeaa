//! The same with rumqttc, a client library in Rust.

use std::time::Duration;

use herald_tests::{Herald, SharedServer, password, within};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS, v5};
use serde_json::json;
use tokio::sync::mpsc;

use crate::notified::{notified, parse};

static SERVER: SharedServer = SharedServer::new();

fn address(herald: &Herald) -> (String, u16) {
    let (host, port) = herald.tcp_address().rsplit_once(':').unwrap();
    (host.into(), port.parse().unwrap())
}

#[tokio::test]
async fn rumqttc_sends_and_is_notified_in_3_1_1() {
    let herald = SERVER.with_users(&["alice"]).await;
    let (host, port) = address(&herald);
    let mut options = MqttOptions::new("rumqttc", host, port);
    let name = herald.name("alice");
    options.set_credentials(&name, password(&name));
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = AsyncClient::new(options, 10);
    let (sender, mut received) = mpsc::channel(10);
    let polling = tokio::spawn(async move {
        loop {
            if let Event::Incoming(packet) = events.poll().await.unwrap() {
                sender.send(packet).await.unwrap();
            }
        }
    });
    client
        .subscribe(herald.inbox("alice"), QoS::AtLeastOnce)
        .await
        .unwrap();
    let payload = json!({"body": "hello"}).to_string();
    client
        .publish(herald.messages("alice"), QoS::AtLeastOnce, false, payload)
        .await
        .unwrap();
    let publish = within("a notification", async {
        loop {
            if let Packet::Publish(publish) = received.recv().await.unwrap() {
                return publish;
            }
        }
    })
    .await;
    assert_eq!(publish.topic, herald.inbox("alice"));
    let payload = str::from_utf8(&publish.payload).unwrap();
    assert_eq!(parse(payload), notified(1, "hello"));
    polling.abort();
}

#[tokio::test]
async fn rumqttc_sends_and_is_notified_in_5() {
    let herald = SERVER.with_users(&["alice"]).await;
    let (host, port) = address(&herald);
    let mut options = v5::MqttOptions::new("rumqttc", host, port);
    let name = herald.name("alice");
    options.set_credentials(&name, password(&name));
    options.set_keep_alive(Duration::from_secs(30));
    let (client, mut events) = v5::AsyncClient::new(options, 10);
    let (sender, mut received) = mpsc::channel(10);
    let polling = tokio::spawn(async move {
        loop {
            if let v5::Event::Incoming(packet) = events.poll().await.unwrap() {
                sender.send(packet).await.unwrap();
            }
        }
    });
    let qos = v5::mqttbytes::QoS::AtLeastOnce;
    client.subscribe(herald.inbox("alice"), qos).await.unwrap();
    let payload = json!({"body": "hello"}).to_string();
    client
        .publish(herald.messages("alice"), qos, false, payload)
        .await
        .unwrap();
    let publish = within("a notification", async {
        loop {
            if let v5::mqttbytes::v5::Packet::Publish(publish) = received.recv().await.unwrap() {
                return publish;
            }
        }
    })
    .await;
    assert_eq!(publish.topic, herald.inbox("alice"));
    let payload = str::from_utf8(&publish.payload).unwrap();
    assert_eq!(parse(payload), notified(1, "hello"));
    let user = publish.properties.unwrap().user_properties;
    let payload: serde_json::Value = serde_json::from_str(payload).unwrap();
    let epoch = payload["epoch"].as_str().unwrap();
    let said = [("seq", "1"), ("epoch", epoch)].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(user, said);
    polling.abort();
}
