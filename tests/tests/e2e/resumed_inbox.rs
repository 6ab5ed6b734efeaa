//! Sessions that outlive their connection, and the inbox: it goes on where it stopped.

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Raw},
};
use rstest::rstest;

use crate::notified::{finish, notified, parse, taken, three};

static SERVER: SharedServer = SharedServer::new();

/// A session that subscribes to the inbox once and for all.
async fn phone(herald: &Herald, version: Version) -> (Raw, Connect) {
    let connect = Connect::kept("alice").client_id("phone");
    let mut raw = Raw::connect_as(herald, version, &connect).await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    (raw, connect)
}

#[rstest]
#[tokio::test]
async fn what_was_under_way_comes_again_with_dup_and_the_same_packet_identifier(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let (mut raw, connect) = phone(&herald, version).await;
    let first = finish(&alice, &["one"]).await;
    finish(&alice, &["two", "three"]).await;
    assert_eq!(taken(&mut raw, 1).await, three()[..1]);
    alice.delivered(&first).await;
    let mut sent = [raw.message().await, raw.message().await];
    for (publish, expected) in sent.iter_mut().zip(&three()[1..]) {
        assert_eq!(parse(&publish.payload), *expected);
        assert!(!publish.dup);
        publish.dup = true;
    }
    for _ in 0..2 {
        raw.cut().await;
        raw = Raw::resume(&herald, version, &connect).await;
        assert_eq!(raw.message().await, sent[0], "{version:?}");
        assert_eq!(raw.message().await, sent[1], "{version:?}");
    }
    raw.cut().await;
    finish(&alice, &["four"]).await;
    let mut raw = Raw::resume(&herald, version, &connect).await;
    assert_eq!(raw.take().await, sent[0]);
    assert_eq!(raw.take().await, sent[1]);
    let fourth = raw.take().await;
    assert_eq!(parse(&fourth.payload), notified(4, "four"));
    assert!(!fourth.dup);
}

#[rstest]
#[tokio::test]
async fn what_was_acknowledged_never_comes_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let (mut raw, connect) = phone(&herald, version).await;
    finish(&alice, &["one", "two", "three"]).await;
    assert_eq!(taken(&mut raw, 3).await, three());
    // At once: what the database is still to be told, the session knows.
    raw.disconnect().await;
    let mut raw = Raw::resume(&herald, version, &connect).await;
    finish(&alice, &["four"]).await;
    assert_eq!(taken(&mut raw, 1).await, [notified(4, "four")]);
    raw.cut().await;
    finish(&alice, &["five"]).await;
    let mut raw = Raw::resume(&herald, version, &connect).await;
    assert_eq!(taken(&mut raw, 1).await, [notified(5, "five")]);
}

/// The cursor is where new sessions start; one that goes on has its own place.
#[rstest]
#[tokio::test]
async fn what_another_session_acknowledged_still_comes_to_one_that_goes_on(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let (mut raw, connect) = phone(&herald, version).await;
    finish(&alice, &["one"]).await;
    assert_eq!(taken(&mut raw, 1).await, three()[..1]);
    raw.disconnect().await;
    let laptop = Connect::of("alice").client_id("laptop");
    let mut laptop = Raw::connect_as(&herald, version, &laptop).await;
    assert_eq!(laptop.subscribe(&herald.inbox("alice")).await, 1);
    let last = finish(&alice, &["two", "three"]).await;
    let mut got = taken(&mut laptop, 2).await;
    if got[0].0 == 1 {
        // The phone's acknowledgement was not written yet.
        got = [got, taken(&mut laptop, 1).await].concat();
    }
    assert_eq!(got.last(), three().last());
    alice.delivered(&last).await;

    let mut raw = Raw::resume(&herald, version, &connect).await;
    assert_eq!(taken(&mut raw, 2).await, three()[1..], "{version:?}");
    // A new one starts behind what was acknowledged.
    finish(&alice, &["four"]).await;
    let tv = Connect::of("alice").client_id("tv");
    let mut tv = Raw::connect_as(&herald, version, &tv).await;
    assert_eq!(tv.subscribe(&herald.inbox("alice")).await, 1);
    assert_eq!(taken(&mut tv, 1).await, [notified(4, "four")]);
    assert_eq!(taken(&mut raw, 1).await, [notified(4, "four")]);
}

#[rstest]
#[tokio::test]
async fn a_long_absence_is_caught_up_without_a_new_subscribe(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    const MISSED: i64 = 80;
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let (raw, connect) = phone(&herald, version).await;
    raw.disconnect().await;
    let mut last = String::new();
    for n in 1..=MISSED {
        last = alice.send_message(&n.to_string()).await;
    }
    alice.processed(&last).await;
    let mut raw = Raw::resume(&herald, version, &connect).await;
    for expected in 1..=MISSED {
        assert_eq!(parse(&raw.take().await.payload).0, expected);
    }
}

/// Shared messages and notifications have packet identifiers of the same session.
#[rstest]
#[tokio::test]
async fn shared_messages_and_notifications_that_were_under_way_both_come_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let alice = herald.http("alice").await;
    let (mut raw, connect) = phone(&herald, version).await;
    assert_eq!(raw.subscribe_at(&herald.topic("#"), 2).await, 2);
    let mut admin = Raw::connect(&herald, version, "admin").await;
    finish(&alice, &["one"]).await;
    let mut sent = vec![raw.message().await];
    assert_eq!(admin.publish(&herald.topic("x"), "shared").await, 0);
    sent.push(raw.message().await);
    finish(&alice, &["two"]).await;
    sent.push(raw.message().await);
    assert_ne!(sent[0].id, sent[1].id);
    raw.cut().await;
    let mut raw = Raw::resume(&herald, version, &connect).await;
    for expected in &mut sent {
        expected.dup = true;
        assert_eq!(raw.take().await, *expected, "{version:?}");
    }
    finish(&alice, &["three"]).await;
    assert_eq!(taken(&mut raw, 1).await, [notified(3, "three")]);
}
