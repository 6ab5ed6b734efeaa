//! Clients that do not read, or publish too fast: bounded, told, and at no one else's cost.

use std::time::Duration;

use herald_tests::{
    Herald, Version,
    raw::{Connect, Message, Raw},
};
use rstest::rstest;
use tokio::time::timeout;

use crate::heard::{Announcer, announce, heard};

const TOPIC: &str = "broadcast/x";

/// A server with `settings` and the user alice.
async fn start(settings: &[(&str, &str)]) -> Herald {
    let herald = Herald::start_with(settings).await;
    let admin = herald.http("admin").await;
    admin.create_user("alice", "user").await;
    herald
}

/// More than sockets hold.
const LONG: usize = 100_000;
const MANY: usize = 200;

#[rstest]
#[tokio::test]
async fn a_reader_that_stops_is_disconnected_once_its_queue_is_full_and_others_notice_nothing(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start(&[
        ("HERALD_LIMITS__QUEUED_MESSAGES", "10"),
        ("HERALD_LIMITS__PUBLISHES_PER_S", "0"),
    ])
    .await;
    let text = "x".repeat(LONG);
    for qos in [1, 2] {
        let slow = Connect::of("alice").client_id("slow");
        let mut slow = Raw::connect_as(&herald, version, &slow).await;
        assert_eq!(slow.subscribe_at(TOPIC, qos).await, qos);
        let mut alice = Raw::connect(&herald, version, "alice").await;
        assert_eq!(alice.subscribe_at(TOPIC, qos).await, qos);
        let mut admin = Raw::connect(&herald, version, "admin").await;
        // What may be under way, what waits, and more.
        for n in 0..60 {
            let payload = format!("{n} {text}");
            announce(&mut admin, TOPIC, qos, &[&payload]).await;
            assert_eq!(heard(&mut alice, 1).await, [payload]);
        }
        // Now it reads: some messages, then why there are no more.
        let code = slow.ended_at_last().await;
        assert_eq!(code, version.is_v5().then_some(0x97), "QoS {qos}");
        alice.disconnect().await;
    }
}

/// It reads, but acknowledges nothing.
#[rstest]
#[tokio::test]
async fn a_reader_that_acknowledges_nothing_is_disconnected_once_its_queue_is_full(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start(&[("HERALD_LIMITS__QUEUED_MESSAGES", "10")]).await;
    let slow = Connect::of("alice").client_id("slow");
    let mut slow = Raw::connect_as(&herald, version, &slow).await;
    assert_eq!(slow.subscribe(TOPIC).await, 1);
    let mut admin = Announcer::new(&herald, version).await;
    for n in 0..32 {
        admin.tell(TOPIC, 1, &[&format!("{n}")]).await;
    }
    assert_eq!(slow.at_once().await.len(), 32);
    for n in 32..60 {
        admin.tell(TOPIC, 1, &[&format!("{n}")]).await;
    }
    assert_eq!(slow.ended().await, version.is_v5().then_some(0x97));
}

