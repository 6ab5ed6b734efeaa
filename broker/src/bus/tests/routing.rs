//! Who gets which message.

use super::*;

#[tokio::test]
async fn a_message_reaches_the_subscribers_it_matches_and_no_other() {
    let bus = bus().await;
    let (session, a) = (SessionId::next(), Arc::default());
    let key = subscribe(&bus, session, "ü/+", &a);
    let (_, b) = listener(&bus, "b");
    for (topic, payload) in [("ü/x", "1"), ("b", "2"), ("ü/x/y", "3"), ("ü/z", "")] {
        bus.publish(message(topic, payload)).await.unwrap();
    }
    let got = arrived(&a, |got| got.len() == 2).await;
    assert_eq!(payloads(&got), ["1", ""]);
    assert_eq!(got[0].message.topic.as_str(), "ü/x");
    assert_eq!(got[0].subscriptions[..], [key]);
    assert_eq!(got[0].message.qos, Qos::AtLeastOnce);
    assert_eq!(payloads(&arrived(&b, |got| got.len() == 1).await), ["2"]);
    bus.stop().await;
}

#[tokio::test]
async fn a_message_of_level_2_travels_as_such() {
    let bus = bus().await;
    let (_, recorder) = listener(&bus, "a");
    let exactly = Message {
        qos: Qos::ExactlyOnce,
        ..message("a", "x")
    };
    bus.publish(exactly).await.unwrap();
    let got = arrived(&recorder, |got| got.len() == 1).await;
    assert_eq!(got[0].message.qos, Qos::ExactlyOnce);
    bus.stop().await;
}

#[tokio::test]
async fn messages_come_in_order_however_many_there_are() {
    let bus = Arc::new(bus().await);
    let (_, recorder) = listener(&bus, "a/#");
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
    let got = arrived(&recorder, last).await;
    publisher.await.unwrap();
    let numbers: Vec<u32> = payloads(&got).iter().map(|p| p.parse().unwrap()).collect();
    assert_eq!(numbers, (0..5000).collect::<Vec<_>>());
    assert_eq!(bus.metrics.shared_dropped.get(), 0);
    bus.stop().await;
}

#[tokio::test]
async fn a_session_that_unsubscribes_gets_no_more() {
    let bus = bus().await;
    let (session, recorder) = listener(&bus, "a");
    subscribe(&bus, session, "b", &recorder);
    bus.unsubscribe(session, Some(&filter("a")));
    bus.publish(message("a", "no")).await.unwrap();
    bus.publish(message("b", "yes")).await.unwrap();
    assert_eq!(
        payloads(&arrived(&recorder, |got| got.len() == 1).await),
        ["yes"]
    );
    bus.unsubscribe(session, None);
    let (_, other) = listener(&bus, "b");
    bus.publish(message("b", "end")).await.unwrap();
    arrived(&other, |got| got.len() == 1).await;
    assert!(recorder.take().is_empty());
    bus.stop().await;
}
