//! Alice was away: she gets what happened meanwhile, in order, once each.

use herald_tests::{
    Mosquitto, MqttJs, SharedServer, Transport, Version, password,
    raw::{Connect, Raw},
};
use rstest::rstest;

use crate::notified::{finish, notified, parse, printed, taken, three};

static SERVER: SharedServer = SharedServer::new();

#[rstest]
#[tokio::test]
async fn mosquitto_sub_gets_all_that_it_missed_and_never_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    for options in [&[][..], &["-i", "phone", "-c"]] {
        let herald = SERVER.with_users(&["alice"]).await;
        let alice = herald.http("alice").await;
        let client = Mosquitto::new(&herald, version, Transport::Tls, "alice").args(options);
        let last = finish(&alice, &["one", "two", "three"]).await;

        let mut subscriber = client.subscribe(&[&herald.inbox("alice")]).await;
        assert_eq!(printed(&mut subscriber, 3).await, three(), "{version:?}");
        alice.delivered(&last).await;
        // Nothing came between.
        let last = finish(&alice, &["four"]).await;
        assert_eq!(printed(&mut subscriber, 1).await, [notified(4, "four")]);
        alice.delivered(&last).await;
        subscriber.stop().await;

        finish(&alice, &["five"]).await;
        let mut subscriber = client.subscribe(&[&herald.inbox("alice")]).await;
        assert_eq!(printed(&mut subscriber, 1).await, [notified(5, "five")]);
    }
}

#[rstest]
#[tokio::test]
async fn mqttjs_gets_all_that_it_missed_and_never_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let subscribed = async || {
        let mut client =
            MqttJs::connected(&herald, version, &url, "alice", &password("alice")).await;
        assert_eq!(client.subscribe(&herald.inbox("alice")).await, 1);
        client
    };
    let got = async |client: &mut MqttJs| {
        let message = client.message().await;
        parse(message["payload"].as_str().unwrap())
    };
    let last = finish(&alice, &["one", "two", "three"]).await;
    let mut client = subscribed().await;
    for expected in three() {
        assert_eq!(got(&mut client).await, expected, "{version:?}");
    }
    alice.delivered(&last).await;
    client.disconnect().await;
    finish(&alice, &["four"]).await;
    let mut client = subscribed().await;
    assert_eq!(got(&mut client).await, notified(4, "four"));
}

#[rstest]
#[tokio::test]
async fn what_was_received_and_not_acknowledged_comes_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let first = finish(&alice, &["one"]).await;
    finish(&alice, &["two", "three"]).await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    assert_eq!(taken(&mut raw, 1).await, three()[..1]);
    for expected in &three()[1..] {
        let publish = raw.message().await;
        assert_eq!(parse(&publish.payload), *expected);
    }
    alice.delivered(&first).await;
    // The connection breaks.
    drop(raw);
    let mut raw = Raw::connect(&herald, version, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    assert_eq!(taken(&mut raw, 2).await, three()[1..]);
}

#[tokio::test]
async fn acknowledging_out_of_order_loses_nothing() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    finish(&alice, &["one", "two", "three"]).await;
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    let first = raw.message().await;
    let second = raw.message().await;
    raw.message().await;
    raw.acknowledge(second.id.unwrap()).await;
    raw.ping().await;
    drop(raw);
    // The first was not acknowledged, so all that follows it comes again.
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    assert_eq!(raw.message().await.payload, first.payload);
}

#[tokio::test]
async fn each_of_her_sessions_gets_each_notification_once() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut sessions = vec![];
    for (version, id) in [
        (Version::V311, "phone"),
        (Version::V5, "laptop"),
        (Version::V5, "tv"),
    ] {
        let connect = Connect::of("alice").client_id(id);
        let mut raw = Raw::connect_as(&herald, version, &connect).await;
        assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
        sessions.push(raw);
    }
    finish(&alice, &["one", "two", "three"]).await;
    for raw in &mut sessions {
        assert_eq!(taken(raw, 3).await, three());
    }
    finish(&alice, &["four"]).await;
    for raw in &mut sessions {
        assert_eq!(taken(raw, 1).await, [notified(4, "four")]);
    }
}

#[tokio::test]
async fn a_long_absence_is_caught_up_in_order_by_a_slow_client() {
    const MISSED: i64 = 150;
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut sender = Raw::connect(&herald, Version::V311, "alice").await;
    for n in 1..=MISSED {
        let payload = format!(r#"{{"body": "{n}"}}"#);
        assert_eq!(sender.publish(&herald.messages("alice"), &payload).await, 0);
    }
    let newest = alice.get("/messages?limit=1").await.expect(200);
    alice
        .processed(newest["items"][0]["id"].as_str().unwrap())
        .await;
    sender.disconnect().await;

    // More than the broker sends before it waits for acknowledgements.
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
    for expected in 1..=MISSED {
        let (seq, _) = parse(&raw.take().await.payload);
        assert_eq!(seq, expected);
    }
}
