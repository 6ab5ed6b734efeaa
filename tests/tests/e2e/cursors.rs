//! Where each client id stopped in the inbox, through kills of the server and whatever other sessions do.

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Property, Raw},
};
use rstest::rstest;
use serde_json::json;

use crate::notified::{Notified, finish, notified, parse, taken};

/// For tests that do not kill their server.
static SERVER: SharedServer = SharedServer::new();

const BODIES: [&str; 6] = ["one", "two", "three", "four", "five", "six"];

/// The notifications of [`BODIES`] with the numbers from `first` to `last`.
fn some(first: usize, last: usize) -> Vec<Notified> {
    let all = (1..).zip(BODIES).map(|(seq, body)| notified(seq, body));
    all.skip(first - 1).take(last + 1 - first).collect()
}

/// A new session, which follows Alice's inbox from where it is to start.
async fn follow(herald: &Herald, version: Version, connect: &Connect) -> Raw {
    follow_from(herald, version, connect, None).await
}

/// The same, behind the number `after`.
async fn follow_from(
    herald: &Herald,
    version: Version,
    connect: &Connect,
    after: Option<&str>,
) -> Raw {
    let (mut raw, connack) = Raw::begin(herald, version, connect).await;
    assert!(!connack.session_present);
    let filter = herald.inbox(&connect.username);
    let codes = raw.subscribe_all(&[(&filter, 1)], after).await;
    assert_eq!(codes, [1]);
    raw
}

fn kept(client_id: &str) -> Connect {
    Connect::kept("alice").client_id(client_id)
}

fn clean(client_id: &str) -> Connect {
    Connect::of("alice").client_id(client_id)
}

async fn kill(herald: &mut Herald) {
    herald.kill().await;
    herald.begin().await;
}

/// Sends and finishes those of [`BODIES`] up to `last`; their ids.
async fn finish_up_to(herald: &Herald, last: usize) -> Vec<String> {
    let alice = herald.http("alice").await;
    let mut ids = vec![];
    for body in &BODIES[..last] {
        ids.push(finish(&alice, &[body]).await);
    }
    ids
}

/// Waits until everything up to this message is acknowledged for good.
async fn delivered(herald: &Herald, id: &str) {
    herald.http("alice").await.delivered(id).await;
}

/// Shows that nothing is on its way to `raw`: what comes next is what is sent now.
async fn nothing_before(herald: &Herald, raw: &mut Raw, seq: i64) {
    finish(&herald.http("alice").await, &["next"]).await;
    assert_eq!(taken(raw, 1).await, [notified(seq, "next")]);
}

#[rstest]
#[tokio::test]
async fn a_client_id_gets_exactly_what_it_had_not_acknowledged_after_a_kill(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    for other in [kept("laptop"), clean("laptop")] {
        let mut herald = Herald::with_users(&["alice"]).await;
        let mut phone = follow(&herald, version, &kept("phone")).await;
        let ids = finish_up_to(&herald, 6).await;
        assert_eq!(taken(&mut phone, 2).await, some(1, 2));
        delivered(&herald, &ids[1]).await;
        // Another session takes all.
        let mut laptop = follow(&herald, version, &other).await;
        assert_eq!(taken(&mut laptop, 4).await, some(3, 6));
        delivered(&herald, &ids[5]).await;
        kill(&mut herald).await;

        let mut phone = follow(&herald, version, &kept("phone")).await;
        assert_eq!(taken(&mut phone, 4).await, some(3, 6), "{version:?}");
        nothing_before(&herald, &mut phone, 7).await;
    }
}

#[tokio::test]
async fn each_of_several_client_ids_goes_on_where_it_stopped_after_a_kill() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let clients = ["phone", "laptop", "tv"];
    let mut sessions = vec![];
    for client_id in clients {
        sessions.push(follow(&herald, Version::V5, &kept(client_id)).await);
    }
    let ids = finish_up_to(&herald, 6).await;
    for (stop, raw) in (1..).zip(&mut sessions) {
        assert_eq!(taken(raw, stop).await, some(1, stop));
        delivered(&herald, &ids[stop - 1]).await;
    }
    kill(&mut herald).await;
    for (stop, client_id) in (1..).zip(clients) {
        let mut raw = follow(&herald, Version::V311, &kept(client_id)).await;
        assert_eq!(taken(&mut raw, 6 - stop).await, some(stop + 1, 6));
    }
    // One that was never here starts where the user is: at what any of them acknowledged.
    let mut new = follow(&herald, Version::V5, &kept("watch")).await;
    nothing_before(&herald, &mut new, 7).await;
}

