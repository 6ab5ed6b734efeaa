//! Whoever is connected to one server hears of what another has finished.

use std::collections::HashSet;

use herald_test_databases::{CuttingProxy, DatabaseKind, Moment};
use herald_tests::{
    Herald, Http, Version,
    notified::{Notified, finish, inbox, notified, taken},
    raw::{Connect, Raw},
    until,
};
use rstest::rstest;

use crate::{
    database, other,
    service::{RESULT, Service},
    serving,
};

/// How many messages are sent without a wait.
const MANY: usize = 60;

/// A subscriber to the inbox of this user: another client at each server.
async fn subscriber(herald: &Herald, username: &str) -> Raw {
    let connect = Connect::of(username).client_id(herald.tcp_address());
    let mut phone = Raw::connect_as(herald, Version::V5, &connect).await;
    assert_eq!(phone.subscribe(&inbox(username)).await, 1);
    phone
}

/// Sends many, one after the other, and does something `between`. Their bodies.
async fn send_many(user: &Http, round: &str, between: impl FnOnce()) -> HashSet<String> {
    let mut bodies = HashSet::new();
    let mut between = Some(between);
    for number in 0..MANY {
        if number == MANY / 2
            && let Some(between) = between.take()
        {
            between();
        }
        let body = format!("{round} {number}");
        user.send_message(&body).await;
        bodies.insert(body);
    }
    bodies
}

/// These are the `bodies`, numbered from `first` on.
fn assert_dense(heard: Vec<Notified>, first: i64, bodies: &HashSet<String>) {
    let (numbers, heard): (Vec<_>, HashSet<_>) = heard.into_iter().unzip();
    assert_eq!(numbers, (first..).take(MANY).collect::<Vec<_>>());
    assert_eq!(&heard, bodies);
}

#[rstest]
#[tokio::test]
async fn subscribers_of_all_servers_hear_what_any_has_processed(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    service.answer();
    let busy = serving(&database, &service, database.url()).await;
    busy.http("admin").await.create_user("bob", "user").await;
    let servers = [other(&database).await, other(&database).await];
    let mut phones = vec![];
    for herald in servers.iter().chain([&busy]) {
        phones.push(subscriber(herald, "alice").await);
    }
    let mut bobs = subscriber(&servers[0], "bob").await;
    let alice = busy.http("alice").await;
    finish(&alice, &["one", "two", "three"]).await;
    for phone in &mut phones {
        let expected = [notified(1, "one"), notified(2, "two"), notified(3, "three")];
        assert_eq!(taken(phone, 3).await, expected);
    }
    let bodies = send_many(&alice, "many", || {}).await;
    for phone in &mut phones {
        assert_dense(taken(phone, MANY).await, 4, &bodies);
    }
    // Nothing of it was another's.
    finish(&busy.http("bob").await, &["mine"]).await;
    assert_eq!(taken(&mut bobs, 1).await, [notified(1, "mine")]);
}

#[rstest]
#[tokio::test]
async fn a_server_that_loses_its_connections_loses_nothing_of_what_others_process(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    service.answer();
    let busy = serving(&database, &service, database.url()).await;
    let proxy = CuttingProxy::start(kind, database.url()).await;
    let settings = [("HERALD_DATABASE__URL", proxy.url())];
    let mut deaf = Herald::stopped_on_database(&database, &settings);
    deaf.begin().await;
    let mut phone = subscriber(&deaf, "alice").await;
    let alice = busy.http("alice").await;
    finish(&alice, &["first"]).await;
    assert_eq!(taken(&mut phone, 1).await, [notified(1, "first")]);
    let mut next = 2;
    for round in ["before", "between", "after"] {
        if round == "before" {
            proxy.cut_all();
        }
        let bodies = send_many(&alice, round, || {
            if round == "between" {
                proxy.cut_all();
            }
        });
        let bodies = bodies.await;
        if round == "after" {
            proxy.cut_all();
        }
        assert_dense(taken(&mut phone, MANY).await, next, &bodies);
        next += MANY as i64;
    }
}

/// Waits until the servers have said at least so often that they are there: each does every second.
async fn beats(herald: &Herald, times: usize) {
    let mut seen = HashSet::new();
    until("servers to say that they are there", async || {
        seen.insert(herald.cli(&["nodes"]).succeed().await);
        (seen.len() > 2 * times).then_some(())
    })
    .await;
}

/// It has no time to tell anybody.
#[rstest]
#[tokio::test]
async fn what_a_server_finished_before_it_was_killed_is_heard_elsewhere(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    let proxy = CuttingProxy::start(kind, database.url()).await;
    let mut dies = serving(&database, &service, proxy.url()).await;
    let id = dies.http("alice").await.send_message("hello").await;
    service.has(1).await;
    let other = other(&database).await;
    let mut phone = subscriber(&other, "alice").await;
    // Until it does not look for what it may have missed before it came.
    beats(&other, 4).await;
    let silence = proxy.silence();
    let _silence = proxy.cut_at(Moment::Before, move |message| {
        if message.is_commit() {
            // This arrives, and nothing else.
            silence.begin();
        }
        false
    });
    service.answer();
    let alice = other.http("alice").await;
    alice.processed(&id).await;
    dies.kill().await;
    let heard = phone.take().await;
    let result = format!(r#""result":"{RESULT}""#);
    assert!(heard.payload.contains(&result), "{}", heard.payload);
    assert!(heard.payload.contains(r#""seq":1,"#), "{}", heard.payload);
}
