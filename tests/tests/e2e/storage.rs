//! What is kept of a user: how much it may be, and that its owner makes room.

use herald_tests::{
    Herald, Version,
    raw::{Packet, Raw},
    within,
};
use serde_json::{Value, json};

use crate::notified::{inbox, messages};

/// Room for three short messages that wait.
const ROOM: &str = "2000";

fn payload(n: usize) -> String {
    json!({"body": n.to_string()}).to_string()
}

#[tokio::test]
async fn who_fills_the_room_is_refused_until_something_is_deleted_and_loses_nothing() {
    let herald = Herald::start_with(&[("HERALD_LIMITS__STORED_BYTES", ROOM)]).await;
    let admin = herald.http("admin").await;
    for user in ["alice", "bob"] {
        admin.create_user(user, "user").await;
    }
    admin
        .set_delay(json!({"mode": "fixed", "ms": 600_000}))
        .await;
    let (alice, bob) = (herald.http("alice").await, herald.http("bob").await);
    let id = alice.send_message("0").await;
    let mut v5 = Raw::connect(&herald, Version::V5, "alice").await;
    for n in 1..3 {
        assert_eq!(v5.publish(&messages("alice"), &payload(n)).await, 0);
    }
    assert_eq!(v5.publish(&messages("alice"), &payload(3)).await, 0x97);
    let refused = alice.post("/messages", &json!({"body": "4"})).await;
    refused.expect_problem(429, "too_much_stored");
    bob.send_message("0").await;

    // One who is held back for as long as nothing is deleted is not acknowledged.
    let mut given_up = Raw::connect(&herald, Version::V311, "alice").await;
    given_up.publish_only(&messages("alice"), &payload(5)).await;
    assert_eq!(within("the end", given_up.packet()).await, None);
    // One for whom there is room in time is.
    let mut held = Raw::connect(&herald, Version::V311, "alice").await;
    let sent = held.publish_only(&messages("alice"), &payload(6)).await;
    let path = format!("/messages/{id}");
    // Cancelled, and then deleted.
    alice.delete(&path).await.expect(204);
    alice.delete(&path).await.expect(204);
    let answer = held.packet().await;
    assert!(matches!(answer, Some(Packet::Puback { id: of, .. }) if of == sent));
    let kept = alice.get("/messages").await.expect(200);
    let kept = kept["items"].as_array().unwrap().iter();
    let bodies: Vec<_> = kept.map(|m| m["body"].as_str().unwrap()).collect();
    assert_eq!(bodies, ["6", "2", "1"]);
}

#[tokio::test]
async fn a_session_that_comes_late_hears_the_number_of_a_message_that_was_deleted() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let mut live = Raw::connect(&herald, Version::V5, "alice").await;
    assert_eq!(live.subscribe(&inbox("alice")).await, 1);
    let mut ids = vec![];
    for body in ["deleted", "kept"] {
        ids.push(alice.send_message(body).await);
        let told: Value = serde_json::from_str(&live.take().await.payload).unwrap();
        assert_eq!(told["message"]["body"], body);
    }
    let path = format!("/messages/{}?status=processed", ids[0]);
    alice.delete(&path).await.expect(204);

    let mut late = Raw::connect(&herald, Version::V5, "alice").await;
    let granted = late.subscribe_all(&[(&inbox("alice"), 1)], Some("0")).await;
    assert_eq!(granted, [1]);
    let mut told: Vec<Value> = vec![];
    for _ in 0..2 {
        told.push(serde_json::from_str(&late.take().await.payload).unwrap());
    }
    assert_eq!(told[0]["seq"], 1);
    assert_eq!(told[0]["message"]["id"], ids[0].as_str());
    assert_eq!(told[0]["message"]["deleted"], true);
    assert_eq!(told[0]["message"]["body"], Value::Null);
    assert_eq!(
        (&told[1]["seq"], &told[1]["message"]["body"]),
        (&json!(2), &json!("kept"))
    );
}
