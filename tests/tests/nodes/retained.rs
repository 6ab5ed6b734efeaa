//! Retained messages, where there are several servers.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use herald_test_databases::DatabaseKind;
use herald_tests::{
    Herald, Version,
    raw::{Connect, Message, Property, Raw},
    until,
};
use rstest::rstest;

use crate::{
    database, ready,
    together::{acquaint, client, three},
};

/// What is retained on each topic.
type Topics = BTreeMap<String, String>;

/// A connection of this user that is nobody else's.
async fn visitor(herald: &Herald, username: &str) -> Raw {
    let connect = Connect::of(username).client_id("");
    Raw::connect_as(herald, Version::V5, &connect).await
}

/// What who subscribes to `filter` at this server is told to be retained.
async fn retained(herald: &Herald, username: &str, filter: &str) -> Topics {
    let mut raw = visitor(herald, username).await;
    assert!(raw.subscribe(filter).await <= 2);
    let mut all = Topics::new();
    for publish in raw.at_once().await {
        raw.finish(&publish).await;
        if publish.retain {
            all.insert(publish.topic, publish.payload);
        }
    }
    all
}

fn topics<const N: usize>(all: [(&str, &str); N]) -> Topics {
    all.map(|(topic, payload)| (topic.to_owned(), payload.to_owned()))
        .into()
}

/// Waits until all servers have this.
async fn all_have(servers: &[Herald], expected: &Topics) {
    for herald in servers {
        until("the server to have what is retained", async || {
            (retained(herald, "admin", "broadcast/#").await == *expected).then_some(())
        })
        .await;
    }
}

#[rstest]
#[tokio::test]
async fn what_is_retained_at_one_server_is_retained_at_all(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut servers = three(&database).await;
    for (at, version) in [Version::V5, Version::V311, Version::V5].iter().enumerate() {
        let mut admin = client(&servers[at], *version, "admin").await;
        for qos in [1, 2] {
            let payload = format!("{at} {qos}");
            let message = Message::new("broadcast/a", &payload).qos(qos).retained();
            assert_eq!(admin.deliver(&message).await, 0);
            // Whoever subscribes from here on is told: live, or of what is retained.
            let told = servers.iter().map(async |herald| {
                let mut raw = visitor(herald, "alice").await;
                raw.subscribe("broadcast/#").await;
                while raw.take().await.payload != payload {}
            });
            join_all(told).await;
        }
        let large = "x".repeat(60_000);
        let message = Message::new("broadcast/b", &large).qos(1).retained();
        assert_eq!(admin.deliver(&message).await, 0);
        let expected = format!("{at} 2");
        all_have(
            &servers,
            &topics([("broadcast/a", &expected), ("broadcast/b", &large)]),
        )
        .await;
        let clear = Message::new("broadcast/b", "").qos(1).retained();
        assert_eq!(admin.deliver(&clear).await, 0);
        all_have(&servers, &topics([("broadcast/a", &expected)])).await;
    }
    servers[1].restart().await;
    all_have(&servers, &topics([("broadcast/a", "2 2")])).await;
}

#[rstest]
#[tokio::test]
async fn servers_that_publish_at_once_have_the_same_in_the_end(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = three(&database).await;
    for round in 0..3 {
        let publishing = servers.iter().enumerate().map(async |(at, herald)| {
            let mut admin = client(herald, Version::V5, "admin").await;
            for n in 0..40 {
                let topic = format!("broadcast/{}", (n * (at + 1) + at) % 5);
                let payload = match (n + at) % 4 {
                    0 => String::new(),
                    _ => format!("{round} {at} {n}"),
                };
                let message = Message::new(&topic, &payload).qos(1).retained();
                assert_eq!(admin.deliver(&message).await, 0);
            }
        });
        join_all(publishing).await;
        // Until what was published last is settled, they may differ.
        until("all to have the same", async || {
            let all = servers.iter();
            let all = join_all(all.map(|herald| retained(herald, "admin", "broadcast/#"))).await;
            (all[0] == all[1] && all[1] == all[2]).then_some(())
        })
        .await;
    }
    // All may have had the same for a moment that is not the last that was saved.
    let mut another = Herald::stopped_on_database(&database, &[]);
    another.begin().await;
    let saved = retained(&another, "admin", "broadcast/#").await;
    all_have(&servers, &saved).await;
}

