//! Shared topics between servers, through NATS: what becomes of them without it.

use std::sync::Arc;

use herald_test_databases::{DatabaseKind, TestDatabase};
use herald_test_servers::NatsServer;
use herald_tests::{
    Authority, Herald, Version,
    raw::{Connect, Raw},
    until,
};
use rstest::rstest;
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::database;
use crate::{
    shared::{NEWS, heard},
    together::{acquaint, came, listener, three_with},
};

/// What an administrator has to publish for a counter.
const DROPPED: &str = "$SYS/herald/shared/dropped";

/// An administrator who publishes; [`acquaint`] has another one.
async fn publisher(herald: &Herald) -> Raw {
    let connect = Connect::of("admin").client_id("publisher");
    Raw::connect_as(herald, Version::V5, &connect).await
}

/// Begins a new epoch, as in the documents: databases of tests are copies of one.
async fn new_epoch(database: &TestDatabase) {
    sqlx::any::install_default_drivers();
    let mut beside = AnyConnection::connect(database.url()).await.unwrap();
    beside
        .execute("UPDATE inbox_epoch SET epoch = substr(md5(random()::text), 1, 16)")
        .await
        .unwrap();
    beside.close().await.unwrap();
}

async fn three_on(database: &Arc<TestDatabase>, nats: &NatsServer) -> [Herald; 3] {
    three_with(database, &[("HERALD_CLUSTER__RELAY", &nats.url())]).await
}

/// Waits until this is taken: it may be refused before.
async fn published(admin: &mut Raw, body: &str) {
    until("it to be taken", async || {
        let code = admin.publish(NEWS, body).await;
        assert!(code == 0 || code == 0x80, "{code}");
        (code == 0).then_some(())
    })
    .await;
}

#[rstest]
#[tokio::test]
async fn a_nats_server_that_is_killed_is_missed_and_found_again(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let mut nats = NatsServer::start().unwrap();
    let servers = three_on(&database, &nats).await;
    let mut admin = publisher(&servers[0]).await;
    let connect = Connect::of("admin").client_id("counter");
    let mut counter = Raw::connect_as(&servers[0], Version::V5, &connect).await;
    assert_eq!(counter.subscribe(DROPPED).await, 1);
    let mut alice = listener(&servers[1], Version::V5, "alice", "broadcast/#").await;
    let group = format!("$share/readers/{NEWS}");
    let mut bob = listener(&servers[2], Version::V5, "bob", &group).await;
    for (times, round, lost) in [(1, "first", 3), (2, "second", 6)] {
        nats.kill().unwrap();
        // All are refused, and each is answered.
        for _ in 0..3 {
            assert_eq!(admin.publish(NEWS, "nobody hears this").await, 0x80);
        }
        until("what was lost to be counted", async || {
            let counts = came(&mut counter).await;
            let counts = counts.iter().map(|count| count.parse::<u64>());
            counts.flatten().any(|count| count >= lost).then_some(())
        })
        .await;
        servers[0].logged("does not answer", times).await;
        nats.restart().unwrap();
        published(&mut admin, round).await;
        servers[0].logged("answers again", times).await;
        acquaint(&servers).await;
        let last = format!("after the {round}");
        for (name, raw) in [("alice", &mut alice), ("bob", &mut bob)] {
            until(name, async || {
                published(&mut admin, &last).await;
                came(raw).await.contains(&last).then_some(())
            })
            .await;
        }
    }
    for herald in &servers {
        let password = nats.password();
        assert!(!herald.stderr().contains(password), "it shows the password");
    }
}

#[tokio::test]
async fn two_databases_on_one_nats_server_do_not_hear_each_other() {
    let (Some(ours), Some(theirs)) = (
        database(DatabaseKind::Postgres).await,
        database(DatabaseKind::Postgres).await,
    ) else {
        return;
    };
    let nats = NatsServer::start().unwrap();
    new_epoch(&theirs).await;
    let servers = [three_on(&ours, &nats).await, three_on(&theirs, &nats).await];
    let mut ends = vec![];
    for servers in &servers {
        let admin = publisher(&servers[0]).await;
        let alice = listener(&servers[1], Version::V5, "alice", NEWS).await;
        ends.push((admin, alice));
    }
    let [(our_admin, our_alice), (their_admin, their_alice)] = ends.as_mut_slice() else {
        unreachable!()
    };
    for n in ["1", "2", "3"] {
        published(our_admin, &format!("ours {n}")).await;
        published(their_admin, &format!("theirs {n}")).await;
    }
    // What one had heard of the other would have come before the last.
    assert_eq!(heard(our_alice, 3).await, ["ours 1", "ours 2", "ours 3"]);
    let theirs = ["theirs 1", "theirs 2", "theirs 3"];
    assert_eq!(heard(their_alice, 3).await, theirs);
    for alice in [our_alice, their_alice] {
        assert_eq!(alice.at_once().await, []);
    }
    // They go on in another epoch.
    new_epoch(&ours).await;
    for herald in &servers[0] {
        herald.logged("through NATS", 2).await;
    }
    acquaint(&servers[0]).await;
}

#[tokio::test]
async fn servers_start_without_nats_and_hear_each_other_when_it_is_there() {
    let Some(database) = database(DatabaseKind::Postgres).await else {
        return;
    };
    let mut nats = NatsServer::start().unwrap();
    nats.kill().unwrap();
    let url = nats.url();
    let settings = [("HERALD_CLUSTER__RELAY", url.as_str())];
    let mut servers = [(); 2].map(|()| Herald::stopped_on_database(&database, &settings));
    for herald in &mut servers {
        herald.begin().await;
    }
    servers[1].logged("does not answer", 1).await;
    nats.restart().unwrap();
    acquaint(&servers).await;
}

#[tokio::test]
async fn tls_needs_an_authority_that_the_server_trusts() {
    let Some(database) = database(DatabaseKind::Postgres).await else {
        return;
    };
    let authority = Authority::new();
    let (certificate, key) = (authority.certificate(), authority.key());
    let nats = NatsServer::start_with_tls(&certificate, &key).unwrap();
    let (url, ca) = (nats.url(), authority.ca());
    let relay = ("HERALD_CLUSTER__RELAY", url.as_str());
    // Whoever does not know the authority does not speak to it.
    let mut stranger = Herald::stopped_on_database(&database, &[relay]);
    stranger.begin().await;
    let log = stranger.logged("no connection to the NATS server", 1).await;
    assert!(
        log.contains("invalid peer certificate: UnknownIssuer"),
        "{log}"
    );
    stranger.stop().await;
    let settings = [relay, ("SSL_CERT_FILE", ca.to_str().unwrap())];
    let mut servers = [(); 2].map(|()| Herald::stopped_on_database(&database, &settings));
    for herald in &mut servers {
        herald.begin().await;
    }
    acquaint(&servers).await;
}

#[tokio::test]
async fn a_relay_that_is_none_is_refused_and_its_password_is_not_shown() {
    for (setting, value) in [
        ("HERALD_CLUSTER__RELAY", "http://me:s3cret@host"),
        ("HERALD_CLUSTER__RELAY", "nats://me:s3cret@host:99999"),
        // A file has one server.
        ("HERALD_CLUSTER__RELAY", "nats://me:s3cret@host"),
        ("HERALD_CLUSTER__RELAY_FILE", "/nowhere"),
    ] {
        let herald = Herald::stopped_on_file(&[]);
        let ended = herald.cli(&["serve"]).env(setting, value).run().await;
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains("cluster.relay"), "{ended:?}");
        assert!(!ended.stderr.contains("s3cret"), "{ended:?}");
    }
}