/// A session that is to be kept is, and has the newest of what waits.
#[rstest]
#[tokio::test]
async fn a_kept_session_of_a_slow_reader_goes_on(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start(&[("HERALD_LIMITS__QUEUED_MESSAGES", "10")]).await;
    let connect = Connect::kept("alice").client_id(&format!("{version:?}"));
    let mut slow = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(slow.subscribe(TOPIC).await, 1);
    let mut admin = Announcer::new(&herald, version).await;
    let texts: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
    admin.tell(TOPIC, 1, &payloads).await;
    slow.ended_at_last().await;
    let mut back = Raw::resume(&herald, version, &connect).await;
    let mut got = vec![];
    while got.last() != texts.last() {
        got.extend(heard(&mut back, 1).await);
    }
    // What was under way, then the newest of what waited.
    assert_eq!(got[..32], texts[..32], "{version:?}");
    assert_eq!(got[got.len() - 10..], texts[50..], "{version:?}");
    assert!(got.len() <= 32 + 2 * 10, "{got:?}");
    back.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn a_reader_that_stops_at_qos_0_loses_messages_and_nothing_else(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start(&[
        ("HERALD_LIMITS__QUEUED_MESSAGES", "10"),
        ("HERALD_LIMITS__PUBLISHES_PER_S", "0"),
    ])
    .await;
    let text = "x".repeat(LONG);
    let slow = Connect::of("alice").client_id("slow");
    let mut slow = Raw::connect_as(&herald, version, &slow).await;
    assert_eq!(slow.subscribe_at("broadcast/#", 1).await, 1);
    let mut admin = Announcer::new(&herald, version).await;
    for n in 0..MANY {
        let message = Message::new(TOPIC, &format!("{n:03} {text}"));
        admin.send(&message).await;
    }
    admin.tell("broadcast/end", 0, &["end"]).await;
    // In order, with gaps.
    let mut got = vec![];
    loop {
        let message = slow.message().await;
        if message.topic == "broadcast/end" {
            break;
        }
        got.push(message.payload[..3].to_owned());
    }
    assert!(got.is_sorted() && got.len() < MANY, "{version:?}: {got:?}");
    slow.ping().await;
    slow.disconnect().await;
}

/// A refusal would lose what it refuses, and 3.1.1 cannot say it: what comes too fast is read later.
#[rstest]
#[tokio::test]
async fn a_client_that_publishes_too_fast_is_slowed_and_loses_nothing(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    // As many as MQTT 5 lets a client have under way.
    const COUNT: u16 = 32;
    let herald = start(&[("HERALD_LIMITS__PUBLISHES_PER_S", "20")]).await;
    let mut alice = Raw::connect(&herald, Version::V311, "alice").await;
    assert_eq!(alice.subscribe_at("broadcast/#", 2).await, 2);
    for qos in [0, 1, 2] {
        let connect = Connect::of("admin").client_id(&format!("{version:?} {qos}"));
        let mut admin = Raw::connect_as(&herald, version, &connect).await;
        let texts: Vec<String> = (1..=COUNT).map(|n| format!("{qos}: {n}")).collect();
        for (id, text) in (1..).zip(&texts) {
            let message = Message::new(TOPIC, text).qos(qos);
            match qos {
                0 => assert_eq!(admin.deliver(&message).await, 0),
                _ => admin.send_as(&message, id).await,
            }
        }
        // Another client of the same user is not concerned.
        let mut other = Raw::connect(&herald, version, "admin").await;
        announce(&mut other, "broadcast/other", 1, &["of another"]).await;
        let mut got = heard(&mut alice, usize::from(COUNT) + 1).await;
        got.retain(|text| text != "of another");
        assert_eq!(got, texts, "{version:?}, QoS {qos}");
        for id in 1..=COUNT {
            match qos {
                0 => {}
                1 => assert_eq!(admin.puback(id).await.0, 0),
                _ => assert_eq!(admin.pubrec(id).await.0, 0),
            }
        }
        admin.ping().await;
    }
}

/// Its own keep-alive does not run while the server does not listen to it.
#[rstest]
#[tokio::test]
async fn a_client_that_is_slowed_does_not_time_out(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start(&[("HERALD_LIMITS__PUBLISHES_PER_S", "1")]).await;
    let connect = Connect {
        keep_alive_s: 1,
        ..Connect::of("admin")
    };
    let mut admin = Raw::connect_as(&herald, version, &connect).await;
    for id in 1..=5 {
        admin.send_as(&Message::new(TOPIC, "x").qos(1), id).await;
    }
    for id in 1..=5 {
        assert_eq!(admin.puback(id).await.0, 0);
    }
    admin.ping().await;
}

/// A client that sends half a packet and no more.
#[rstest]
#[tokio::test]
async fn a_client_that_stops_within_a_packet_is_disconnected_by_its_keep_alive(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = start(&[]).await;
    let connect = Connect {
        keep_alive_s: 1,
        ..Connect::of("alice")
    };
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    alice.send(&[0x30, 0x20, 0x00, 0x09]).await;
    let ended = timeout(Duration::from_secs(20), alice.ended()).await;
    assert_eq!(ended.unwrap(), version.is_v5().then_some(0x8D));
}
