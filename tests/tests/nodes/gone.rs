//! A server that is killed.

use herald_test_databases::DatabaseKind;
use herald_tests::{
    Version,
    notified::{inbox, notified, taken},
    raw::Raw,
    until,
};
use rstest::rstest;

use crate::{database, listed, other, service::Service, serving};

/// Its leases of messages would last longer than any test waits.
#[rstest]
#[tokio::test]
async fn what_a_killed_server_was_processing_is_processed_by_another(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    let mut dies = serving(&database, &service, database.url()).await;
    let alice = dies.http("alice").await;
    let id = alice.send_message("hello").await;
    service.has(1).await;
    let other = other(&database).await;
    assert_eq!(listed(&other).await.len(), 2);
    let mut phone = Raw::connect(&other, Version::V5, "alice").await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    dies.kill().await;
    assert_eq!(taken(&mut phone, 1).await, [notified(1, "hello")]);
    let message = other.http("alice").await.message(&id).await;
    assert_eq!(message["result"], "hello", "{message}");
    assert_eq!(listed(&other).await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn a_server_that_is_killed_takes_up_what_it_was_processing_when_it_starts_again(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    let mut dies = serving(&database, &service, database.url()).await;
    let id = dies.http("alice").await.send_message("hello").await;
    service.has(1).await;
    dies.kill().await;
    dies.begin().await;
    service.has(2).await;
    service.answer();
    dies.http("alice").await.processed(&id).await;
}

#[rstest]
#[tokio::test]
async fn a_server_that_stops_leaves_at_once_what_it_has_not_finished(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    let mut stops = serving(&database, &service, database.url()).await;
    let id = stops.http("alice").await.send_message("hello").await;
    service.has(1).await;
    let other = other(&database).await;
    stops.signal("TERM");
    assert_eq!(stops.ended().await, Some(0));
    // Nobody has to find out that it is gone.
    assert_eq!(listed(&other).await.len(), 1);
    let alice = other.http("alice").await;
    until("the message to be processed by the other", async || {
        (alice.message(&id).await["result"] == "hello").then_some(())
    })
    .await;
}
