//! What passes from publisher to subscriber as it is (MQTT 5 section 3.3.2.3).

use herald_acl::Actions;
use herald_broker::Broker;

use crate::{
    client::{
        Answer::{Connack, Other, Suback},
        Client,
    },
    common::encode::{Connect, V5, Will, number, publish, subscribe},
    small,
    text::prop,
    user::user,
};

/// The properties of a message that a server passes on unaltered, in the order in which it writes them. What is left of a
/// message expiry interval that has just begun is all of it.
fn properties() -> Vec<Vec<u8>> {
    vec![
        number(0x01, &[1]),
        number(0x02, &[0, 0, 0, 60]),
        prop(0x03, "text/plain"),
        prop(0x08, "rooms/alice/answers"),
        prop(0x09, [0xFF, 0]),
        user("z", "1"),
        user("a", ""),
        user("z", "1"),
        user("", "ä"),
    ]
}

/// Each alone, some values that are not the usual ones, and all together.
fn sets() -> Vec<Vec<Vec<u8>>> {
    let mut sets: Vec<_> = properties().into_iter().map(|p| vec![p]).collect();
    sets.extend([
        vec![number(0x01, &[0])],
        vec![number(0x02, &[0, 0, 0, 1])],
        vec![number(0x02, &[0, 0, 0, 2])],
        vec![number(0x02, &[0xFF; 4])],
        vec![prop(0x03, "")],
        vec![prop(0x09, "")],
        properties(),
        vec![],
    ]);
    sets
}

async fn open(broker: &Broker, username: &'static str) -> Client {
    let mut client = Client::new(broker, V5);
    let connect = Connect {
        username,
        ..Connect::new(V5)
    };
    client.send(&connect.bytes()).await;
    assert_eq!(client.next().await, Ok(Some(Connack(0))));
    client
}

async fn listener(broker: &Broker) -> Client {
    let mut client = open(broker, "bob").await;
    client.send(&subscribe(V5, 1, &[], &[("notice", 0)])).await;
    assert_eq!(client.next().await, Ok(Some(Suback(1, vec![0]))));
    client
}

#[tokio::test]
async fn every_property_of_a_message_passes_unaltered() {
    let broker = small::broker(Actions::Both).await;
    let mut bob = listener(&broker).await;
    let mut alice = open(&broker, "alice").await;
    for properties in sets() {
        let message = publish(V5, 0, "notice", 0, &properties, "x");
        alice.send(&message).await;
        assert_eq!(bob.next().await, Ok(Some(Other(message))));
    }
}

#[tokio::test]
async fn every_property_of_what_is_retained_passes_unaltered() {
    let broker = small::broker(Actions::Both).await;
    let mut alice = open(&broker, "alice").await;
    for properties in sets() {
        let message = publish(V5, 1, "notice", 0, &properties, "x");
        alice.send(&message).await;
        assert_eq!(alice.answers(0).await, Ok(vec![]));
        let mut bob = listener(&broker).await;
        assert_eq!(bob.next().await, Ok(Some(Other(message))));
    }
}

#[tokio::test]
async fn every_property_of_a_will_passes_unaltered() {
    let broker = small::broker(Actions::Both).await;
    let mut bob = listener(&broker).await;
    for properties in sets() {
        let message = publish(V5, 0, "notice", 0, &properties, "gone");
        let connect = Connect {
            will: Some(Will {
                qos: 0,
                retain: false,
                topic: "notice",
                payload: "gone",
                properties,
            }),
            ..Connect::new(V5)
        };
        let mut alice = Client::new(&broker, V5);
        alice.send(&connect.bytes()).await;
        assert_eq!(alice.next().await, Ok(Some(Connack(0))));
        drop(alice);
        assert_eq!(bob.next().await, Ok(Some(Other(message))));
    }
}
