//! QoS 2: no message is lost, and none comes twice, wherever a connection is cut (MQTT 5 sections 4.3.3 and 4.4).

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Message, Packet, Raw},
};
use rstest::rstest;

use crate::heard::{announce, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

/// A message under this packet identifier.
const ID: u16 = 7;

fn once(herald: &Herald, payload: &str) -> Message {
    Message::new(&herald.topic("once"), payload).qos(2)
}

/// An administrator who publishes and one user who listens at QoS 2.
async fn two(herald: &Herald, version: Version) -> (Raw, Raw) {
    let admin = Raw::connect_as(herald, version, &Connect::of("admin").client_id("other")).await;
    let mut alice = Raw::connect(herald, version, "alice").await;
    assert_eq!(alice.subscribe_at(&herald.topic("once"), 2).await, 2);
    (admin, alice)
}

#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_before_its_pubrel_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let (mut admin, mut alice) = two(&herald, version).await;
    admin.send_as(&once(&herald, "one"), ID).await;
    assert_eq!(admin.pubrec(ID).await.0, 0);
    for _ in 0..3 {
        admin.send_as(&once(&herald, "one").again(), ID).await;
        assert_eq!(admin.pubrec(ID).await.0, 0);
    }
    admin.send_pubrel(ID).await;
    assert_eq!(admin.pubcomp(ID).await, 0);
    assert_eq!(alice.take().await.payload, "one");
    hears_nothing_before(&mut alice, &mut admin, &herald.topic("once")).await;
    alice.disconnect().await;
}

/// Without waiting for the answer to the first.
#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_in_a_hurry_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let (mut admin, mut alice) = two(&herald, version).await;
    for id in 1..=10 {
        admin.send_as(&once(&herald, "one"), id).await;
        admin.send_as(&once(&herald, "one").again(), id).await;
        // Each PUBLISH may be answered; one answer is enough.
        admin.pubrec(id).await;
        admin.send_pubrel(id).await;
        loop {
            match admin.packet().await {
                Some(Packet::Pubrec { id: again, .. }) => assert_eq!(again, id),
                Some(Packet::Pubcomp { id: done, code: 0 }) if done == id => break,
                other => panic!("PUBCOMP expected: {other:?}"),
            }
        }
        assert_eq!(alice.take().await.payload, "one", "{version:?}");
    }
    hears_nothing_before(&mut alice, &mut admin, &herald.topic("once")).await;
    alice.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_after_a_reconnect_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let (mut other, mut alice) = two(&herald, version).await;
    let connect = Connect::kept("admin").client_id("publisher");
    let mut admin = Raw::connect_as(&herald, version, &connect).await;
    admin.send_as(&once(&herald, "one"), ID).await;
    // The connection breaks before PUBREC is read, then before PUBREL is sent.
    for _ in 0..3 {
        admin.cut().await;
        admin = Raw::resume(&herald, version, &connect).await;
        admin.send_as(&once(&herald, "one").again(), ID).await;
        assert_eq!(admin.pubrec(ID).await.0, 0, "{version:?}");
    }
    // Then before PUBCOMP is read: PUBREL is sent again.
    admin.send_pubrel(ID).await;
    admin.cut().await;
    admin = Raw::resume(&herald, version, &connect).await;
    admin.send_pubrel(ID).await;
    let code = admin.pubcomp(ID).await;
    assert!(
        code == 0 || version == Version::V5 && code == 0x92,
        "{code:#x}"
    );
    assert_eq!(alice.take().await.payload, "one");
    hears_nothing_before(&mut alice, &mut other, &herald.topic("once")).await;
    // The packet identifier is free for another message.
    admin.send_as(&once(&herald, "two"), ID).await;
    assert_eq!(admin.pubrec(ID).await.0, 0);
    admin.send_pubrel(ID).await;
    assert_eq!(admin.pubcomp(ID).await, 0);
    assert_eq!(alice.take().await.payload, "two");
    alice.disconnect().await;
    other.disconnect().await;
}

