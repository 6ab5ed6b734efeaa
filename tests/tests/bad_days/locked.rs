//! A writer that cannot write: another process has the database.

use herald_tests::{
    Herald, Version,
    raw::{Connect, Message, Raw},
    until,
};
use rstest::rstest;
use serde_json::json;
use sqlx::{Connection as _, Executor as _, SqliteConnection};

const SENDS: &str = "users/alice/messages";
const INBOX: &str = "users/alice/notifications";

/// Has the database to itself until it is dropped.
async fn lock(herald: &Herald) -> SqliteConnection {
    let url = format!("sqlite://{}", herald.data_dir().join("herald.db").display());
    let mut other = SqliteConnection::connect(&url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    other
}

/// A send, and what tells a repeat.
fn send(body: &str) -> String {
    json!({"body": body, "idempotency_key": body}).to_string()
}

#[rstest]
#[case(Version::V311, true)]
#[case(Version::V311, false)]
#[case(Version::V5, false)]
#[tokio::test]
async fn a_client_whose_sends_wait_for_the_writer_is_let_in_at_once_when_it_comes_back(
    #[case] version: Version,
    #[case] cut: bool,
) {
    let herald = Herald::with_users(&["alice"]).await;
    let mut other = Raw::connect(&herald, version, "alice").await;
    let phone = Connect::kept("alice").client_id("phone");
    let mut first = Raw::connect_as(&herald, version, &phone).await;
    let database = lock(&herald).await;
    // What was sent before is answered before, whatever the answer is.
    other.publish_only(SENDS, &send("earlier")).await;
    other.ping().await;
    first.publish_only(SENDS, &send("held-back")).await;
    first.ping().await;
    // The session has no place in the inbox yet: to make one is a write, too.
    first.send_subscribe(7, INBOX, 1).await;
    let first = (!cut).then_some(first);
    let mut second = tokio::select! {
        biased;
        answer = other.packet() => panic!("answered first: {answer:?}"),
        second = Raw::connect_as(&herald, version, &phone) => second,
    };
    drop(first);
    drop(database);

    let again = Message::new(SENDS, &send("held-back")).qos(1).again();
    second.send_as(&again, 9).await;
    assert_eq!(second.puback(9).await.0, 0);
    assert_eq!(second.subscribe(INBOX).await, 1);
    let alice = herald.http("alice").await;
    let bodies = until("what was sent to be there", async || {
        let list = alice.get("/messages").await.expect(200);
        let items = list["items"].as_array().unwrap();
        let bodies = items.iter().map(|m| m["body"].as_str().unwrap().to_owned());
        let mut bodies: Vec<_> = bodies.collect();
        bodies.sort_unstable();
        bodies.contains(&"held-back".to_owned()).then_some(bodies)
    })
    .await;
    let held = bodies.iter().filter(|body| *body == "held-back");
    assert_eq!(held.count(), 1, "{bodies:?}");
}
