//! What would end the router of shared topics, or a link to it, if it ever came to it. Afterwards a shared message still
//! passes.

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Message, Raw, Will},
    until,
};
use rstest::rstest;

use crate::heard::{Announcer, announce, heard};

static SERVER: SharedServer = SharedServer::new();

/// A message passes from one client to another, and the router has not been replaced.
async fn still_passes(herald: &Herald) {
    let topic: &str = &herald.topic("x");
    let connect = Connect::of("alice").client_id("still there");
    let mut alice = Raw::connect_as(herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe_at(topic, 2).await, 2);
    let connect = Connect::of("admin").client_id("still there");
    let mut admin = Raw::connect_as(herald, Version::V5, &connect).await;
    for qos in [0, 1, 2] {
        announce(&mut admin, topic, qos, &["still passes"]).await;
        assert_eq!(heard(&mut alice, 1).await, ["still passes"], "QoS {qos}");
    }
    assert_eq!(admin.subscribe("$SYS/herald/router/restarts").await, 1);
    assert_eq!(admin.take().await.payload, "0");
}

/// Lets the administrator of the test publish and alice subscribe below a first level of their own, which is not ASCII, and
/// waits until that is in force. Returns that level.
async fn open_level(herald: &Herald) -> String {
    let (of_admin, of_alice) = (herald.name("admin"), herald.name("alice"));
    let level = format!("ü{of_alice}");
    let (all, topic) = (format!("{level}/#"), format!("{level}/1"));
    let http = herald.http("admin").await;
    http.allow(&format!("user:{of_admin}"), "publish", "#")
        .await;
    http.allow(&format!("user:{of_alice}"), "subscribe", &all)
        .await;
    let mut admin = Raw::connect(herald, Version::V5, "admin").await;
    let mut alice = Raw::connect(herald, Version::V5, "alice").await;
    until("the rules to be in force", async || {
        let publishes = admin.publish(&topic, "x").await == 0;
        let subscribes = alice.subscribe(&all).await == 1;
        (publishes && subscribes).then_some(())
    })
    .await;
    level
}

/// Client ids that are filters or hold separators, twice at once.
#[rstest]
#[tokio::test]
async fn a_client_id_of_wildcards_and_separators_may_connect_twice(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    for id in [
        "+",
        "$",
        "#",
        "/",
        "a+b",
        "a/b",
        "$share/g/#",
        "a#",
        "h/a",
        ".",
        "\u{7f}",
    ] {
        let connect = Connect::of("alice").client_id(id);
        let mut first = Raw::connect_as(&herald, version, &connect).await;
        assert_eq!(first.subscribe(topic).await, 1);
        let mut second = Raw::connect_as(&herald, version, &connect).await;
        assert_eq!(first.ended().await, version.is_v5().then_some(0x8E), "{id}");
        assert_eq!(second.subscribe(topic).await, 1);
        second.ping().await;
        second.disconnect().await;
    }
    still_passes(&herald).await;
}

#[rstest]
#[tokio::test]
async fn topics_that_do_not_begin_with_ascii_pass_like_others(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let level = open_level(&herald).await;
    let crab: &str = &format!("{level}/ß/🦀");
    let mut admin = Raw::connect(&herald, version, "admin").await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    assert_eq!(alice.subscribe_at(&format!("{level}/#"), 2).await, 2);
    for qos in [0, 1, 2] {
        for retain in [false, true] {
            let mut message = Message::new(crab, "hello").qos(qos);
            if retain {
                message = message.retained();
            }
            assert_eq!(admin.deliver(&message).await, 0);
            let received = alice.take().await;
            assert_eq!((received.topic.as_str(), received.qos), (crab, qos));
        }
    }
    let clear = Message::new(crab, "").qos(1).retained();
    assert_eq!(admin.deliver(&clear).await, 0);
    assert_eq!(heard(&mut alice, 1).await, [""]);
    for topic in ["🦀", "\u{7ff}", "é", "/", "//", "中/文", " "] {
        announce(&mut admin, topic, 1, &["to nobody"]).await;
    }
    alice.disconnect().await;
    still_passes(&herald).await;
}

#[rstest]
#[tokio::test]
async fn a_will_on_a_topic_that_does_not_begin_with_ascii_fires(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let level = open_level(&herald).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&format!("{level}/#")).await, 1);
    for retain in [false, true] {
        let connect = Connect::of("admin").will_with(Will {
            topic: format!("{level}/🦀"),
            payload: "gone".into(),
            qos: 1,
            retain,
            properties: vec![],
        });
        Raw::connect_as(&herald, version, &connect)
            .await
            .cut()
            .await;
        assert_eq!(heard(&mut alice, 1).await, ["gone"]);
    }
    still_passes(&herald).await;
}

