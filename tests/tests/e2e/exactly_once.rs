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

/// An administrator who publishes, and Alice, who listens at QoS 2.
struct Scene {
    herald: Herald,
    version: Version,
    admin: Raw,
    alice: Raw,
}

impl Scene {
    async fn begin(version: Version) -> Self {
        let herald = SERVER.with_users(&["alice", "admin"]).await;
        let admin = Connect::of("admin").client_id("other");
        let admin = Raw::connect_as(&herald, version, &admin).await;
        let mut alice = Raw::connect(&herald, version, "alice").await;
        assert_eq!(alice.subscribe_at(&herald.topic("once"), 2).await, 2);
        Self {
            herald,
            version,
            admin,
            alice,
        }
    }

    fn once(&self, payload: &str) -> Message {
        Message::new(&self.herald.topic("once"), payload).qos(2)
    }

    /// Cuts `raw` off, and goes on with its session.
    async fn again(&self, raw: Raw, connect: &Connect) -> Raw {
        raw.cut().await;
        Raw::resume(&self.herald, self.version, connect).await
    }

    /// Alice has got these, and gets nothing more.
    async fn expect(&mut self, payloads: &[&str]) {
        for payload in payloads {
            assert_eq!(self.alice.take().await.payload, *payload);
        }
        let topic = self.herald.topic("once");
        hears_nothing_before(&mut self.alice, &mut self.admin, &topic).await;
    }
}

/// Sends a PUBLISH, and gets PUBREC.
async fn publish(raw: &mut Raw, message: &Message) {
    raw.send_as(message, ID).await;
    assert_eq!(raw.pubrec(ID).await.0, 0);
}

/// Sends PUBREL, and gets PUBCOMP.
async fn release(raw: &mut Raw) {
    raw.send_pubrel(ID).await;
    assert_eq!(raw.pubcomp(ID).await, 0);
}

#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_before_its_pubrel_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut scene = Scene::begin(version).await;
    let once = scene.once("one");
    publish(&mut scene.admin, &once).await;
    for _ in 0..3 {
        publish(&mut scene.admin, &once.clone().again()).await;
    }
    release(&mut scene.admin).await;
    scene.expect(&["one"]).await;
}

/// Without waiting for the answer to the first.
#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_in_a_hurry_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut scene = Scene::begin(version).await;
    let once = scene.once("one");
    for id in 1..=10 {
        let admin = &mut scene.admin;
        admin.send_as(&once, id).await;
        admin.send_as(&once.clone().again(), id).await;
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
    }
    scene.expect(&["one"; 10]).await;
}

#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_after_a_reconnect_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut scene = Scene::begin(version).await;
    let once = scene.once("one");
    let connect = Connect::kept("admin").client_id("publisher");
    let mut admin = Raw::connect_as(&scene.herald, version, &connect).await;
    admin.send_as(&once, ID).await;
    // The connection breaks before PUBREC is read, then before PUBREL is sent.
    for _ in 0..3 {
        admin = scene.again(admin, &connect).await;
        publish(&mut admin, &once.clone().again()).await;
    }
    // Then before PUBCOMP is read: PUBREL is sent again.
    admin.send_pubrel(ID).await;
    admin = scene.again(admin, &connect).await;
    admin.send_pubrel(ID).await;
    let code = admin.pubcomp(ID).await;
    assert!(
        code == 0 || version == Version::V5 && code == 0x92,
        "{code:#x}"
    );
    scene.expect(&["one"]).await;
    // The packet identifier is free for another message.
    publish(&mut admin, &scene.once("two")).await;
    release(&mut admin).await;
    scene.expect(&["two"]).await;
}

/// A takeover is a reconnect, too: the older connection is still there.
#[rstest]
#[tokio::test]
async fn a_publish_that_is_repeated_after_a_takeover_is_one_message(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut scene = Scene::begin(version).await;
    let once = scene.once("one");
    let connect = Connect::kept("admin").client_id("publisher");
    let mut first = Raw::connect_as(&scene.herald, version, &connect).await;
    first.send_as(&once, ID).await;
    let mut second = Raw::resume(&scene.herald, version, &connect).await;
    publish(&mut second, &once.again()).await;
    release(&mut second).await;
    scene.expect(&["one"]).await;
}

