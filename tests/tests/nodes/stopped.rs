//! A server whose process is stopped for so long that others hold it to be gone.

use herald_test_databases::DatabaseKind;
use herald_tests::{
    Version,
    notified::{inbox, messages, notified, taken},
    raw::Raw,
    until,
};
use rstest::rstest;
use serde_json::json;

use crate::{database, listed, other, ready, service::Service, serving};

#[rstest]
#[tokio::test]
async fn a_stopped_server_that_wakes_does_nothing_with_what_it_held(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = database(kind).await else {
        return;
    };
    let service = Service::start().await;
    let sleeper = serving(&database, &service, database.url()).await;
    let before = listed(&sleeper).await;
    let mut phones = vec![];
    for version in Version::BOTH {
        let mut phone = Raw::connect(&sleeper, version, "alice").await;
        assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
        phones.push((phone, version));
    }
    let id = sleeper.http("alice").await.send_message("hello").await;
    service.has(1).await;
    let other = other(&database).await;
    let alice = other.http("alice").await;
    sleeper.signal("STOP");
    let processed = alice.processed(&id).await;
    assert_eq!(processed["result"], "hello", "{processed}");
    // It would be taken if anybody had to notice first that the server is cut off.
    let payload = json!({"body": "not taken"}).to_string();
    for (phone, _) in &mut phones {
        phone.publish_only(&messages("alice"), &payload).await;
    }
    service.answer();
    sleeper.signal("CONT");
    for (phone, version) in &mut phones {
        let told = (*version == Version::V5).then_some(0x89);
        assert_eq!(phone.ended().await, told, "{version:?}");
    }
    until("/readyz to be well", async || {
        (ready(&sleeper).await.status == 200).then_some(())
    })
    .await;
    let after = listed(&other).await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(!after.contains(&before[0]), "it is another one: {after:?}");
    // What it had claimed it could not finish, and nothing was taken: the next number is the next message's.
    let next = sleeper.http("alice").await.send_message("next").await;
    alice.processed(&next).await;
    let mut phone = Raw::connect(&other, Version::V5, "alice").await;
    assert_eq!(phone.subscribe(&inbox("alice")).await, 1);
    let heard = taken(&mut phone, 2).await;
    assert_eq!(heard, [notified(1, "hello"), notified(2, "next")]);
    let message = alice.message(&id).await;
    assert_eq!(message["result"], "hello", "{message}");
}