#[rstest]
#[tokio::test]
async fn a_clean_session_starts_at_the_users_cursor_whatever_its_client_id_did(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut phone = follow(&herald, version, &kept("phone")).await;
    let ids = finish_up_to(&herald, 4).await;
    assert_eq!(taken(&mut phone, 1).await, some(1, 1));
    delivered(&herald, &ids[0]).await;
    let mut laptop = follow(&herald, version, &clean("laptop")).await;
    assert_eq!(taken(&mut laptop, 2).await, some(2, 3));
    delivered(&herald, &ids[2]).await;
    phone.disconnect().await;

    let mut phone = follow(&herald, version, &clean("phone")).await;
    assert_eq!(taken(&mut phone, 1).await, some(4, 4), "{version:?}");
    delivered(&herald, &ids[3]).await;
    // It has ended the session that was kept, not moved that one's cursor.
    phone.disconnect().await;
    let mut phone = follow(&herald, version, &kept("phone")).await;
    assert_eq!(taken(&mut phone, 3).await, some(2, 4), "{version:?}");
}

#[tokio::test]
async fn a_cursor_outlives_a_session_that_its_client_ends() {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut phone = follow(&herald, Version::V5, &kept("phone")).await;
    let ids = finish_up_to(&herald, 3).await;
    assert_eq!(taken(&mut phone, 1).await, some(1, 1));
    let end = [Property::SessionExpiry(0)];
    phone.disconnect_with(0, &end).await;
    let mut laptop = follow(&herald, Version::V5, &clean("laptop")).await;
    while parse(&laptop.take().await.payload).0 < 3 {}
    delivered(&herald, &ids[2]).await;
    // At once: what is not written yet counts.
    let mut phone = follow(&herald, Version::V5, &kept("phone")).await;
    assert_eq!(taken(&mut phone, 2).await, some(2, 3));
}

#[tokio::test]
async fn after_sets_the_place_of_a_kept_session_for_good() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let ids = finish_up_to(&herald, 6).await;
    let phone = kept("phone");
    let v5 = Version::V5;
    let mut raw = follow(&herald, v5, &phone).await;
    assert_eq!(taken(&mut raw, 3).await, some(1, 3));
    delivered(&herald, &ids[2]).await;
    let filter = herald.inbox("alice");
    let filters = [(filter.as_str(), 1)];
    // Back, and forwards.
    for after in ["1", "4", "0", "5", "2"] {
        let first = after.parse::<usize>().unwrap() + 1;
        raw.cut().await;
        raw = Raw::resume(&herald, v5, &phone).await;
        assert_eq!(raw.subscribe_all(&filters, Some(after)).await, [1]);
        kill(&mut herald).await;
        raw = follow(&herald, v5, &phone).await;
        let next = raw.message().await;
        assert_eq!(parse(&next.payload), some(first, first)[0], "{after}");
    }
    raw.cut().await;
    kill(&mut herald).await;
    let mut raw = follow(&herald, v5, &phone).await;
    assert_eq!(taken(&mut raw, 4).await, some(3, 6));
    // What was acknowledged the moment before, and is written later, does not carry it away.
    assert_eq!(raw.subscribe_all(&filters, Some("0")).await, [1]);
    delivered(&herald, &ids[5]).await;
    kill(&mut herald).await;
    let mut raw = follow(&herald, v5, &phone).await;
    assert_eq!(taken(&mut raw, 6).await, some(1, 6));
    nothing_before(&herald, &mut raw, 7).await;
}

