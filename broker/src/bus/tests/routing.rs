//! Who gets which message.

use super::*;

#[tokio::test]
async fn a_message_reaches_the_subscribers_it_matches_and_no_other() {
    let bus = bus().await;
    let (_, a) = listener(&bus, "ü/+");
    let (_, b) = listener(&bus, "b");
    for (topic, payload) in [("ü/x", "1"), ("b", "2"), ("ü/x/y", "3"), ("ü/z", "")] {
        bus.publish(message(topic, payload)).await.unwrap();
    }
    let got = arrived(&a, |got| got.len() == 2).await;
    assert_eq!(payloads(&got), ["1", ""]);
    assert_eq!(got[0].message.topic.as_str(), "ü/x");
    assert_eq!(
        (&*got[0].filter, got[0].message.qos),
        ("ü/+", Qos::AtLeastOnce)
    );
    assert_eq!(payloads(&arrived(&b, |got| got.len() == 1).await), ["2"]);
    bus.stop().await;
}

#[tokio::test]
async fn a_message_of_level_2_travels_as_such() {
    let bus = bus().await;
    let (_, mailbox) = listener(&bus, "a");
    let exactly = Message {
        qos: Qos::ExactlyOnce,
        ..message("a", "x")
    };
    bus.publish(exactly).await.unwrap();
    let got = arrived(&mailbox, |got| got.len() == 1).await;
    assert_eq!(got[0].message.qos, Qos::ExactlyOnce);
    bus.stop().await;
}

#[tokio::test]
async fn messages_come_in_order_however_many_there_are() {
    let bus = Arc::new(bus().await);
    let (_, mailbox) = listener(&bus, "a/#");
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for i in 0..5000 {
                bus.publish(message("nobody/listens", "x")).await.unwrap();
                bus.publish(message("a/b", &i.to_string())).await.unwrap();
            }
        }
    });
    let last = |got: &[Delivery]| got.last().is_some_and(|d| d.message.payload == "4999");
    let got = arrived(&mailbox, last).await;
    publisher.await.unwrap();
    // A mailbox that is read too slowly drops the oldest.
    let numbers: Vec<u32> = payloads(&got).iter().map(|p| p.parse().unwrap()).collect();
    assert!(numbers.is_sorted());
    assert_eq!(
        numbers.len() as u64 + bus.metrics.shared_dropped.get(),
        5000
    );
    bus.stop().await;
}

#[tokio::test]
async fn a_session_that_unsubscribes_gets_no_more() {
    let bus = bus().await;
    let (session, mailbox) = listener(&bus, "a");
    bus.subscribe(&filter("#"), &filter("b"), None, session, &mailbox)
        .unwrap();
    bus.unsubscribe(session, Some(&filter("a")));
    bus.publish(message("a", "no")).await.unwrap();
    bus.publish(message("b", "yes")).await.unwrap();
    assert_eq!(
        payloads(&arrived(&mailbox, |got| got.len() == 1).await),
        ["yes"]
    );
    bus.unsubscribe(session, None);
    let (_, other) = listener(&bus, "b");
    bus.publish(message("b", "end")).await.unwrap();
    arrived(&other, |got| got.len() == 1).await;
    assert!(mailbox.take(false).shared.is_empty());
    bus.stop().await;
}
