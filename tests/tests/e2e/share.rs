//! Shared subscriptions (MQTT 5 section 4.8.2): each message goes to one member of a group.

use std::collections::BTreeSet;

use herald_tests::{
    Herald, Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Message, Property, Raw},
};
use rstest::rstest;
use serde_json::json;

use crate::heard::{Announcer, heard, hears_nothing_before};

static SERVER: SharedServer = SharedServer::new();

/// The filter of the group.
fn workers(herald: &Herald) -> String {
    format!("$share/workers/{}", herald.topic("x"))
}

/// A session of alice's in the group, at QoS 2.
async fn member(herald: &Herald, version: Version, connect: &Connect) -> Raw {
    let mut raw = Raw::connect_as(herald, version, connect).await;
    assert_eq!(raw.subscribe_at(&workers(herald), 2).await, 2);
    raw
}

fn clean(id: &str) -> Connect {
    Connect::of("alice").client_id(id)
}

fn kept(id: &str) -> Connect {
    Connect::kept("alice").client_id(id)
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("{n:02}")).collect()
}

async fn publish_all(herald: &Herald, admin: &mut Announcer, qos: u8, texts: &[String]) {
    let payloads: Vec<&str> = texts.iter().map(String::as_str).collect();
    admin.tell(&herald.topic("x"), qos, &payloads).await;
    admin.settle().await;
}

/// What has come to each of `members`, acknowledged.
async fn shares(members: &mut [Raw]) -> Vec<Vec<String>> {
    let mut all = vec![];
    for raw in members {
        let publishes = raw.at_once().await;
        for publish in &publishes {
            raw.finish(publish).await;
        }
        all.push(publishes.into_iter().map(|p| p.payload).collect());
    }
    all
}

/// Together the shares are `expected`, once each.
fn assert_shared(shares: &[Vec<String>], expected: &[String]) {
    let mut all = shares.concat();
    all.sort();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn each_message_goes_to_one_member_and_every_member_gets_some() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut members = vec![];
    for (id, version) in [("a", Version::V5), ("b", Version::V311), ("c", Version::V5)] {
        members.push(member(&herald, version, &clean(id)).await);
    }
    for qos in [0, 1, 2] {
        let mut admin = Announcer::new(&herald, Version::V5).await;
        let all = texts(0..30);
        publish_all(&herald, &mut admin, qos, &all).await;
        let shares = shares(&mut members).await;
        assert_shared(&shares, &all);
        for share in &shares {
            assert!(!share.is_empty(), "QoS {qos}: {shares:?}");
            // Each gets its own in order.
            assert!(share.is_sorted(), "{share:?}");
        }
    }
}

#[tokio::test]
async fn every_group_and_everyone_else_gets_each_message() {
    let herald = SERVER.with_users(&["alice", "bob", "admin"]).await;
    let mut alone = Raw::connect(&herald, Version::V5, "bob").await;
    assert_eq!(alone.subscribe(&herald.topic("x")).await, 1);
    let mut group = vec![
        member(&herald, Version::V5, &clean("a")).await,
        member(&herald, Version::V5, &clean("b")).await,
    ];
    let mut other = vec![Raw::connect_as(&herald, Version::V5, &clean("c")).await];
    // Another name, and another filter of the same name, are other groups.
    assert_eq!(
        other[0]
            .subscribe(&format!("$share/others/{}", herald.topic("x")))
            .await,
        1
    );
    let mut wide = vec![Raw::connect_as(&herald, Version::V5, &clean("d")).await];
    assert_eq!(
        wide[0]
            .subscribe(&format!("$share/workers/{}", herald.topic("+")))
            .await,
        1
    );
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let all = texts(0..20);
    publish_all(&herald, &mut admin, 1, &all).await;
    assert_eq!(heard(&mut alone, 20).await, all);
    for members in [&mut group, &mut other, &mut wide] {
        assert_shared(&shares(members).await, &all);
    }
}

#[rstest]
#[tokio::test]
async fn a_member_that_leaves_has_no_share_any_more(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let mut leaves = member(&herald, version, &clean("leaves")).await;
    let ends = member(&herald, version, &clean("ends")).await;
    let lost = member(&herald, version, &clean("lost")).await;
    let mut stays = member(&herald, version, &clean("stays")).await;
    assert_eq!(leaves.unsubscribe(&workers(&herald)).await, 0);
    ends.disconnect().await;
    lost.cut().await;
    let all = texts(0..12);
    publish_all(&herald, &mut admin, 1, &all).await;
    assert_eq!(heard(&mut stays, 12).await, all, "{version:?}");
    assert_eq!(leaves.at_once().await, []);
    leaves.disconnect().await;
    stays.disconnect().await;
}

/// What its session had not acknowledged at QoS 1, or not been sent, is for the others.
#[rstest]
#[tokio::test]
async fn what_a_member_has_not_acknowledged_goes_to_another_when_its_session_ends(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let mut first = member(&herald, version, &clean("first")).await;
    // More than may be under way.
    let all = texts(0..40);
    publish_all(&herald, &mut admin, 1, &all).await;
    assert_eq!(first.at_once().await.len(), 32);
    let mut second = member(&herald, version, &clean("second")).await;
    first.cut().await;
    let mut got: BTreeSet<String> = BTreeSet::new();
    for _ in 0..all.len() {
        got.insert(second.take().await.payload);
    }
    assert!(got.iter().eq(&all), "{version:?}: {got:?}");
    hears_nothing_before(&mut second, &mut admin.0, &herald.topic("x")).await;
    second.disconnect().await;
}

