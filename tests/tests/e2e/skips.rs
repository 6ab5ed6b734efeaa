//! Notifications that a user has skipped for one client id, over HTTP.

use herald_tests::{
    Herald, Http, SharedServer, Version,
    raw::{Connect, Publish, Raw},
    until,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::notified::{finish, notified, parse, taken, three};

/// For tests that do not kill their server.
static SERVER: SharedServer = SharedServer::new();

/// Asks to skip up to `up_to` for `client_id`; where that is then.
async fn skip(http: &Http, client_id: &str, up_to: i64) -> i64 {
    let ack = json!({"up_to": up_to, "client_id": client_id});
    let answer = http.post("/notifications/ack", &ack).await.expect(200);
    answer["acked"].as_i64().unwrap()
}

/// A session that follows the inbox.
async fn follow(herald: &Herald, version: Version, connect: &Connect) -> Raw {
    let mut raw = Raw::connect_as(herald, version, connect).await;
    assert_eq!(raw.subscribe(&herald.inbox(&connect.username)).await, 1);
    raw
}

/// The three that have come, not acknowledged.
async fn sent(raw: &mut Raw) -> Vec<Publish> {
    let mut sent = vec![];
    for expected in three() {
        let publish = raw.message().await;
        assert_eq!(parse(&publish.payload), expected);
        sent.push(publish);
    }
    sent
}

fn kept(username: &str) -> Connect {
    Connect::kept(username).client_id("phone")
}

/// A client with a poison notification, which it never acknowledges and breaks down of.
#[rstest]
#[tokio::test]
async fn a_client_gets_past_a_notification_that_it_never_acknowledges(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut phone = follow(&herald, version, &kept("alice")).await;
    let poison = finish(&alice, &["one"]).await;
    for _ in 0..2 {
        assert_eq!(parse(&phone.message().await.payload), three()[0]);
        phone.cut().await;
        phone = Raw::resume(&herald, version, &kept("alice")).await;
    }
    assert_eq!(parse(&phone.message().await.payload), three()[0]);
    phone.cut().await;
    // Not connected, and then not even in memory.
    assert_eq!(skip(&alice, "phone", 1).await, 1, "{version:?}");
    assert_eq!(alice.message(&poison).await["delivered_at"], Value::Null);
    let mut phone = Raw::resume(&herald, version, &kept("alice")).await;
    assert_eq!(phone.at_once().await, []);
    finish(&alice, &["two"]).await;
    assert_eq!(parse(&phone.message().await.payload), three()[1]);
    phone.cut().await;
    herald.kill().await;
    herald.begin().await;
    let alice = herald.http("alice").await;
    assert_eq!(skip(&alice, "phone", 2).await, 2);
    let mut phone = follow(&herald, version, &kept("alice")).await;
    finish(&alice, &["three"]).await;
    assert_eq!(taken(&mut phone, 1).await, three()[2..]);
}

/// It is connected, and has what it is to skip under way; another one of the user is not concerned.
#[rstest]
#[tokio::test]
async fn a_connected_client_is_not_sent_again_what_is_skipped(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut phone = follow(&herald, version, &kept("alice")).await;
    let tv = kept("alice").client_id("tv");
    let mut tv = follow(&herald, version, &tv).await;
    finish(&alice, &["one", "two", "three"]).await;
    let under_way = sent(&mut phone).await;
    assert_eq!(skip(&alice, "phone", 2).await, 2);
    assert_eq!(skip(&alice, "phone", 1).await, 2, "never back");
    phone.ping().await;
    // Late, and to no effect.
    phone.finish(&under_way[0]).await;
    phone.ping().await;
    phone.cut().await;
    let mut phone = Raw::resume(&herald, version, &kept("alice")).await;
    let again = phone.take().await;
    assert_eq!(parse(&again.payload), three()[2]);
    assert_eq!((again.dup, again.id), (true, under_way[2].id));
    assert_eq!(phone.at_once().await, []);
    assert_eq!(taken(&mut tv, 3).await, three());
    // Beyond the newest is the newest.
    assert_eq!(skip(&alice, "phone", i64::MAX).await, 3);
    finish(&alice, &["four"]).await;
    assert_eq!(taken(&mut phone, 1).await, [notified(4, "four")]);
    herald.kill().await;
}

/// A client whose packets are too small has a gap for good.
#[tokio::test]
async fn what_is_too_large_for_a_client_is_skipped_for_it() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let small = Connect {
        maximum_packet_size: Some(600),
        ..kept("alice")
    };
    let mut phone = follow(&herald, Version::V5, &small).await;
    let large = "x".repeat(1000);
    let last = finish(&alice, &["first", &large, "third"]).await;
    let expected = [notified(1, "first"), notified(3, "third")];
    assert_eq!(taken(&mut phone, 2).await, expected);
    assert_eq!(alice.message(&last).await["delivered_at"], Value::Null);
    assert_eq!(skip(&alice, "phone", 2).await, 2);
    // Behind the gap there was what it had acknowledged.
    alice.delivered(&last).await;
    phone.disconnect().await;
    let mut phone = Raw::resume(&herald, Version::V5, &kept("alice")).await;
    assert_eq!(phone.at_once().await, []);
}

#[rstest]
#[tokio::test]
async fn the_session_of_another_user_with_the_same_client_id_skips_nothing(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice", "bob", "eve"]).await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let mut of_alice = follow(&herald, version, &kept("alice")).await;
    let mut of_bob = follow(&herald, version, &kept("bob")).await;
    for http in [&alice, &bob] {
        finish(http, &["one", "two", "three"]).await;
    }
    for raw in [&mut of_alice, &mut of_bob] {
        sent(raw).await;
    }
    let eve = herald.http("eve").await;
    let ack = json!({"up_to": 3, "client_id": "phone"});
    let answer = eve.post("/notifications/ack", &ack).await;
    answer.expect_problem(404, "not_found");
    assert_eq!(skip(&bob, "phone", 3).await, 3);
    for cut in [of_alice, of_bob] {
        cut.cut().await;
    }
    let mut of_bob = Raw::resume(&herald, version, &kept("bob")).await;
    assert_eq!(of_bob.at_once().await, []);
    let mut of_alice = Raw::resume(&herald, version, &kept("alice")).await;
    sent(&mut of_alice).await;
    // On disk, too.
    herald.kill().await;
    herald.begin().await;
    let mut of_bob = follow(&herald, version, &kept("bob")).await;
    assert_eq!(of_bob.at_once().await, []);
    let mut of_alice = follow(&herald, version, &kept("alice")).await;
    assert_eq!(taken(&mut of_alice, 3).await, three());
}

/// Nothing is stored of a session that is not kept: what it skips counts while it lasts.
#[tokio::test]
async fn a_session_that_is_not_kept_skips_while_it_lasts() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let clean = Connect::of("alice").client_id("phone");
    let mut phone = follow(&herald, Version::V311, &clean).await;
    let last = finish(&alice, &["one", "two", "three"]).await;
    let mut under_way = sent(&mut phone).await;
    assert_eq!(skip(&alice, "phone", 2).await, 2);
    phone.finish(&under_way.remove(2)).await;
    alice.delivered(&last).await;
    phone.disconnect().await;
    // It ends, and with it what was asked of it.
    let ack = json!({"up_to": 3, "client_id": "phone"});
    until("the session has ended", async || {
        let answer = alice.post("/notifications/ack", &ack).await;
        (answer.status == 404).then_some(())
    })
    .await;
}
