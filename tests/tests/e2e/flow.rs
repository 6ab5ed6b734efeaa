//! What each side takes of the other: topic aliases, receive maximum, maximum packet size (MQTT 5).

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Message, Packet, Property, Publish, Raw},
};

use crate::heard::{Announcer, announce, heard, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

fn alias(publish: &Publish) -> Option<u16> {
    publish.properties.iter().find_map(|p| match p {
        Property::TopicAlias(alias) => Some(*alias),
        _ => None,
    })
}

fn aliased(topic: &str, alias: u16, payload: &str) -> Message {
    let message = Message::new(topic, payload).qos(1);
    message.with(Property::TopicAlias(alias))
}

#[tokio::test]
async fn a_client_names_topics_by_alias() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut alice = Raw::connect(&herald, Version::V311, "alice").await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    for (is_named, alias, name) in [
        (true, 1, "a"),
        (false, 1, "a"),
        (true, 16, "b"),
        (false, 16, "b"),
        (false, 1, "a"),
        // Given to another topic.
        (true, 1, "c"),
        (false, 1, "c"),
    ] {
        let topic = herald.topic(name);
        let named = if is_named { &topic } else { "" };
        assert_eq!(admin.deliver(&aliased(named, alias, name)).await, 0);
        let received = alice.take().await;
        assert_eq!((received.topic, received.payload), (topic, name.into()));
    }
}

#[tokio::test]
async fn an_alias_opens_no_topic() {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(
        alice.deliver(&aliased(&herald.topic("x"), 1, "mine")).await,
        0x87
    );
    assert_eq!(alice.deliver(&aliased("", 1, "mine")).await, 0x87);
}

#[tokio::test]
async fn an_alias_that_is_not_given_is_an_error() {
    let herald = SERVER.with_users(&["admin"]).await;
    let topic: &str = &herald.topic("x");
    let connect = Connect::kept("admin");
    for (message, codes) in [
        // Beyond what CONNACK allows, and 0, which no sender may use (sections 3.3.2.3.4 and 3.14.2.1).
        (aliased(topic, 17, "x"), [0x94, 0x94]),
        (aliased(topic, 0, "x"), [0x82, 0x94]),
        // Given on an earlier connection only (section 3.3.2.3.4-7).
        (aliased("", 1, "x"), [0x82, 0x94]),
    ] {
        let mut admin = Raw::connect_as(&herald, Version::V5, &connect).await;
        assert_eq!(admin.deliver(&aliased(topic, 1, "x")).await, 0);
        admin.disconnect().await;
        let mut admin = Raw::resume(&herald, Version::V5, &connect).await;
        admin.send_as(&message, 9).await;
        let code = admin.ended().await.unwrap();
        assert!(codes.contains(&code), "{message:?}: {code:#x}");
    }
}

#[tokio::test]
async fn the_server_uses_as_many_aliases_as_the_client_takes() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    for maximum in [1, 2, 100] {
        let connect = Connect::of("alice").with(Property::TopicAliasMaximum(maximum));
        let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
        assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
        let mut known: Vec<String> = vec![];
        for round in 0..3 {
            for name in ["a", "b", "c"] {
                let topic: &str = &herald.topic(name);
                let payload = format!("{round} {topic}");
                admin.tell(topic, 1, &[&payload]).await;
                let received = alice.take().await;
                assert_eq!(received.payload, payload);
                match alias(&received) {
                    None => assert_eq!(received.topic, topic),
                    Some(n) => {
                        assert!((1..=maximum).contains(&n), "{n} of {maximum}");
                        let n = usize::from(n);
                        if received.topic.is_empty() {
                            assert_eq!(known[n - 1], topic);
                        } else {
                            assert_eq!((n, received.topic.as_str()), (known.len() + 1, topic));
                            known.push(received.topic);
                        }
                    }
                }
            }
        }
        assert_eq!(known.len(), usize::from(maximum).min(3));
        alice.disconnect().await;
    }
}

