//! The shared plane and its sessions with rumqttc.

use herald_tests::{Rumqttc, RumqttcOptions, SharedServer, Version};
use rstest::rstest;

use crate::heard::Announcer;

static SERVER: SharedServer = SharedServer::new();

fn of(username: &'static str) -> RumqttcOptions<'static> {
    RumqttcOptions {
        username,
        id: username,
        kept: false,
        will: None,
    }
}

#[rstest]
#[tokio::test]
async fn rumqttc_publishes_and_subscribes_at_each_level(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = Rumqttc::connect(&herald, version, of("admin")).await;
    for granted in [0, 1, 2] {
        let mut alice = Rumqttc::connect(&herald, version, of("alice")).await;
        alice.subscribe(&herald.topic("#"), granted).await;
        for published in [0, 1, 2] {
            for n in 0..20 {
                let payload = format!("{n}: {published} for {granted}");
                admin.publish(topic, &payload, published, false).await;
                let message = alice.message().await;
                assert_eq!((message.topic.as_str(), message.retain), (topic, false));
                assert_eq!(message.payload, payload, "{version:?}");
                assert_eq!(message.qos, published.min(granted), "{payload}");
            }
        }
        alice.disconnect().await;
    }
    admin.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn rumqttc_gets_what_its_session_is_owed(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let id = format!("{version:?}");
    let kept = RumqttcOptions {
        id: &id,
        kept: true,
        ..of("alice")
    };
    let mut alice = Rumqttc::connect(&herald, version, kept).await;
    assert!(!alice.session_present);
    alice.subscribe(topic, 2).await;
    alice.disconnect().await;
    let mut admin = Announcer::new(&herald, version).await;
    for (qos, payload) in [(1, "one"), (0, "none"), (2, "two"), (1, "three")] {
        admin.tell(topic, qos, &[payload]).await;
    }
    let mut alice = Rumqttc::connect(&herald, version, kept).await;
    assert!(alice.session_present, "{version:?}");
    for (qos, payload) in [(1, "one"), (2, "two"), (1, "three")] {
        let message = alice.message().await;
        assert_eq!((message.qos, message.payload.as_str()), (qos, payload));
    }
    admin.tell(topic, 2, &["live"]).await;
    assert_eq!(alice.message().await.payload, "live");
    alice.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn rumqttc_leaves_a_will_and_retained_messages(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let will = RumqttcOptions {
        id: "dying",
        will: Some((topic, "gone")),
        ..of("admin")
    };
    let mut alice = Rumqttc::connect(&herald, version, of("alice")).await;
    alice.subscribe(topic, 1).await;
    let admin = Rumqttc::connect(&herald, version, will).await;
    admin.disconnect().await;
    let mut admin = Rumqttc::connect(&herald, version, will).await;
    admin.publish(&herald.topic("kept"), "kept", 2, true).await;
    drop(admin);
    let message = alice.message().await;
    assert_eq!((message.payload.as_str(), message.qos), ("gone", 1));
    alice.subscribe(&herald.topic("kept"), 2).await;
    let message = alice.message().await;
    assert_eq!((message.payload.as_str(), message.retain), ("kept", true));
    alice.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn rumqttc_shares_a_group(#[values(Version::V311, Version::V5)] version: Version) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut members = vec![];
    for id in ["a", "b"] {
        let options = RumqttcOptions { id, ..of("alice") };
        let mut member = Rumqttc::connect(&herald, version, options).await;
        member
            .subscribe(&format!("$share/g/{}", herald.topic("x")), 2)
            .await;
        members.push(member);
    }
    let mut admin = Announcer::new(&herald, version).await;
    admin
        .tell(&herald.topic("x"), 2, &["0", "1", "2", "3"])
        .await;
    let mut all = vec![];
    // In turn.
    for _ in 0..2 {
        for member in &mut members {
            all.push(member.message().await.payload);
        }
    }
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3"], "{version:?}");
}
