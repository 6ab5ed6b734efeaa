//! Notifications that an operator has bounded: what there is no room for is left out, and said to be.

use herald_tests::{
    Herald, Version,
    raw::{Connect, Raw},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::notified::{finish, inbox};

/// What is left out of messages of so many bytes, and of their results.
const CASES: [(usize, Option<&[&str]>); 3] = [
    (100, None),
    (500, Some(&["result"])),
    (5000, Some(&["result", "body"])),
];

fn text(length: usize) -> String {
    format!("{length}")
        .repeat(length)
        .chars()
        .take(length)
        .collect()
}

#[rstest]
#[tokio::test]
async fn no_notification_is_larger_than_its_bound_and_http_has_what_is_left_out(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    const BOUND: usize = 1024;
    let herald = Herald::start_with(&[("HERALD_LIMITS__NOTIFICATION_BYTES", "1024")]).await;
    let admin = herald.http("admin").await;
    admin.create_user("alice", "user").await;
    let alice = herald.http("alice").await;
    let mut fresh = Raw::connect(&herald, Version::V311, "alice").await;
    assert_eq!(fresh.subscribe(&inbox("alice")).await, 1);
    let mut told = vec![];
    for (length, omitted) in CASES {
        let body = text(length);
        let id = finish(&alice, &[&body]).await;
        let payload = fresh.message().await.payload;
        assert!(payload.len() <= BOUND, "{payload}");
        let notification: Value = serde_json::from_str(&payload).unwrap();
        let message = &notification["message"];
        assert_eq!(message["id"], *id);
        assert_eq!(
            message.get("omitted"),
            omitted.map(|names| json!(names)).as_ref()
        );
        for name in ["result", "body"] {
            let is_omitted = omitted.is_some_and(|names| names.contains(&name));
            let expected = if is_omitted {
                Value::Null
            } else {
                body.as_str().into()
            };
            assert_eq!(message[name], expected, "{length}: {name}");
            assert_eq!(alice.message(&id).await[name], *body, "{length}: {name}");
        }
        told.push((payload, notification));
    }
    // It says the same from the database, in every way.
    let connect = Connect::of("alice").client_id("later");
    let mut later = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(later.subscribe(&inbox("alice")).await, 1);
    for (payload, _) in &told {
        assert_eq!(later.message().await.payload, *payload);
    }
    let list = alice.get("/notifications").await.expect(200);
    let told: Vec<Value> = told
        .into_iter()
        .map(|(_, notification)| notification)
        .collect();
    assert_eq!(list["items"], json!(told));
}