/// A message that is sent again names its topic: the new connection knows no alias.
#[tokio::test]
async fn aliases_of_the_server_end_with_the_connection() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let connect = Connect::kept("alice").with(Property::TopicAliasMaximum(10));
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe(&herald.topic("#")).await, 1);
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    announce(&mut admin, topic, 1, &["1", "2"]).await;
    assert_eq!(alice.message().await.topic, topic);
    assert_eq!(alice.message().await.topic, "");
    alice.cut().await;
    let mut alice = Raw::resume(&herald, Version::V5, &connect).await;
    let first = alice.take().await;
    assert_eq!((first.topic.as_str(), alias(&first)), (topic, Some(1)));
    let second = alice.take().await;
    assert_eq!((second.topic.as_str(), alias(&second)), ("", Some(1)));
    alice.cut().await;
    // One that takes none.
    let mut alice = Raw::resume(&herald, Version::V5, &Connect::kept("alice")).await;
    announce(&mut admin, topic, 1, &["3"]).await;
    let third = alice.take().await;
    assert_eq!((third.topic.as_str(), alias(&third)), (topic, None));
}

#[tokio::test]
async fn no_more_is_under_way_than_the_client_takes() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    for qos in [1, 2] {
        let connect = Connect {
            receive_maximum: Some(2),
            ..Connect::of("alice")
        };
        let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
        assert_eq!(alice.subscribe_at(&herald.topic("#"), qos).await, qos);
        let mut admin = Announcer::new(&herald, Version::V5).await;
        let texts: Vec<String> = (0..6).map(|n| n.to_string()).collect();
        let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
        admin.tell(&herald.topic("x"), qos, &payloads).await;
        let mut under_way = alice.at_once().await;
        assert_eq!(under_way.len(), 2, "QoS {qos}");
        let mut received = vec![];
        for left in (0..payloads.len()).rev() {
            let publish = under_way.remove(0);
            let id = publish.id.unwrap();
            if qos == 1 {
                alice.acknowledge(id).await;
            } else {
                // Only PUBCOMP makes room (section 4.9).
                alice.send_pubrec(id).await;
                alice.pubrel(id).await;
                assert_eq!(alice.at_once().await, []);
                alice.send_pubcomp(id).await;
            }
            received.push(publish.payload);
            under_way.extend(alice.at_once().await);
            assert_eq!(under_way.len(), left.min(2), "QoS {qos}");
        }
        assert_eq!(received, payloads);
        alice.disconnect().await;
    }
}

/// What was under way before counts, too.
#[tokio::test]
async fn a_session_that_goes_on_with_a_smaller_receive_maximum_gets_one_at_a_time() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    for qos in [1, 2] {
        let connect = Connect::kept("alice").client_id(&format!("{qos}"));
        let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
        assert_eq!(alice.subscribe_at(topic, qos).await, qos);
        let mut admin = Announcer::new(&herald, Version::V5).await;
        admin.tell(topic, qos, &["1", "2", "3"]).await;
        assert_eq!(alice.at_once().await.len(), 3);
        alice.cut().await;
        admin.tell(topic, qos, &["4"]).await;
        let less = Connect {
            receive_maximum: Some(1),
            ..connect
        };
        let mut alice = Raw::resume(&herald, Version::V5, &less).await;
        for (payload, dup) in [("1", true), ("2", true), ("3", true), ("4", false)] {
            let message = alice.message().await;
            assert_eq!((message.payload.as_str(), message.dup), (payload, dup));
            assert_eq!(alice.at_once().await, [], "QoS {qos}");
            alice.finish(&message).await;
        }
        hears_nothing_before(&mut alice, &mut admin.0, topic).await;
        alice.disconnect().await;
    }
}

