//! Notifications as the tests look at them.

use herald_tests::{Subscriber, raw::Raw};
use serde_json::Value;

/// `users/{username}/notifications`.
pub(crate) fn inbox(username: &str) -> String {
    format!("users/{username}/notifications")
}

/// `users/{username}/messages`.
pub(crate) fn messages(username: &str) -> String {
    format!("users/{username}/messages")
}

/// What a notification is about: its number and the body of the message.
pub(crate) type Notified = (i64, String);

/// Reads the payload of a notification.
pub(crate) fn parse(payload: &str) -> Notified {
    let notification: Value = serde_json::from_str(payload).unwrap();
    (
        notification["seq"].as_i64().unwrap(),
        notification["message"]["body"].as_str().unwrap().into(),
    )
}

/// The notification with this number and body.
pub(crate) fn notified(seq: i64, body: &str) -> Notified {
    (seq, body.into())
}

/// The next `n` notifications that `mosquitto_sub` prints.
pub(crate) async fn printed(subscriber: &mut Subscriber, n: usize) -> Vec<Notified> {
    let mut all = vec![];
    for _ in 0..n {
        all.push(parse(&subscriber.message().await.payload));
    }
    all
}

/// The next `n` notifications, acknowledged.
pub(crate) async fn taken(raw: &mut Raw, n: usize) -> Vec<Notified> {
    let mut all = vec![];
    for _ in 0..n {
        all.push(parse(&raw.take().await.payload));
    }
    all
}