/// CONNACK, SUBACK, UNSUBACK, PINGRESP; and in 3.1.1 what it does not have.
#[rstest]
#[tokio::test]
async fn packets_that_only_a_server_sends_end_their_connection_only(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let packets: [&[u8]; 6] = match version {
        Version::V311 => [
            &[0x20, 2, 0, 0],
            &[0x90, 3, 0, 1, 0],
            &[0xB0, 2, 0, 1],
            &[0xD0, 0],
            &[0xF0, 0],
            &[0x00, 0],
        ],
        Version::V5 => [
            &[0x20, 3, 0, 0, 0],
            &[0x90, 4, 0, 1, 0, 0],
            &[0xB0, 4, 0, 1, 0, 0],
            &[0xD0, 0],
            &[0xF0, 2, 0x18, 0],
            &[0x00, 0],
        ],
    };
    for packet in packets {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        assert_eq!(alice.subscribe(&herald.topic("x")).await, 1);
        alice.send(packet).await;
        let code = alice.ended().await;
        assert_eq!(code.is_some(), version.is_v5(), "{packet:?}: {code:?}");
    }
    still_passes(&herald).await;
}

/// A kept session of a group that is taken away, or that leaves, with messages unacknowledged.
#[rstest]
#[tokio::test]
async fn a_member_of_a_group_may_leave_with_messages_unacknowledged(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let group: &str = &format!("$share/g/{}", herald.topic("x"));
    for qos in [1, 2] {
        let mut admin = Announcer::new(&herald, version).await;
        let connect = Connect::kept("alice").client_id("member");
        let mut member = Raw::connect_as(&herald, version, &connect).await;
        assert_eq!(member.subscribe_at(group, qos).await, qos);
        admin.tell(&herald.topic("x"), qos, &["1", "2", "3"]).await;
        admin.settle().await;
        let sent = member.at_once().await;
        assert_eq!(sent.len(), 3);
        assert_eq!(member.unsubscribe(group).await, 0);
        // It left the group; what it was sent, it may still acknowledge.
        member.finish(&sent[1]).await;
        member.cut().await;
        still_passes(&herald).await;
        let anew = Connect {
            clean: true,
            ..connect
        };
        Raw::connect_as(&herald, version, &anew)
            .await
            .disconnect()
            .await;
        still_passes(&herald).await;
    }
}

/// The last first, then one that was never sent; then the session is woken.
#[rstest]
#[tokio::test]
async fn acknowledgements_out_of_order_hold_nothing_up(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = Announcer::new(&herald, version).await;
    for qos in [1, 2] {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        assert_eq!(alice.subscribe_at(topic, qos).await, qos);
        for round in 0..3 {
            let texts: Vec<String> = (0..40).map(|n| format!("{round} {n:02}")).collect();
            let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
            admin.tell(topic, qos, &payloads).await;
            let mut got = vec![];
            while got.len() < texts.len() {
                let sent = alice.at_once().await;
                for publish in sent.iter().rev() {
                    alice.finish(publish).await;
                }
                got.extend(sent.into_iter().map(|p| p.payload));
            }
            assert_eq!(got, texts, "{version:?} at QoS {qos}");
        }
        alice.disconnect().await;
    }
    still_passes(&herald).await;
}

/// An acknowledgement of nothing may end its connection, and nothing else.
#[rstest]
#[tokio::test]
async fn an_acknowledgement_of_what_was_not_sent_concerns_its_connection_only(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    for first in [0x40, 0x50, 0x70] {
        let mut alice = Raw::connect(&herald, version, "alice").await;
        assert_eq!(alice.subscribe(&herald.topic("x")).await, 1);
        alice.send(&[first, 2, 0x12, 0x34]).await;
        alice.send_in_vain(&[0xC0, 0]).await;
        // Whichever: PINGRESP, PUBREL, DISCONNECT, or the end.
        alice.packet().await;
    }
    still_passes(&herald).await;
}

/// The widest and the oddest filters, again and again.
#[rstest]
#[tokio::test]
async fn subscribing_and_leaving_many_times_leaves_nothing_behind(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    for n in 0..200 {
        let filters = [
            format!("broadcast/{n}/+/#"),
            format!("$share/{n}/broadcast/{n}"),
            "#".into(),
            "+/+".into(),
        ];
        for filter in filters {
            assert!(admin.subscribe(&filter).await <= 2, "{filter}");
            assert_eq!(admin.unsubscribe(&filter).await, 0);
        }
    }
    still_passes(&herald).await;
}
