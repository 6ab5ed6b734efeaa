//! One message for several subscriptions of a session.

use crate::{
    client::Answer::{Puback, Suback},
    common::encode::{V5, ack, publish, subscribe},
    setup::{ask, connect, connect_one_by_one, next, next_is, open, published, start},
};

#[tokio::test]
async fn one_copy_comes_though_a_filter_is_subscribed_again_meanwhile() {
    let (broker, _intake) = start(5).await;
    let mut reader = open(&broker, &connect_one_by_one("reader")).await;
    let overlapping = [("rooms/alice/x", 2), ("rooms/alice/#", 2)];
    let both = subscribe(V5, 1, &[], &overlapping);
    assert_eq!(ask(&mut reader, &both).await, Suback(1, vec![2, 2]));
    let mut writer = open(&broker, &connect("writer", true, 0)).await;
    let once = publish(V5, 2, "rooms/alice/x", 1, &[], "once");
    assert_eq!(ask(&mut writer, &once).await, Puback(1, 0));
    next_is(&mut reader, "once").await;

    // The other copy waits until the first is acknowledged. 0x20: nothing that is retained.
    let again = subscribe(V5, 2, &[], &[("rooms/alice/x", 2 | 0x20)]);
    assert_eq!(ask(&mut reader, &again).await, Suback(2, vec![2]));
    reader.send(&ack(0x40, 1)).await;
    let then = publish(V5, 2, "rooms/alice/x", 2, &[], "then");
    assert_eq!(ask(&mut writer, &then).await, Puback(2, 0));
    next_is(&mut reader, "then").await;
}

/// What another client retained a moment ago may still be on its way when somebody subscribes.
#[tokio::test]
async fn a_retained_message_comes_once_though_it_is_still_on_its_way() {
    let (broker, _intake) = start(5).await;
    let mut reader = open(&broker, &connect("reader", true, 0)).await;
    let mut writer = open(&broker, &connect("writer", true, 0)).await;
    let topics: Vec<String> = (10..60).map(|n| format!("rooms/alice/{n}")).collect();
    for topic in &topics {
        let retained = publish(V5, 1, topic, 0, &[], topic);
        let live = publish(V5, 0, topic, 0, &[], "rooms/alice/live");
        // Neither waits for the other.
        writer.send(&retained).await;
        reader.send(&subscribe(V5, 1, &[], &[(topic, 0)])).await;
        let (mut came, mut subscribed) = (vec![], false);
        while !subscribed || came.is_empty() {
            let next = next(&mut reader).await;
            subscribed |= next == Suback(1, vec![0]);
            came.extend(published(&next).map(|packet| packet.ends_with(topic.as_bytes())));
        }
        writer.send(&live).await;
        next_is(&mut reader, "rooms/alice/live").await;
        assert_eq!(came, [true]);
    }
}
