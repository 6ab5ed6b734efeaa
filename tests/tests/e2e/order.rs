//! The messages of a user come back in the order in which they were sent.

use std::collections::VecDeque;

use herald_tests::{
    Herald, Version,
    raw::{Connect, Raw},
};
use serde_json::{Value, json};

use crate::notified::{Notified, inbox, messages, taken};

/// How many are sent.
const MANY: usize = 3000;

/// How many are on their way to the server: its Receive Maximum.
const WINDOW: usize = 32;

/// Sends numbers, as many at a time as the server takes.
async fn send_numbers(raw: &mut Raw) {
    let mut unanswered = VecDeque::new();
    for number in 0..MANY {
        if unanswered.len() == WINDOW {
            let first = unanswered.pop_front().unwrap();
            assert_eq!(raw.puback(first).await.0, 0);
        }
        let payload = json!({"body": number.to_string()}).to_string();
        unanswered.push_back(raw.publish_only(&messages("alice"), &payload).await);
    }
    for sent in unanswered {
        assert_eq!(raw.puback(sent).await.0, 0);
    }
}

fn in_order(notified: Vec<Notified>) {
    for (number, (seq, body)) in notified.into_iter().enumerate() {
        assert_eq!(body, number.to_string(), "at {seq}");
        assert_eq!(seq, number as i64 + 1);
    }
}

#[tokio::test]
async fn what_is_sent_over_one_connection_without_a_delay_ends_in_order() {
    let herald = Herald::with_users(&["alice"]).await;
    let sender = Connect::of("alice").client_id("sender");
    let mut sender = Raw::connect_as(&herald, Version::V5, &sender).await;
    let listener = Connect::of("alice").client_id("listener");
    let mut listener = Raw::connect_as(&herald, Version::V5, &listener).await;
    assert_eq!(listener.subscribe(&inbox("alice")).await, 1);

    let (notified, ()) = tokio::join!(taken(&mut listener, MANY), send_numbers(&mut sender));
    in_order(notified);
}

/// More than are claimed at once.
#[tokio::test]
async fn what_has_waited_ends_in_order() {
    let herald = Herald::with_users(&["alice"]).await;
    let admin = herald.http("admin").await;
    let pause = admin.post("/admin/queue/pause", &Value::Null);
    pause.await.expect(204);
    let sender = Connect::of("alice").client_id("sender");
    let mut sender = Raw::connect_as(&herald, Version::V5, &sender).await;
    send_numbers(&mut sender).await;
    let listener = Connect::of("alice").client_id("listener");
    let mut listener = Raw::connect_as(&herald, Version::V5, &listener).await;
    assert_eq!(listener.subscribe(&inbox("alice")).await, 1);
    let resume = admin.post("/admin/queue/resume", &Value::Null);
    resume.await.expect(204);
    in_order(taken(&mut listener, MANY).await);
}
