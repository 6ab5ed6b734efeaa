//! Notifications as the tests look at them.

use crate::{http::Http, mosquitto::Subscriber, raw::Raw};
use serde_json::Value;

/// `users/{username}/notifications`.
#[must_use]
pub fn inbox(username: &str) -> String {
    format!("users/{username}/notifications")
}

/// `users/{username}/messages`.
#[must_use]
pub fn messages(username: &str) -> String {
    format!("users/{username}/messages")
}

/// What a notification is about: its number and the body of the message.
pub type Notified = (i64, String);

/// Reads the payload of a notification.
#[must_use]
pub fn parse(payload: &str) -> Notified {
    let notification: Value = serde_json::from_str(payload).unwrap();
    (
        notification["seq"].as_i64().unwrap(),
        notification["message"]["body"].as_str().unwrap().into(),
    )
}

/// The notification with this number and body.
#[must_use]
pub fn notified(seq: i64, body: &str) -> Notified {
    (seq, body.into())
}

/// The next `n` notifications that `mosquitto_sub` prints.
pub async fn printed(subscriber: &mut Subscriber, n: usize) -> Vec<Notified> {
    let mut all = vec![];
    for _ in 0..n {
        all.push(parse(&subscriber.message().await.payload));
    }
    all
}

/// The next `n` notifications, acknowledged.
pub async fn taken(raw: &mut Raw, n: usize) -> Vec<Notified> {
    let mut all = vec![];
    for _ in 0..n {
        all.push(parse(&raw.take().await.payload));
    }
    all
}

/// Sends these one after the other, each processed before the next. The last one's id.
pub async fn finish(user: &Http, bodies: &[&str]) -> String {
    let mut last = String::new();
    for body in bodies {
        last = user.send_message(body).await;
        user.processed(&last).await;
    }
    last
}

/// The notifications of the bodies "one", "two" and "three", which were the first.
#[must_use]
pub fn three() -> [Notified; 3] {
    [notified(1, "one"), notified(2, "two"), notified(3, "three")]
}