/// CONNACK says 32; the server is patient with those that it has answered, but not for ever.
#[tokio::test]
async fn a_client_with_too_many_publishes_under_way_is_disconnected() {
    let rate = ("HERALD_LIMITS__PUBLISHES_PER_S", "0");
    let herald = Herald::start_with(&[rate]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    for id in 1..=1025 {
        admin
            .send_as(&Message::new(&herald.topic("x"), "x").qos(2), id)
            .await;
        match admin.packet().await {
            Some(Packet::Pubrec { code: 0, .. }) => assert!(id <= 1024),
            Some(Packet::Disconnect { code: 0x93, .. }) if id > 32 => return,
            other => panic!("{id}: {other:?}"),
        }
    }
    panic!("there is no end");
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_not_let_in() {
    let herald = SERVER.with_users(&["admin"]).await;
    for property in [Property::ReceiveMaximum(0), Property::MaximumPacketSize(0)] {
        let mut raw = Raw::open(&herald, Version::V5).await;
        raw.send_connect(&Connect::of("admin").with(property.clone()))
            .await;
        let answer = raw.packet().await;
        let refused = match &answer {
            Some(Packet::Connack(connack)) => connack.code >= 0x80,
            Some(Packet::Disconnect { code, .. }) => *code >= 0x80,
            other => other.is_none(),
        };
        assert!(refused, "{property:?}: {answer:?}");
    }
}

#[tokio::test]
async fn what_is_larger_than_a_client_takes_is_not_sent_to_it_and_costs_no_other() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let connect = Connect {
        maximum_packet_size: Some(200),
        ..Connect::of("alice").client_id("small")
    };
    let mut small = Raw::connect_as(&herald, Version::V5, &connect).await;
    let mut large = Raw::connect(&herald, Version::V5, "alice").await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let long = "x".repeat(300);
    for qos in [0, 1, 2] {
        for alice in [&mut small, &mut large] {
            assert_eq!(alice.subscribe_at(&herald.topic("#"), qos).await, qos);
        }
        // More of them than may be under way: none of them is.
        for _ in 0..40 {
            announce(&mut admin, topic, qos, &[&long]).await;
            assert_eq!(heard(&mut large, 1).await, [long.as_str()]);
        }
        announce(&mut admin, topic, qos, &["short"]).await;
        assert_eq!(heard(&mut large, 1).await, ["short"]);
        assert_eq!(heard(&mut small, 1).await, ["short"], "QoS {qos}");
    }
}

#[tokio::test]
async fn a_session_that_goes_on_with_smaller_packets_is_not_sent_what_was_under_way() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let long = "x".repeat(300);
    for qos in [1, 2] {
        let connect = Connect::kept("alice").client_id(&format!("{qos}"));
        let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
        assert_eq!(alice.subscribe_at(topic, qos).await, qos);
        let mut admin = Announcer::new(&herald, Version::V5).await;
        admin.tell(topic, qos, &["1", &long, "3"]).await;
        assert_eq!(alice.at_once().await.len(), 3);
        alice.cut().await;
        let small = Connect {
            maximum_packet_size: Some(200),
            ..connect
        };
        let mut alice = Raw::resume(&herald, Version::V5, &small).await;
        assert_eq!(heard(&mut alice, 2).await, ["1", "3"], "QoS {qos}");
        hears_nothing_before(&mut alice, &mut admin.0, topic).await;
        alice.disconnect().await;
    }
}

/// 0 is the same as no property (section 3.1.2.11.5).
#[tokio::test]
async fn a_client_that_says_that_it_takes_no_alias_is_let_in_and_gets_none() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let connect = Connect::of("alice").with(Property::TopicAliasMaximum(0));
    let mut alice = Raw::open(&herald, Version::V5).await;
    alice.send_connect(&connect).await;
    let answer = alice.packet().await;
    assert!(
        matches!(&answer, Some(Packet::Connack(connack)) if connack.code == 0),
        "{answer:?}"
    );
    assert_eq!(alice.subscribe(topic).await, 1);
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    announce(&mut admin, topic, 1, &["1", "2"]).await;
    for _ in 0..2 {
        let received = alice.take().await;
        assert_eq!((received.topic.as_str(), alias(&received)), (topic, None));
    }
}