#[rstest]
#[tokio::test]
async fn a_session_that_begins_anew_knows_no_packet_identifier(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut scene = Scene::begin(version).await;
    let again = scene.once("one").again();
    let connect = Connect::of("admin").client_id("publisher");
    for _ in 0..2 {
        let mut admin = Raw::connect_as(&scene.herald, version, &connect).await;
        publish(&mut admin, &again).await;
        admin.cut().await;
    }
    scene.expect(&["one", "one"]).await;
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

/// A scene in which Alice's session is kept, with two messages on their way to her, and what she connects with.
async fn delivering(version: Version, qos: u8) -> (Scene, Connect) {
    let mut scene = Scene::begin(version).await;
    let connect = Connect::kept("alice").client_id("kept");
    let topic: &str = &scene.herald.topic("once");
    scene.alice = Raw::connect_as(&scene.herald, version, &connect).await;
    assert_eq!(scene.alice.subscribe_at(topic, qos).await, qos);
    announce(&mut scene.admin, topic, qos, &["one", "two"]).await;
    (scene, connect)
}

impl Scene {
    /// Cuts Alice off, and goes on with her session.
    async fn alice_again(self, connect: &Connect) -> Self {
        self.alice.cut().await;
        let alice = Raw::resume(&self.herald, self.version, connect).await;
        Self { alice, ..self }
    }
}

#[rstest]
#[tokio::test]
async fn what_was_not_acknowledged_is_sent_again_with_dup_and_the_same_packet_identifier(
    #[values(Version::V311, Version::V5)] version: Version,
    #[values(1, 2)] qos: u8,
) {
    let (mut scene, connect) = delivering(version, qos).await;
    let mut sent = vec![scene.alice.message().await, scene.alice.message().await];
    assert!(sent.iter().all(|p| !p.dup && p.qos == qos));
    for publish in &mut sent {
        publish.dup = true;
    }
    // However often.
    for _ in 0..3 {
        scene = scene.alice_again(&connect).await;
        for expected in &sent {
            assert_eq!(scene.alice.message().await, *expected);
        }
    }
    scene = scene.alice_again(&connect).await;
    for expected in &sent {
        assert_eq!(scene.alice.take().await, *expected);
    }
    scene.expect(&[]).await;
    // Nor is anything left of it.
    scene.alice.ping().await;
    scene = scene.alice_again(&connect).await;
    scene.expect(&[]).await;
}

#[rstest]
#[tokio::test]
async fn after_pubrec_only_pubrel_is_sent_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let (mut scene, connect) = delivering(version, 2).await;
    let (one, two) = (scene.alice.message().await, scene.alice.message().await);
    let (one, two) = (one.id.unwrap(), two.id.unwrap());
    // Cut before PUBREL is read, and again before PUBCOMP is sent.
    scene.alice.send_pubrec(one).await;
    scene.alice.send_pubrec(two).await;
    for _ in 0..3 {
        scene = scene.alice_again(&connect).await;
        scene.alice.pubrel(one).await;
        scene.alice.pubrel(two).await;
    }
    scene.alice.send_pubcomp(one).await;
    scene.alice.send_pubcomp(two).await;
    scene.expect(&[]).await;
    scene.alice.ping().await;
    scene = scene.alice_again(&connect).await;
    scene.expect(&[]).await;
}

/// One half of the flow for the first message, the other for the second.
#[rstest]
#[tokio::test]
async fn each_message_goes_on_where_its_own_flow_was_cut(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let (mut scene, connect) = delivering(version, 2).await;
    let one = scene.alice.message().await.id.unwrap();
    let two = scene.alice.message().await.id.unwrap();
    scene.alice.send_pubrec(one).await;
    scene.alice.pubrel(one).await;
    scene = scene.alice_again(&connect).await;
    scene.alice.pubrel(one).await;
    let again = scene.alice.message().await;
    assert_eq!((again.id, again.dup), (Some(two), true));
    assert_eq!(again.payload, "two");
    scene.alice.send_pubrec(two).await;
    scene.alice.pubrel(two).await;
    scene.alice.send_pubcomp(two).await;
    scene.alice.send_pubcomp(one).await;
    scene.expect(&[]).await;
}
