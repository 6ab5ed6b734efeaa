//! A stop finishes what was begun and tells the clients.

use herald_tests::{
    Herald, MqttJs, Version, password,
    raw::{Packet, Raw},
};
use rstest::rstest;
use serde_json::json;

use crate::notified::{inbox, messages, taken};

#[tokio::test]
async fn clients_are_told_that_the_server_shuts_down() {
    let mut herald = Herald::with_users(&["alice", "bob"]).await;
    let mut v5 = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(v5.subscribe(&inbox("alice")).await, 1);
    let mut v311 = Raw::connect(&herald, Version::V311, "bob").await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let mut browser =
        MqttJs::connected(&herald, Version::V5, &url, "alice", &password("alice")).await;
    herald.stop().await;
    assert_eq!(v5.ended().await, Some(0x8B));
    assert_eq!(v311.ended().await, None);
    assert_eq!(browser.event("disconnect").await["code"], 0x8B);
    browser.event("closed").await;
}

#[tokio::test]
async fn a_stop_is_no_reason_for_a_last_will() {
    use herald_tests::raw::Connect;

    let mut herald = Herald::with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe("broadcast/#").await, 1);
    let connect = Connect::of("admin").will("broadcast/gone", "admin");
    let _admin = Raw::connect_as(&herald, Version::V5, &connect).await;
    herald.stop().await;
    assert_eq!(alice.ended().await, Some(0x8B), "and nothing before");
}

/// Publishes until the server says good bye; the bodies that were acknowledged, those that were sent.
async fn publish_until_the_end(raw: &mut Raw) -> (Vec<usize>, usize) {
    let (mut acknowledged, mut sent) = (vec![], 0);
    loop {
        let payload = json!({"body": sent.to_string()}).to_string();
        raw.publish_in_vain(&messages("alice"), &payload).await;
        sent += 1;
        match raw.packet().await {
            Some(Packet::Puback { code: 0, .. }) => acknowledged.push(sent - 1),
            Some(Packet::Disconnect { code: 0x8B, .. }) | None => return (acknowledged, sent),
            other => panic!("PUBACK or the end expected: {other:?}"),
        }
    }
}

#[rstest]
#[tokio::test]
async fn what_is_under_way_at_a_stop_is_not_lost(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    let publishing = tokio::spawn(async move { publish_until_the_end(&mut raw).await });
    // The stop comes in the midst of it.
    let alice = herald.http("alice").await;
    let id = alice.send_message("the last but some").await;
    alice.processed(&id).await;
    herald.stop().await;
    let (acknowledged, sent) = publishing.await.unwrap();
    assert!(!acknowledged.is_empty());

    herald.begin().await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
    let mut finished = vec![];
    while !acknowledged.iter().all(|n| finished.contains(n)) {
        let (seq, body) = taken(&mut raw, 1).await.remove(0);
        assert_eq!(usize::try_from(seq).unwrap(), finished.len() + 1);
        finished.push(body.parse().unwrap_or(usize::MAX));
    }
    // At most the one that was not answered is there besides; none twice.
    let mut once = finished.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), finished.len(), "{finished:?}");
    assert!(finished.iter().all(|&n| n < sent || n == usize::MAX));
}
