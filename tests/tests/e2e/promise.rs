//! The promise on connections that misbehave, hurry, or take little.

use std::time::Duration;

use herald_tests::{
    Herald, SharedServer, Version,
    raw::{Connect, Raw},
    until, within,
};
use rstest::rstest;
use serde_json::json;
use tokio::process::Command;

use crate::notified::{notified, parse, taken};

static SERVER: SharedServer = SharedServer::new();

/// How many messages of this user there are, of up to 200.
async fn sent(herald: &Herald, username: &str) -> usize {
    let list = herald.http(username).await.get("/messages?limit=200").await;
    list.expect(200)["items"].as_array().unwrap().len()
}

async fn until_sent(herald: &Herald, username: &str, count: usize) {
    until("the messages to be stored", async || {
        (sent(herald, username).await == count).then_some(())
    })
    .await;
}

/// Pings are packets: who sends them stays connected.
#[rstest]
#[tokio::test]
async fn a_client_that_only_pings_outlives_its_keep_alive(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect {
        keep_alive_s: 3,
        ..Connect::of("alice")
    };
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    let mut pings = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..8 {
        pings.tick().await;
        alice.ping().await;
    }
}

#[rstest]
#[tokio::test]
async fn a_client_that_falls_silent_is_told_and_disconnected(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect {
        keep_alive_s: 1,
        ..Connect::of("alice")
    };
    let mut alice = Raw::connect_as(&herald, version, &connect).await;
    let code = (version == Version::V5).then_some(0x8D);
    assert_eq!(alice.ended().await, code, "{version:?}");
}

