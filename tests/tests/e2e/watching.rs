//! What administrators see of the broker and of others: `$SYS/herald/#` and observers.

use std::{collections::BTreeMap, time::Duration};

use herald_tests::{
    Herald, Mosquitto, Transport, Version,
    raw::{Connect, Raw},
};
use rstest::rstest;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    heard::announce,
    notified::{finish, inbox, messages, notified, parse, taken},
};

/// All that there is below `$SYS/herald/`.
const VALUES: [&str; 13] = [
    "clients/connected",
    "clients/disconnected",
    "connects/accepted",
    "connects/refused",
    "notifications/sent",
    "publishes/denied",
    "publishes/received",
    "publishes/sent",
    "router/restarts",
    "shared/dropped",
    "subscribes/denied",
    "uptime",
    "version",
];

/// Reads rounds until all of these values are right. Rounds are ten seconds apart.
async fn until_values(watcher: &mut Raw, values: &[(&str, &dyn Fn(u64) -> bool)]) {
    let mut latest = BTreeMap::new();
    let reading = async {
        let is_right = |latest: &BTreeMap<String, String>| {
            values.iter().all(|(name, is_right)| {
                let value = latest.get(&format!("$SYS/herald/{name}"));
                value.is_some_and(|value| is_right(number(value)))
            })
        };
        while !is_right(&latest) {
            let value = watcher.take().await;
            latest.insert(value.topic, value.payload);
        }
    };
    let read = timeout(Duration::from_secs(40), reading).await;
    assert!(read.is_ok(), "{latest:?}");
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

/// In both versions at once, as rounds are ten seconds apart.
#[tokio::test]
async fn administrators_get_the_state_of_the_broker_at_once_and_every_round() {
    let herald = Herald::start().await;
    let mut admins = vec![];
    for version in [Version::V311, Version::V5] {
        let connect = Connect::of("admin").client_id(&format!("{version:?}"));
        let mut admin = Raw::connect_as(&herald, version, &connect).await;
        assert!(admin.subscribe("$SYS/herald/#").await <= 2);
        admins.push((version, admin));
    }
    for retained in [true, false] {
        for (version, admin) in &mut admins {
            let mut round = BTreeMap::new();
            for _ in VALUES {
                let value = admin.take().await;
                assert_eq!((value.qos, value.retain), (0, retained), "{value:?}");
                round.insert(value.topic, value.payload);
            }
            let names: Vec<_> = round
                .keys()
                .filter_map(|t| t.strip_prefix("$SYS/herald/"))
                .collect();
            assert_eq!(names, VALUES, "{version:?}");
            for (topic, value) in &round {
                if topic != "$SYS/herald/version" {
                    number(value);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_counters_count() {
    let herald = Herald::with_users(&["alice"]).await;
    let watcher = Connect::of("admin").client_id("watcher");
    let mut watcher = Raw::connect_as(&herald, Version::V5, &watcher).await;
    let kept = Connect::kept("alice").client_id("kept");
    Raw::connect_as(&herald, Version::V5, &kept)
        .await
        .disconnect()
        .await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe("#").await, 0x87);
    assert_eq!(alice.subscribe(&inbox("alice")).await, 1);
    assert_eq!(alice.publish("broadcast/x", "mine").await, 0x87);
    let send = json!({"body": "hello"}).to_string();
    assert_eq!(alice.publish(&messages("alice"), &send).await, 0);
    assert_eq!(taken(&mut alice, 1).await, [notified(1, "hello")]);
    let wrong = Connect::of("alice").password("wrong");
    Raw::connect_code(&herald, Version::V5, &wrong).await;

    assert!(watcher.subscribe("$SYS/herald/#").await <= 2);
    let values: [(&str, &dyn Fn(u64) -> bool); 9] = [
        ("clients/connected", &|n| n == 2),
        ("clients/disconnected", &|n| n == 1),
        ("connects/accepted", &|n| n >= 3),
        ("connects/refused", &|n| n >= 1),
        ("notifications/sent", &|n| n >= 1),
        ("publishes/denied", &|n| n >= 1),
        ("publishes/received", &|n| n >= 2),
        ("publishes/sent", &|n| n >= 1),
        ("subscribes/denied", &|n| n >= 1),
    ];
    until_values(&mut watcher, &values).await;
}

#[rstest]
#[tokio::test]
async fn users_do_not_see_the_state_of_the_broker_and_nobody_writes_it(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let mut alice = Raw::connect(&herald, version, "alice").await;
    for filter in [
        "$SYS/#",
        "$SYS/herald/#",
        "$SYS/herald/uptime",
        "$SYS/+/uptime",
    ] {
        let code = alice.subscribe(filter).await;
        assert_eq!(code, version.subscribe_refused(), "{filter}");
    }
    let mut admin = Raw::connect(&herald, version, "admin").await;
    let code = admin.publish("$SYS/herald/uptime", "0").await;
    assert_eq!(code, version.puback(0x87));
}

#[rstest]
#[tokio::test]
async fn mosquitto_sub_shows_the_state_of_the_broker(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::start().await;
    let client = Mosquitto::new(&herald, version, Transport::Tls, "admin");
    let mut client = client.subscribe(&["$SYS/herald/version"]).await;
    let value = client.message().await;
    assert_eq!(
        (value.payload.as_str(), value.retain),
        (herald.run().version.as_str(), true)
    );
    client.stop().await;
}

#[rstest]
#[tokio::test]
async fn live_copies_are_of_what_others_are_notified_of(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let http = herald.http("alice").await;
    finish(&http, &["before"]).await;
    let mut n = 1;
    for filter in ["users/#", "#", "users/alice/#", "+/+/notifications"] {
        let mut admin = Raw::connect(&herald, version, "admin").await;
        assert!(admin.subscribe_at(filter, 2).await <= 2, "{filter}");
        // Nothing of the past.
        assert_eq!(admin.at_once().await, []);
        n += 1;
        finish(&http, &["live"]).await;
        let copy = admin.take().await;
        assert_eq!((copy.topic, copy.qos), (inbox("alice"), 0), "{filter}");
        assert_eq!(parse(&copy.payload), notified(n, "live"));
        admin.disconnect().await;
    }
    // Not one of them moved the cursor.
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&inbox("alice")).await, 1);
    assert_eq!(taken(&mut alice, 1).await, [notified(1, "before")]);
}

/// Live is live: a session that was away has missed it.
#[rstest]
#[tokio::test]
async fn live_copies_are_not_kept_for_a_session_that_is_away(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let http = herald.http("alice").await;
    let connect = Connect::kept("admin").client_id(&format!("{version:?}"));
    let mut admin = Raw::connect_as(&herald, version, &connect).await;
    assert!(admin.subscribe("users/#").await <= 2);
    admin.cut().await;
    finish(&http, &["missed"]).await;
    let mut admin = Raw::resume(&herald, version, &connect).await;
    assert_eq!(admin.at_once().await, []);
    // Watched again without a new SUBSCRIBE.
    finish(&http, &["live"]).await;
    assert_eq!(parse(&admin.take().await.payload).1, "live");
    admin.disconnect().await;
}

#[tokio::test]
async fn who_does_not_read_live_copies_slows_nobody() {
    const COUNT: usize = 300;
    let limits = [
        ("HERALD_LIMITS__QUEUED_MESSAGES", "10"),
        ("HERALD_LIMITS__PUBLISHES_PER_S", "0"),
    ];
    let herald = Herald::start_with(&limits).await;
    let admin = herald.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    let observer = Connect::of("admin").client_id("observer");
    let mut observer = Raw::connect_as(&herald, Version::V311, &observer).await;
    assert!(observer.subscribe_at("#", 0).await <= 2);

    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(alice.subscribe(&inbox("alice")).await, 1);
    let mut sender = Connect::of("alice").client_id("sender");
    sender.clean = true;
    let mut sender = Raw::connect_as(&herald, Version::V5, &sender).await;
    // More than sockets and queues between hold.
    let long = "x".repeat(40_000);
    for n in 1..=COUNT {
        let send = json!({"body": format!("{n} {long}")}).to_string();
        assert_eq!(sender.publish(&messages("alice"), &send).await, 0);
        let (seq, body) = taken(&mut alice, 1).await.remove(0);
        assert_eq!(usize::try_from(seq).unwrap(), n);
        assert!(body.starts_with(&format!("{n} ")));
    }
    let mut publisher = Raw::connect(&herald, Version::V5, "admin").await;
    assert_eq!(alice.subscribe("broadcast/x").await, 1);
    announce(&mut publisher, "broadcast/x", 1, &["and this"]).await;
    assert_eq!(alice.take().await.payload, "and this");
}
