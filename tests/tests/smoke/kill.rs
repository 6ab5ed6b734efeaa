//! Kill -9 loses nothing that was promised.

use herald_tests::{Herald, Mosquitto, MqttJs, Transport, Version, password, raw::Raw};
use rstest::rstest;
use serde_json::json;

use crate::notified::{finish, inbox, messages, notified, parse, printed, taken, three};

#[rstest]
#[tokio::test]
async fn mosquitto_sub_gets_what_finished_before_a_kill(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    finish(&alice, &["one", "two", "three"]).await;
    herald.kill().await;
    herald.begin().await;

    let client = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let mut subscriber = client.subscribe(&[&inbox("alice")]).await;
    assert_eq!(printed(&mut subscriber, 3).await, three(), "{version:?}");
    let alice = herald.http("alice").await;
    let last = alice.get("/messages?limit=1").await.expect(200);
    alice
        .delivered(last["items"][0]["id"].as_str().unwrap())
        .await;

    // It may be at another server, and would take what comes next.
    subscriber.stop().await;

    // Acknowledged is acknowledged, whatever happens next.
    herald.kill().await;
    herald.begin().await;
    finish(&herald.http("alice").await, &["four"]).await;
    let client = Mosquitto::new(&herald, version, Transport::Tls, "alice");
    let mut subscriber = client.subscribe(&[&inbox("alice")]).await;
    assert_eq!(printed(&mut subscriber, 1).await, [notified(4, "four")]);
}

#[rstest]
#[tokio::test]
async fn mqttjs_gets_what_finished_before_a_kill(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    finish(&herald.http("alice").await, &["one", "two", "three"]).await;
    herald.kill().await;
    herald.begin().await;
    let url = format!("wss://{}/mqtt", herald.http_address());
    let mut client = MqttJs::connected(&herald, version, &url, "alice", &password("alice")).await;
    assert_eq!(client.subscribe(&inbox("alice")).await, 1);
    for expected in three() {
        let message = client.message().await;
        assert_eq!(parse(message["payload"].as_str().unwrap()), expected);
    }
}

#[rstest]
#[tokio::test]
async fn what_was_delivered_but_not_acknowledged_before_a_kill_comes_again(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let mut herald = Herald::with_users(&["alice"]).await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
    finish(&herald.http("alice").await, &["one"]).await;
    assert_eq!(parse(&raw.message().await.payload), notified(1, "one"));
    herald.kill().await;
    herald.begin().await;
    let mut raw = Raw::connect(&herald, version, "alice").await;
    assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
    assert_eq!(taken(&mut raw, 1).await, [notified(1, "one")]);
}

#[tokio::test]
async fn a_send_that_was_answered_survives_a_kill() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    // Due after the next start at the earliest.
    admin
        .set_delay(json!({"mode": "fixed", "ms": 600_000}))
        .await;
    let alice = herald.http("alice").await;
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    alice.send_message("over https").await;
    let payload = json!({"body": "over mqtt"}).to_string();
    assert_eq!(raw.publish(&messages("alice"), &payload).await, 0);
    herald.kill().await;
    herald.begin().await;

    let now = json!({"mode": "fixed", "ms": 0, "apply_to_queued": true});
    herald.http("admin").await.set_delay(now).await;
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
    let mut bodies: Vec<_> = taken(&mut raw, 2).await.into_iter().map(|n| n.1).collect();
    bodies.sort();
    assert_eq!(bodies, ["over https", "over mqtt"]);
}

#[tokio::test]
async fn messages_that_were_being_processed_at_a_kill_are_finished_after_it() {
    const SENT: usize = 200;
    let mut herald = Herald::with_users(&["alice"]).await;
    let mut raw = Raw::connect(&herald, Version::V311, "alice").await;
    // The kill comes while some are finished, some claimed and some waiting.
    for batch in 0..SENT / 20 {
        for n in 0..20 {
            let payload = json!({"body": format!("{}", batch * 20 + n)}).to_string();
            raw.publish_only(&messages("alice"), &payload).await;
        }
        for _ in 0..20 {
            raw.expect_puback().await;
        }
    }
    herald.kill().await;
    herald.begin().await;
    let mut raw = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(raw.subscribe(&inbox("alice")).await, 1);
    let mut all = taken(&mut raw, SENT).await;
    let numbers: Vec<i64> = all.iter().map(|n| n.0).collect();
    assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
    all.sort_by_key(|n| n.1.parse::<usize>().unwrap());
    let bodies: Vec<_> = all.into_iter().map(|n| n.1).collect();
    let sent: Vec<_> = (0..SENT).map(|n| n.to_string()).collect();
    assert_eq!(bodies, sent, "each once");
}