#[tokio::test]
async fn after_sets_where_a_clean_session_starts_and_nothing_else() {
    let herald = SERVER.with_users(&["alice"]).await;
    let ids = finish_up_to(&herald, 6).await;
    let v5 = Version::V5;
    let mut raw = follow(&herald, v5, &clean("laptop")).await;
    assert_eq!(taken(&mut raw, 3).await, some(1, 3));
    delivered(&herald, &ids[2]).await;
    for after in 0..6 {
        let text = after.to_string();
        let mut raw = follow_from(&herald, v5, &clean("tv"), Some(&text)).await;
        let first = raw.message().await;
        assert_eq!(parse(&first.payload), some(after + 1, after + 1)[0]);
        raw.disconnect().await;
    }
    let mut raw = follow(&herald, v5, &clean("tv")).await;
    assert_eq!(taken(&mut raw, 3).await, some(4, 6));
}

#[tokio::test]
async fn http_moves_where_clean_sessions_start_and_no_client_id() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let phone = follow(&herald, Version::V311, &kept("phone")).await;
    finish_up_to(&herald, 4).await;
    drop(phone);
    let alice = herald.http("alice").await;
    let up_to = json!({"up_to": 3});
    let acked = alice.post("/notifications/ack", &up_to).await;
    assert_eq!(acked.expect(200)["acked"], 3);
    let mut laptop = follow(&herald, Version::V5, &clean("laptop")).await;
    assert_eq!(parse(&laptop.message().await.payload), some(4, 4)[0]);
    kill(&mut herald).await;
    let mut phone = follow(&herald, Version::V311, &kept("phone")).await;
    assert_eq!(taken(&mut phone, 4).await, some(1, 4));
}

#[tokio::test]
async fn the_same_client_id_of_another_user_is_another_cursor() {
    let mut herald = Herald::with_users(&["alice", "bob"]).await;
    let bobs = Connect::kept("bob").client_id("phone");
    let mut alice = follow(&herald, Version::V5, &kept("phone")).await;
    let mut bob = follow(&herald, Version::V5, &bobs).await;
    let ids = finish_up_to(&herald, 3).await;
    let last = finish(&herald.http("bob").await, &["his", "own", "three"]).await;
    assert_eq!(taken(&mut alice, 2).await, some(1, 2));
    assert_eq!(taken(&mut bob, 3).await.len(), 3);
    delivered(&herald, &ids[1]).await;
    herald.http("bob").await.delivered(&last).await;
    kill(&mut herald).await;
    let mut alice = follow(&herald, Version::V5, &kept("phone")).await;
    assert_eq!(taken(&mut alice, 1).await, some(3, 3));
    let mut bob = follow(&herald, Version::V5, &bobs).await;
    finish(&herald.http("bob").await, &["four"]).await;
    assert_eq!(taken(&mut bob, 1).await, [notified(4, "four")]);
}

#[tokio::test]
async fn no_more_notifications_are_under_way_than_the_client_takes() {
    let herald = SERVER.with_users(&["alice"]).await;
    finish_up_to(&herald, 6).await;
    let connect = Connect {
        receive_maximum: Some(2),
        ..kept("phone")
    };
    let mut phone = follow(&herald, Version::V5, &connect).await;
    let mut under_way = vec![phone.message().await, phone.message().await];
    for left in (0..6).rev() {
        assert_eq!(phone.at_once().await, []);
        let publish = under_way.remove(0);
        assert_eq!(parse(&publish.payload), some(6 - left, 6 - left)[0]);
        phone.finish(&publish).await;
        if left >= 2 {
            under_way.push(phone.message().await);
        }
    }
}

#[tokio::test]
async fn a_message_is_delivered_once_when_the_first_session_acknowledges_it() {
    let herald = SERVER.with_users(&["alice"]).await;
    let mut phone = follow(&herald, Version::V5, &kept("phone")).await;
    let mut laptop = follow(&herald, Version::V5, &kept("laptop")).await;
    let ids = finish_up_to(&herald, 2).await;
    let alice = herald.http("alice").await;
    assert_eq!(taken(&mut phone, 1).await, some(1, 1));
    let first = alice.delivered(&ids[0]).await;
    assert!(alice.message(&ids[1]).await["delivered_at"].is_null());
    assert_eq!(taken(&mut laptop, 2).await, some(1, 2));
    alice.delivered(&ids[1]).await;
    assert_eq!(alice.message(&ids[0]).await, first);
}