/// A takeover is a reconnect, too: the older connection is still there.
#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_after_a_takeover_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let (mut other, mut alice) = two(&herald, version).await;
    let connect = Connect::kept("admin").client_id("publisher");
    let mut first = Raw::connect_as(&herald, version, &connect).await;
    first.send_as(&once(&herald, "one"), ID).await;
    let mut second = Raw::resume(&herald, version, &connect).await;
    second.send_as(&once(&herald, "one").again(), ID).await;
    assert_eq!(second.pubrec(ID).await.0, 0);
    second.send_pubrel(ID).await;
    assert_eq!(second.pubcomp(ID).await, 0);
    assert_eq!(alice.take().await.payload, "one");
    hears_nothing_before(&mut alice, &mut other, &herald.topic("once")).await;
    alice.disconnect().await;
    other.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn a_session_that_begins_anew_knows_no_packet_identifier(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let (mut other, mut alice) = two(&herald, version).await;
    let connect = Connect::of("admin").client_id("publisher");
    for _ in 0..2 {
        let mut admin = Raw::connect_as(&herald, version, &connect).await;
        admin.send_as(&once(&herald, "one").again(), ID).await;
        assert_eq!(admin.pubrec(ID).await.0, 0);
        admin.cut().await;
        assert_eq!(alice.take().await.payload, "one");
    }
    hears_nothing_before(&mut alice, &mut other, &herald.topic("once")).await;
    alice.disconnect().await;
    other.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn a_pubrel_for_nothing_is_answered(#[values(Version::V311, Version::V5)] version: Version) {
    let herald = SERVER.with_users(&["admin"]).await;
    let mut admin = Raw::connect(&herald, version, "admin").await;
    admin.send_pubrel(99).await;
    // 0x92: packet identifier not found.
    assert_eq!(admin.pubcomp(99).await, version.puback(0x92));
    admin.ping().await;
}

/// A listener whose session is kept, with one message on its way to it.
async fn delivering(herald: &Herald, version: Version, qos: u8) -> (Raw, Raw, Connect) {
    let topic: &str = &herald.topic("once");
    let connect = Connect::kept("alice").client_id(&format!("{version:?} {qos}"));
    let mut alice = Raw::connect_as(herald, version, &connect).await;
    assert_eq!(alice.subscribe_at(topic, qos).await, qos);
    let mut admin = Raw::connect(herald, version, "admin").await;
    announce(&mut admin, topic, qos, &["one", "two"]).await;
    (admin, alice, connect)
}

#[rstest]
#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_with_dup_and_the_same_packet_identifier(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("once");
    for qos in [1, 2] {
        let (mut admin, mut alice, connect) = delivering(&herald, version, qos).await;
        let mut sent = vec![alice.message().await, alice.message().await];
        assert!(sent.iter().all(|p| !p.dup && p.qos == qos));
        for publish in &mut sent {
            publish.dup = true;
        }
        // However often.
        for _ in 0..3 {
            alice.cut().await;
            alice = Raw::resume(&herald, version, &connect).await;
            for expected in &sent {
                assert_eq!(alice.message().await, *expected, "{version:?}");
            }
        }
        alice.cut().await;
        alice = Raw::resume(&herald, version, &connect).await;
        for expected in &sent {
            assert_eq!(alice.take().await, *expected);
        }
        hears_nothing_before(&mut alice, &mut admin, topic).await;
        // Nor is anything left of it.
        alice.ping().await;
        alice.cut().await;
        alice = Raw::resume(&herald, version, &connect).await;
        hears_nothing_before(&mut alice, &mut admin, topic).await;
    }
}

#[rstest]
#[tokio::test]
async fn after_pubrec_only_pubrel_is_sent_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("once");
    let (mut admin, mut alice, connect) = delivering(&herald, version, 2).await;
    let (one, two) = (alice.message().await, alice.message().await);
    let (one, two) = (one.id.unwrap(), two.id.unwrap());
    // Cut before PUBREL is read, and again before PUBCOMP is sent.
    alice.send_pubrec(one).await;
    alice.send_pubrec(two).await;
    for _ in 0..3 {
        alice.cut().await;
        alice = Raw::resume(&herald, version, &connect).await;
        alice.pubrel(one).await;
        alice.pubrel(two).await;
    }
    alice.send_pubcomp(one).await;
    alice.send_pubcomp(two).await;
    hears_nothing_before(&mut alice, &mut admin, topic).await;
    alice.ping().await;
    alice.cut().await;
    alice = Raw::resume(&herald, version, &connect).await;
    hears_nothing_before(&mut alice, &mut admin, topic).await;
}

/// One half of the flow for the first message, the other for the second.
#[rstest]
#[tokio::test]
async fn each_message_goes_on_where_its_own_flow_was_cut(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let (mut admin, mut alice, connect) = delivering(&herald, version, 2).await;
    let one = alice.message().await.id.unwrap();
    let two = alice.message().await.id.unwrap();
    alice.send_pubrec(one).await;
    alice.pubrel(one).await;
    alice.cut().await;
    alice = Raw::resume(&herald, version, &connect).await;
    alice.pubrel(one).await;
    let again = alice.message().await;
    assert_eq!((again.id, again.dup), (Some(two), true));
    assert_eq!(again.payload, "two");
    alice.send_pubrec(two).await;
    alice.pubrel(two).await;
    alice.send_pubcomp(two).await;
    alice.send_pubcomp(one).await;
    hears_nothing_before(&mut alice, &mut admin, &herald.topic("once")).await;
}