/// A QoS 2 message that was sent to one member may have been taken by it.
#[rstest]
#[tokio::test]
async fn what_a_member_was_sent_at_qos_2_goes_to_no_other(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let mut first = member(&herald, version, &clean("first")).await;
    admin.tell(topic, 2, &["for the first"]).await;
    assert_eq!(first.message().await.payload, "for the first");
    let mut second = member(&herald, version, &clean("second")).await;
    first.cut().await;
    hears_nothing_before(&mut second, &mut admin.0, topic).await;
    second.disconnect().await;
}

#[rstest]
#[tokio::test]
async fn members_that_are_away_are_passed_over_unless_all_are(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Announcer::new(&herald, Version::V5).await;
    let away = member(&herald, version, &kept("away")).await;
    away.disconnect().await;
    let mut here = member(&herald, version, &kept("here")).await;
    let some = texts(0..10);
    publish_all(&herald, &mut admin, 1, &some).await;
    assert_eq!(heard(&mut here, 10).await, some);
    here.disconnect().await;
    // Nobody is there: it waits.
    let more = texts(10..20);
    publish_all(&herald, &mut admin, 1, &more).await;
    let mut members = vec![
        Raw::resume(&herald, version, &kept("away")).await,
        Raw::resume(&herald, version, &kept("here")).await,
    ];
    assert_shared(&shares(&mut members).await, &more);
    // A clean start ends the session, and its membership.
    for (raw, id) in members.into_iter().zip(["away", "here"]) {
        raw.disconnect().await;
        let anew = Raw::connect_as(&herald, version, &clean(id)).await;
        anew.disconnect().await;
    }
}

/// The same member, in the order and with the packet identifiers of before.
#[rstest]
#[tokio::test]
async fn what_a_member_was_sent_waits_for_it_while_its_session_is_kept(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    for qos in [1, 2] {
        let mut admin = Announcer::new(&herald, Version::V5).await;
        let mut first = member(&herald, version, &kept("first")).await;
        admin.tell(topic, qos, &["mine"]).await;
        let mut mine = first.message().await;
        first.cut().await;
        let mut second = member(&herald, version, &clean("second")).await;
        hears_nothing_before(&mut second, &mut admin.0, topic).await;
        let mut first = Raw::resume(&herald, version, &kept("first")).await;
        mine.dup = true;
        assert_eq!(first.take().await, mine);
        assert_eq!(first.unsubscribe(&workers(&herald)).await, 0);
        first.disconnect().await;
        second.disconnect().await;
    }
}

#[tokio::test]
async fn a_group_is_not_greeted_by_what_is_retained() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    let kept = Message::new(&herald.topic("x"), "kept").qos(1).retained();
    assert_eq!(admin.deliver(&kept).await, 0);
    let mut alice = member(&herald, Version::V5, &clean("a")).await;
    assert_eq!(alice.at_once().await, []);
}

/// A session's own subscription is another one than its group's.
#[tokio::test]
async fn a_member_that_also_listens_for_itself_gets_both() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let topic: &str = &herald.topic("x");
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    let own = [Property::SubscriptionIdentifier(1)];
    let shared = [Property::SubscriptionIdentifier(2)];
    assert_eq!(
        alice.subscribe_with(&[(&herald.topic("#"), 1)], &own).await,
        [1]
    );
    assert_eq!(
        alice
            .subscribe_with(&[(&workers(&herald), 2)], &shared)
            .await,
        [2]
    );
    let mut admin = Announcer::new(&herald, Version::V5).await;
    for n in ["1", "2"] {
        admin.tell(topic, 2, &[n]).await;
        let mut copies = [alice.take().await, alice.take().await];
        copies.sort_by_key(|p| p.identifiers());
        let seen: Vec<_> = copies.iter().map(|p| (p.qos, p.identifiers())).collect();
        assert_eq!(seen, [(1, vec![1]), (2, vec![2])]);
        assert!(copies.iter().all(|p| p.payload == n));
    }
    assert_eq!(alice.unsubscribe(&workers(&herald)).await, 0);
    hears_nothing_before(&mut alice, &mut admin.0, topic).await;
}

#[rstest]
#[tokio::test]
async fn mosquitto_and_mqttjs_share_a_group(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let client = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let mut printing = client.subscribe_at(1, &[&workers(&herald)]).await;
    let secret = password("alice");
    let mut browser = MqttJs::connected(&herald, version, &url, "alice", &secret).await;
    assert_eq!(
        browser
            .subscribe_with(&workers(&herald), json!({"qos": 1}))
            .await,
        1
    );
    let mut admin = Announcer::new(&herald, version).await;
    let all = texts(0..10);
    publish_all(&herald, &mut admin, 1, &all).await;
    // In turn.
    let mut shares = [vec![], vec![]];
    for _ in 0..5 {
        shares[0].push(printing.message().await.payload);
        let message = browser.message().await;
        shares[1].push(message["payload"].as_str().unwrap().to_owned());
    }
    assert_shared(&shares, &all);
    printing.stop().await;
    browser.disconnect().await;
}