/// `mosquitto_pub` sends at QoS 0 and leaves at once.
#[tokio::test]
async fn a_send_at_qos_0_counts_though_its_sender_leaves_at_once() {
    let herald = SERVER.with_users(&["alice"]).await;
    let port = herald.run().mqtt_tcp.as_deref().unwrap();
    let port = port.rsplit(':').next().unwrap();
    for _ in 0..5 {
        let publish = Command::new("mosquitto_pub")
            .args([
                "-p",
                port,
                "-u",
                &herald.name("alice"),
                "-P",
                &herald_tests::password(&herald.name("alice")),
            ])
            .args(["-t", &herald.messages("alice"), "-m", r#"{"body": "bye"}"#])
            .status();
        assert!(within("mosquitto_pub", publish).await.unwrap().success());
    }
    until_sent(&herald, "alice", 5).await;
}

/// More than the writer's queue holds, from more sessions than one user may crowd it with.
#[tokio::test]
async fn what_is_acknowledged_is_stored_however_many_send_at_once() {
    const SESSIONS: usize = 8;
    const EACH: usize = 25;
    let herald = SERVER.with_users(&["alice"]).await;
    let version = Version::V311;
    let mut sessions = vec![];
    for n in 0..SESSIONS {
        let connect = Connect::of("alice").client_id(&format!("alice-{n}"));
        sessions.push(Raw::connect_as(&herald, version, &connect).await);
    }
    // All in one go, as a client that does not wait for its acknowledgements does.
    for raw in &mut sessions {
        for _ in 0..EACH {
            raw.publish_only(&herald.messages("alice"), r#"{"body": "x"}"#)
                .await;
        }
    }
    for raw in &mut sessions {
        for _ in 0..EACH {
            raw.expect_puback().await;
        }
    }
    assert_eq!(sent(&herald, "alice").await, SESSIONS * EACH);
}

#[tokio::test]
async fn a_client_that_takes_one_at_a_time_gets_one_at_a_time_and_all() {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect {
        receive_maximum: Some(1),
        ..Connect::of("alice")
    };
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.subscribe(&herald.inbox("alice")).await, 1);
    let http = herald.http("alice").await;
    for n in 1..=3 {
        let id = http.send_message(&format!("{n}")).await;
        http.processed(&id).await;
    }
    let first = alice.message().await;
    assert_eq!(parse(&first.payload), notified(1, "1"));
    // The next does not overtake the acknowledgement.
    alice.ping().await;
    alice.acknowledge(first.id.unwrap()).await;
    assert_eq!(
        taken(&mut alice, 2).await,
        [notified(2, "2"), notified(3, "3")]
    );
}

/// One client's small packets cost another client of the same user nothing.
#[tokio::test]
async fn a_notification_too_large_for_one_client_waits_for_another() {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect {
        maximum_packet_size: Some(600),
        ..Connect::of("alice")
    };
    let mut small = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(small.subscribe(&herald.inbox("alice")).await, 1);
    let http = herald.http("alice").await;
    let large = "x".repeat(1000);
    for body in ["first", large.as_str(), "third"] {
        let id = http.send_message(body).await;
        http.processed(&id).await;
    }
    assert_eq!(
        taken(&mut small, 2).await,
        [notified(1, "first"), notified(3, "third")]
    );
    small.disconnect().await;
    let mut large_one = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(large_one.subscribe(&herald.inbox("alice")).await, 1);
    let rest = taken(&mut large_one, 2).await;
    assert_eq!(rest, [notified(2, &large), notified(3, "third")]);
}

#[tokio::test]
async fn a_refusal_whose_reason_does_not_fit_is_still_a_refusal() {
    let herald = SERVER.with_users(&["alice"]).await;
    let connect = Connect {
        maximum_packet_size: Some(40),
        ..Connect::of("alice")
    };
    let mut alice = Raw::connect_as(&herald, Version::V5, &connect).await;
    assert_eq!(alice.publish(&herald.messages("bob"), "{}").await, 0x87);
    alice.ping().await;
}

#[tokio::test]
async fn a_start_ahead_of_the_inbox_is_its_end() {
    let herald = SERVER.with_users(&["alice"]).await;
    for (n, after) in (1..).zip(["9223372036854775807", "17"]) {
        let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
        let codes = alice
            .subscribe_all(&[(&herald.inbox("alice"), 1)], Some(after))
            .await;
        assert_eq!(codes, [1]);
        herald.http("alice").await.send_message("new").await;
        assert_eq!(taken(&mut alice, 1).await, [notified(n, "new")]);
        alice.disconnect().await;
    }
}

/// However often it subscribes, a client gets what is retained at its own pace.
#[tokio::test]
async fn a_subscription_repeated_many_times_in_a_packet_counts_once() {
    let herald = SERVER.with_users(&["alice", "admin"]).await;
    let mut admin = Raw::connect(&herald, Version::V5, "admin").await;
    for n in 0..40 {
        admin
            .publish_at_most_once(&herald.topic(&format!("{n:02}")), "kept", true)
            .await;
    }
    admin.ping().await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    let all: &str = &herald.topic("#");
    let many = vec![(all, 1); 200];
    let codes = alice.subscribe_all(&many, None).await;
    assert_eq!(codes, vec![1; 200]);
    for n in 0..40 {
        assert_eq!(alice.take().await.topic, herald.topic(&format!("{n:02}")));
    }
    // Nothing more: what comes next is what is published next.
    admin
        .publish_at_most_once(&herald.topic("last"), "live", false)
        .await;
    assert_eq!(alice.take().await.topic, herald.topic("last"));
}

#[tokio::test]
async fn many_correct_logins_at_once_all_succeed() {
    let herald = SERVER.with_users(&["alice"]).await;
    let logins = (0..24).map(|n| {
        let connect = Connect::of("alice").client_id(&format!("alice-{n}"));
        let herald = &herald;
        async move { Raw::connect_code(herald, Version::V311, &connect).await }
    });
    let codes = futures_util::future::join_all(logins).await;
    assert_eq!(codes, vec![0; 24]);
    let http = herald.http("alice").await;
    http.post("/messages", &json!({"body": "still fine"}))
        .await
        .expect(202);
}