#[rstest]
#[tokio::test]
async fn who_was_away_learns_what_was_retained_meanwhile(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = three(&database).await;
    let mut admin = client(&servers[0], Version::V5, "admin").await;
    let mut set = async |topic: &str, payload: &str| {
        let message = Message::new(topic, payload).qos(1).retained();
        assert_eq!(admin.deliver(&message).await, 0);
    };
    set("broadcast/a", "before").await;
    set("broadcast/b", "before").await;
    let before = topics([("broadcast/a", "before"), ("broadcast/b", "before")]);
    all_have(&servers, &before).await;
    servers[1].signal("STOP");
    set("broadcast/a", "after").await;
    set("broadcast/b", "").await;
    // Until the others hold it to be gone.
    until("it to be given up", async || {
        let listed = servers[0].cli(&["nodes"]).succeed().await;
        (listed.lines().count() == 2).then_some(())
    })
    .await;
    servers[1].signal("CONT");
    until("it to be back", async || {
        (ready(&servers[1]).await.status == 200).then_some(())
    })
    .await;
    // From the first moment on.
    let now = retained(&servers[1], "admin", "broadcast/#").await;
    assert_eq!(now, topics([("broadcast/a", "after")]));
}

#[rstest]
#[tokio::test]
async fn what_expires_is_gone_at_all_servers(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = three(&database).await;
    let mut admin = client(&servers[2], Version::V5, "admin").await;
    let short = Message::new("broadcast/a", "short")
        .qos(1)
        .retained()
        .with(Property::MessageExpiry(2));
    let lasting = Message::new("broadcast/b", "lasting").qos(1).retained();
    for message in [short, lasting] {
        assert_eq!(admin.deliver(&message).await, 0);
    }
    all_have(&servers, &topics([("broadcast/b", "lasting")])).await;
}

/// Nothing of a user who is gone is seen by another who gets the name, at whichever server.
#[rstest]
#[tokio::test]
async fn what_was_retained_of_a_deleted_user_is_gone_before_the_name_is_free(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = three(&database).await;
    let admin = servers[0].http("admin").await;
    admin.allow("everyone", "both", "rooms/%u/#").await;
    admin.allow("role:admin", "both", "rooms/#").await;
    let mut others = client(&servers[0], Version::V5, "admin").await;
    let message = Message::new("rooms/bob/x", "stays").qos(1).retained();
    assert_eq!(others.deliver(&message).await, 0);
    for round in 0..4 {
        // She publishes at all servers until her sessions end.
        let publishing = servers.iter().enumerate().map(async |(at, herald)| {
            let mut alice = client(herald, Version::V5, "alice").await;
            let mut n = 0;
            loop {
                let topic = format!("rooms/alice/{}", n % 6);
                let message = Message::new(&topic, &format!("{round} {at} {n}")).qos(1);
                alice.send_as(&message.retained(), 7).await;
                n += 1;
                if alice.packet().await.is_none() {
                    break;
                }
            }
            n
        });
        let deleting = async {
            let there = async || {
                let seen = retained(&servers[round % 3], "admin", "rooms/alice/#").await;
                (!seen.is_empty()).then_some(())
            };
            until("it to be retained", there).await;
            let deleter = servers[(round + 1) % 3].http("admin").await;
            deleter.delete("/admin/users/alice").await.expect(204);
            admin.create_user("alice", "user").await;
            let seen = servers.iter();
            join_all(seen.map(|herald| retained(herald, "alice", "rooms/alice/#"))).await
        };
        let (published, seen) = futures_util::join!(join_all(publishing), deleting);
        assert!(published.iter().all(|n| *n > 0), "{published:?}");
        assert_eq!(seen, [Topics::new(), Topics::new(), Topics::new()]);
    }
    acquaint(&servers).await;
    for herald in &servers {
        let left = retained(herald, "admin", "rooms/#").await;
        assert_eq!(left, topics([("rooms/bob/x", "stays")]));
    }
}
