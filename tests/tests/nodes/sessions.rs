//! The session of a client, where there are several servers.

use std::sync::Arc;

use futures_util::future::join_all;
use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_tests::{
    Herald, Http, Version,
    notified::{finish, inbox, notified, taken},
    raw::{Connect, Packet, Raw},
    until,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::database;

/// Two servers with an account, alice, who has at most so many sessions.
async fn two(database: &Arc<TestDatabase>, sessions: &str) -> [Herald; 2] {
    let settings = [("HERALD_LIMITS__SESSIONS_PER_USER", sessions)];
    let mut first = Herald::stopped_on_database(database, &settings);
    first.begin().await;
    let admin = first.http("admin").await;
    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    admin.create_user("alice", "user").await;
    let mut second = Herald::stopped_on_database(database, &settings);
    second.begin().await;
    [first, second]
}

/// A connection of this client, and what the server says to it.
async fn arrive(herald: &Herald, connect: &Connect) -> (Raw, u8) {
    let mut raw = Raw::open(herald, Version::V5).await;
    let connack = raw.connack(connect).await;
    (raw, connack.code)
}

/// Whether the server still answers on a connection.
async fn is_alive(client: &mut Raw) -> bool {
    client.send_in_vain(&[0xC0, 0]).await;
    client.packet().await == Some(Packet::Pingresp)
}

#[rstest]
#[tokio::test]
async fn a_client_that_connects_to_another_server_is_taken_over(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = two(&database, "10").await;
    let kept = Connect::kept("alice");
    let (mut phone, _) = Raw::begin(&servers[0], version, &kept).await;
    let told = (version == Version::V5).then_some(0x8E);
    for at in [1, 0, 1] {
        let (next, connack) = Raw::begin(&servers[at], version, &kept).await;
        assert!(!connack.session_present, "its state is elsewhere");
        assert_eq!(phone.ended().await, told);
        phone = next;
    }
    phone.ping().await;
    let (mut again, connack) = Raw::begin(&servers[1], version, &kept).await;
    assert!(connack.session_present, "it has stayed");
    assert_eq!(phone.ended().await, told);
    again.ping().await;
}

#[rstest]
#[tokio::test]
async fn the_inbox_goes_on_where_the_client_was_on_another_server(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = two(&database, "10").await;
    let alice = servers[0].http("alice").await;
    let kept = Connect::kept("alice");
    for version in Version::BOTH {
        let (mut phone, _) = Raw::begin(&servers[0], version, &kept).await;
        assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
        let before = phone.at_once().await.len() as i64;
        assert_eq!(before, 0);
        let id = finish(&alice, &["one", "two", "three"]).await;
        let heard = taken(&mut phone, 2).await;
        let third = phone.message().await;
        let seq = heard[0].0;
        assert_eq!(heard, [notified(seq, "one"), notified(seq + 1, "two")]);
        // The third is not acknowledged.
        let (mut phone, _) = Raw::begin(&servers[1], version, &kept).await;
        assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
        let again = phone.message().await;
        assert_eq!(again.payload, third.payload, "{id}");
        phone.finish(&again).await;
        assert_eq!(phone.at_once().await, []);
        phone.disconnect().await;
        // Where the acknowledgement is written when the session begins elsewhere.
        until("the cursor to be behind all", async || {
            let (mut phone, _) = Raw::begin(&servers[0], version, &kept).await;
            phone.subscribe(&inbox("alice")).await;
            phone.at_once().await.is_empty().then_some(())
        })
        .await;
    }
}

#[rstest]
#[tokio::test]
async fn sessions_are_counted_on_all_servers_that_are_there(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let [mut dies, other] = two(&database, "2").await;
    let of = |id: &str| Connect::of("alice").client_id(id);
    let mut phone = Raw::connect_as(&dies, Version::V5, &of("phone")).await;
    let _tablet = Raw::connect_as(&other, Version::V5, &of("tablet")).await;
    for server in [&dies, &other] {
        for (version, code) in [(Version::V311, 3), (Version::V5, 0x97)] {
            let refused = Raw::connect_code(server, version, &of("watch")).await;
            assert_eq!(refused, code);
        }
    }
    phone.ping().await;
    // One that waits for its client makes room.
    let kept = Connect::kept("alice").client_id("phone");
    let phone = Raw::connect_as(&dies, Version::V5, &kept).await;
    phone.cut().await;
    let watch = until("the phone to make room", async || {
        let (watch, code) = arrive(&other, &of("watch")).await;
        (code == 0).then_some(watch)
    })
    .await;
    watch.disconnect().await;
    // Of a server that is gone, none counts, and it is not waited for without end.
    let _phone = until("the watch to be gone", async || {
        let (phone, code) = arrive(&dies, &of("phone")).await;
        (code == 0).then_some(phone)
    })
    .await;
    assert_eq!(
        Raw::connect_code(&other, Version::V5, &of("watch")).await,
        0x97
    );
    dies.kill().await;
    until("the lease of the other server to end", async || {
        (Raw::connect_code(&other, Version::V5, &of("watch")).await == 0).then_some(())
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn of_many_that_come_at_once_one_has_the_session(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = two(&database, "10").await;
    let kept = Connect::kept("alice");
    for _ in 0..3 {
        let all = (0..8).map(|at| arrive(&servers[at % 2], &kept));
        let all = join_all(all).await.into_iter();
        let let_in = all.filter(|(_, code)| *code == 0);
        let mut left: Vec<_> = let_in.map(|(client, _)| client).collect();
        until("all but one to end", async || {
            let mut alive = vec![];
            for mut client in std::mem::take(&mut left) {
                if is_alive(&mut client).await {
                    alive.push(client);
                }
            }
            left = alive;
            (left.len() <= 1).then_some(())
        })
        .await;
        assert_eq!(left.len(), 1);
        left[0].ping().await;
    }
}

/// The sessions that a server lists: client id, subscriptions, and whether the session is connected.
async fn listed_sessions(admin: &Http) -> Vec<(String, Value, bool)> {
    let page = admin.get("/admin/connections").await.expect(200);
    let items = page["items"].as_array().unwrap().iter();
    let mut all: Vec<_> = items
        .map(|one| {
            assert!(!one["node"].as_str().unwrap().is_empty(), "{one}");
            let client_id = one["client_id"].as_str().unwrap().to_owned();
            let connected = one["connected"].as_bool().unwrap();
            (client_id, one["subscriptions"].clone(), connected)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[rstest]
#[tokio::test]
async fn administrators_see_and_end_the_sessions_of_all_servers(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = two(&database, "10").await;
    let admin = servers[0].http("admin").await;
    let kept = |id: &str| Connect::kept("alice").client_id(id);
    let mut phone = Raw::connect_as(&servers[0], Version::V5, &kept("phone")).await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    let mut tablet = Raw::connect_as(&servers[1], Version::V5, &kept("tablet")).await;
    let watch = Raw::connect_as(&servers[1], Version::V5, &kept("watch")).await;
    watch.cut().await;
    let seen = |connected| ("watch".to_owned(), Value::Null, connected);
    let all = until("the watch to be away", async || {
        let all = listed_sessions(&admin).await;
        (all.last() == Some(&seen(false))).then_some(all)
    })
    .await;
    let tablet_shown = ("tablet".to_owned(), Value::Null, true);
    assert_eq!(
        all[..2],
        [("phone".to_owned(), json!(1), true), tablet_shown]
    );
    let of_alice = admin.get("/admin/connections?user=alice&limit=2").await;
    let page = of_alice.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(page["next"].is_string());
    for (client_id, told) in [("tablet", true), ("watch", false), ("phone", true)] {
        let all = admin.get("/admin/connections").await.expect(200);
        let all = all["items"].as_array().unwrap();
        let one = all.iter().find(|one| one["client_id"] == client_id);
        let path = format!(
            "/admin/connections/{}",
            one.unwrap()["id"].as_str().unwrap()
        );
        admin.delete(&path).await.expect(204);
        if told {
            let ended = if client_id == "tablet" {
                &mut tablet
            } else {
                &mut phone
            };
            assert_eq!(ended.ended().await, Some(0x98));
        }
        until("it to be gone", async || {
            let all = listed_sessions(&admin).await;
            all.iter().all(|(id, ..)| id != client_id).then_some(())
        })
        .await;
        admin.delete(&path).await.expect_problem(404, "not_found");
        let (_, connack) = Raw::begin(&servers[1], Version::V5, &kept(client_id)).await;
        assert!(!connack.session_present, "its state is gone");
        let (back, _) = Raw::begin(
            &servers[1],
            Version::V5,
            &Connect {
                clean: true,
                properties: vec![],
                ..kept(client_id)
            },
        )
        .await;
        back.disconnect().await;
    }
}

#[rstest]
#[tokio::test]
async fn an_account_is_deleted_when_no_server_has_a_session_of_it(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = two(&database, "10").await;
    let admin = servers[0].http("admin").await;
    let kept = Connect::kept("alice");
    let mut phone = Raw::connect_as(&servers[1], Version::V5, &kept.client_id("phone")).await;
    let watch = Connect::kept("alice").client_id("watch");
    let watch = Raw::connect_as(&servers[1], Version::V5, &watch).await;
    watch.cut().await;
    assert_eq!(listed_sessions(&admin).await.len(), 2);
    admin.delete("/admin/users/alice").await.expect(204);
    assert_eq!(listed_sessions(&admin).await, []);
    assert_eq!(phone.ended().await, Some(0x87));
}
