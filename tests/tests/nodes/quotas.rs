//! What counts for all servers together, and what is asked of one for a session of another.

use herald_test_databases::DatabaseKind;
use herald_tests::{
    Answer, Herald, Http, Version,
    notified::{finish, inbox},
    raw::{Connect, Raw},
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::{
    database,
    together::{client, listener, three},
};

/// How many passwords may be wrong at one address for an account.
const WRONG: usize = 10;

async fn sign_in(herald: &Herald, username: &str, password: &str) -> Answer {
    let login = json!({"username": username, "password": password});
    Http::anonymous(herald).post("/auth/login", &login).await
}

#[rstest]
#[tokio::test]
async fn wrong_passwords_count_on_all_servers(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut servers = three(&database).await;
    for n in 0..WRONG {
        let answer = sign_in(&servers[n % 3], "alice", &format!("guess {n}")).await;
        answer.expect(401);
    }
    let right = herald_tests::password("alice");
    for herald in &servers {
        sign_in(herald, "alice", &right).await.expect(429);
        sign_in(herald, "bob", &herald_tests::password("bob"))
            .await
            .expect(200);
    }
    // Nor does a server that starts begin to count anew.
    servers[0].kill().await;
    servers[0].begin().await;
    sign_in(&servers[0], "alice", &right).await.expect(429);
}

#[rstest]
#[tokio::test]
async fn administrators_see_what_all_servers_count(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = three(&database).await;
    let mut alice = client(&servers[0], Version::V5, "alice").await;
    let mut bob = client(&servers[1], Version::V311, "bob").await;
    let sum = "$SYS/herald/cluster/clients/connected";
    let mut admin = listener(&servers[2], Version::V5, "admin", sum).await;
    while admin.take().await.payload != "3" {
        alice.ping().await;
        bob.ping().await;
    }
    // Who comes later need not wait.
    let count = "$SYS/herald/cluster/nodes";
    let mut later = listener(&servers[2], Version::V311, "admin", count).await;
    assert_eq!(later.take().await.payload, "3");
}

#[rstest]
#[tokio::test]
async fn a_client_skips_on_another_server_what_it_is_told_to(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let servers = three(&database).await;
    let alice = servers[0].http("alice").await;
    let kept = Connect::kept("alice").client_id("phone");
    let mut phone = Raw::connect_as(&servers[1], Version::V5, &kept).await;
    assert!(phone.subscribe(&inbox("alice")).await <= 2);
    finish(&alice, &["one", "two", "three"]).await;
    for _ in 0..3 {
        phone.message().await;
    }
    let skip = async |client_id| {
        let skip = json!({"up_to": 2, "client_id": client_id});
        alice.post("/notifications/ack", &skip).await
    };
    assert_eq!(skip("phone").await.expect(200)["acked"], 2);
    skip("tablet").await.expect(404);
    // Of what it has not acknowledged, it gets the last one alone in the end.
    let phone = &mut Some(phone);
    until("the session skips what it is told to", async || {
        phone.take()?.cut().await;
        let mut again = Raw::resume(&servers[1], Version::V5, &kept).await;
        let come = again.at_once().await;
        *phone = Some(again);
        let last = come.last()?;
        assert!(last.payload.contains("three"));
        (come.len() == 1).then_some(())
    })
    .await;
    // Nor is that of a session that is not kept forgotten to be there.
    let once = Connect::of("alice").client_id("once");
    let _once = Raw::connect_as(&servers[2], Version::V311, &once).await;
    skip("once").await.expect(200);
}
