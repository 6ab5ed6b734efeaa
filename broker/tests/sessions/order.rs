//! What one connection does takes effect in its order, and one copy comes of each message.

use herald_acl::{Actions, Policy, Subject};

use crate::{
    client::{
        Answer::{self, Puback, Suback, Unsuback},
        Client,
    },
    common::{
        encode::{Connect, V3, V5, ack, publish, subscribe, unsubscribe},
        hosts::allow,
    },
    setup::{
        all_had_a_turn, ask, begin, connect, connect_one_by_one, next, next_is, open, published,
        start,
    },
};

/// No-local (MQTT 5 section 3.8.3.1).
const NO_LOCAL: u8 = 0b100;

/// The payloads that have come by now, of one character each.
async fn heard(client: &mut Client) -> String {
    client.send(&unsubscribe(V5, 9, &["nothing"])).await;
    let mut heard = String::new();
    loop {
        let next = next(client).await;
        match (published(&next), &next) {
            (Some(packet), _) => heard.extend(packet.last().map(|n| char::from(*n))),
            (None, Unsuback(9, _)) => return heard,
            (None, Puback(..)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Publishes `payload` as another client, and waits until all that was published before has gone out.
async fn settle(client: &mut Client, topic: &str, payload: &str) {
    client.send(&publish(V5, 0, topic, 0, &[], payload)).await;
    let heard_it = async {
        while !published(&next(client).await).is_some_and(|p| p.ends_with(payload.as_bytes())) {}
    };
    heard_it.await;
}

#[tokio::test]
async fn a_message_published_before_a_subscription_does_not_come_for_it() {
    let (broker, _intake) = start(5).await;
    for retain in [0, 1] {
        let mut client = open(&broker, &connect("phone", true, 0)).await;
        let last = subscribe(V5, 2, &[], &[("last", 0)]);
        assert_eq!(ask(&mut client, &last).await, Suback(2, vec![0]));
        // In one segment.
        let both = [
            publish(V5, 2 | retain, "notice", 1, &[], "1"),
            subscribe(V5, 3, &[], &[("notice", 1)]),
            publish(V5, 0, "notice", 0, &[], "2"),
        ];
        client.send(&both.concat()).await;
        let mut came = String::new();
        while !came.ends_with('2') {
            let next = next(&mut client).await;
            came.extend(
                published(&next)
                    .and_then(|p| p.last())
                    .map(|n| char::from(*n)),
            );
        }
        settle(&mut client, "last", "end").await;
        let expected = if retain == 1 { "12" } else { "2" };
        assert_eq!(came, expected, "RETAIN {retain}");
        // Forgotten for the next.
        client.send(&publish(V5, 1, "notice", 0, &[], "")).await;
    }
}

#[tokio::test]
async fn a_subscription_that_is_made_again_has_not_begun_anew() {
    let (broker, _intake) = start(5).await;
    let mut client = open(&broker, &connect("phone", true, 0)).await;
    // 0x20: nothing that is retained.
    let notice = subscribe(V5, 3, &[], &[("notice", 0x20)]);
    assert_eq!(ask(&mut client, &notice).await, Suback(3, vec![0]));
    let again = [publish(V5, 0, "notice", 0, &[], "1"), notice].concat();
    client.send(&again).await;
    let mut answers = [next(&mut client).await, next(&mut client).await];
    answers.sort_by_key(|answer| published(answer).is_none());
    assert!(published(&answers[0]).is_some_and(|p| p.ends_with(b"1")));
    assert_eq!(answers[1], Suback(3, vec![0]));
}

/// Two filters that a message matches, granted by one rule and by two.
const OVERLAPPING: [[&str; 2]; 2] = [["rooms/alice/x", "rooms/alice/#"], ["halls/x", "halls/+"]];

fn rules() -> Policy {
    let everyone = Subject::Everyone;
    let rule = |filter: &str| allow(filter, &everyone, Actions::Both, filter);
    Policy::new(vec![
        rule("rooms/%u/#"),
        rule("notice"),
        rule("halls/x"),
        rule("halls/+"),
        rule("last"),
    ])
}

#[tokio::test]
async fn a_filter_without_ones_own_messages_takes_none_away_and_adds_none() {
    let (broker, _intake) = start(5).await;
    broker.set_policy(rules());
    for [one, other] in OVERLAPPING {
        let topic = one;
        let filters = [(one, NO_LOCAL), (other, 0), ("last", 0)];
        let mut client = open(&broker, &connect("phone", true, 0)).await;
        let all = subscribe(V5, 1, &[], &filters);
        assert_eq!(ask(&mut client, &all).await, Suback(1, vec![0, 0, 0]));
        for n in ["1", "2", "3"] {
            client.send(&publish(V5, 0, topic, 0, &[], n)).await;
        }
        let mut came = String::new();
        client.send(&publish(V5, 0, topic, 0, &[], "e")).await;
        while !came.ends_with('e') {
            let next = next(&mut client).await;
            came.extend(
                published(&next)
                    .and_then(|p| p.last())
                    .map(|n| char::from(*n)),
            );
        }
        // What would be a second copy has come by then.
        client.send(&publish(V5, 0, topic, 0, &[], "f")).await;
        while !came.ends_with('f') {
            let next = next(&mut client).await;
            came.extend(
                published(&next)
                    .and_then(|p| p.last())
                    .map(|n| char::from(*n)),
            );
        }
        assert_eq!(came, "123ef", "{one} {other}");
    }
}

#[tokio::test]
async fn one_copy_comes_though_one_of_two_filters_is_unsubscribed_meanwhile() {
    let (broker, _intake) = start(5).await;
    broker.set_policy(rules());
    for [one, other] in OVERLAPPING {
        let mut reader = open(&broker, &connect_one_by_one("reader")).await;
        let both = subscribe(V5, 1, &[], &[(one, 1), (other, 1)]);
        assert_eq!(ask(&mut reader, &both).await, Suback(1, vec![1, 1]));
        let mut writer = open(&broker, &connect("writer", true, 0)).await;
        for (id, payload) in [(1, "a"), (2, "b"), (3, "c")] {
            let message = publish(V5, 2, one, id, &[], payload);
            assert_eq!(ask(&mut writer, &message).await, Puback(id, 0));
        }
        next_is(&mut reader, "a").await;
        all_had_a_turn(&broker).await;
        // The others wait until the first is acknowledged.
        let leave = unsubscribe(V5, 2, &[other]);
        assert_eq!(ask(&mut reader, &leave).await, Unsuback(2, vec![0]));
        let then = publish(V5, 2, one, 4, &[], "d");
        assert_eq!(ask(&mut writer, &then).await, Puback(4, 0));
        for (id, payload) in [(1, "b"), (2, "c"), (3, "d")] {
            reader.send(&ack(0x40, id)).await;
            next_is(&mut reader, payload).await;
        }
        reader.send(&ack(0x40, 4)).await;
        assert_eq!(heard(&mut reader).await, "");
    }
}

/// What tools for other brokers look for.
#[tokio::test]
async fn the_usual_names_are_in_sys_broker() {
    let (broker, _intake) = start(5).await;
    let sys = allow("sys", &Subject::Everyone, Actions::Subscribe, "$SYS/#");
    broker.set_policy(Policy::new(vec![sys]));
    let mut client = open(&broker, &connect("phone", true, 0)).await;
    client
        .send(&subscribe(V5, 1, &[], &[("$SYS/broker/#", 0)]))
        .await;
    let mut names = vec![];
    while names.len() < 10 {
        if let Some(packet) = published(&next(&mut client).await) {
            let topic = &packet[4..4 + usize::from(packet[3])];
            names.push(String::from_utf8_lossy(topic).replace("$SYS/broker/", ""));
        }
    }
    names.sort();
    let expected = [
        "clients/connected",
        "clients/disconnected",
        "clients/total",
        "messages/received",
        "messages/sent",
        "publish/messages/dropped",
        "publish/messages/received",
        "publish/messages/sent",
        "uptime",
        "version",
    ];
    assert_eq!(names, expected);
}

/// mosquitto's bridges say so in the protocol level.
#[tokio::test]
async fn a_bridge_that_speaks_3_1_1_hears_nothing_of_its_own() {
    let (broker, _intake) = start(5).await;
    let bridge = Connect {
        version: V3 | 0x80,
        ..Connect::new(V3)
    };
    let mut bridge = begin(&broker, &bridge).await;
    assert_eq!(next(&mut bridge).await, Answer::Connack(0));
    let notice = subscribe(V3, 1, &[], &[("notice", 1)]);
    bridge.send(&notice).await;
    let own = publish(V3, 0, "notice", 0, &[], "own");
    bridge.send(&own).await;
    let mut other = open(&broker, &connect("other", true, 0)).await;
    // Retained as it was published.
    let retained = publish(V5, 3, "notice", 1, &[], "others");
    assert_eq!(ask(&mut other, &retained).await, Puback(1, 0));
    let mut came = vec![];
    while came.is_empty() {
        let next = next(&mut bridge).await;
        came.extend(published(&next).map(<[u8]>::to_vec));
    }
    assert!(came[0].ends_with(b"others"), "{came:?}");
    assert_eq!(came[0][0] & 1, 1, "the RETAIN flag");
}
