//! What must hold in the end.

use std::collections::HashMap;

use herald_tests::{Http, until};
use serde_json::Value;

use crate::user::{Fate, User};

/// Items a page, the most that there can be.
const PAGE: usize = 200;

/// What a run has come to.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) messages: usize,
    /// Messages that were claimed by more than one server.
    pub(crate) claimed_again: usize,
    /// Notifications that came again, to the same client or to another one of the user.
    pub(crate) heard_again: u64,
}

/// Waits until all messages of `user` are finished and heard of, then compares everything with everything.
pub(crate) async fn check(user: &User, http: &Http, tally: &mut Tally) {
    let name = &user.name;
    let messages = all_finished(user, http).await;

    let mut ids = HashMap::new();
    let mut sent = user.all_sent();
    for message in &messages {
        assert_eq!(message["status"], "processed", "{message}");
        let (id, body) = (text(&message["id"]), text(&message["body"]));
        match sent.remove(body) {
            Some(Fate::Accepted(Some(answered))) => assert_eq!(answered, id, "{message}"),
            Some(_) => {}
            None => panic!("{name} has not sent this, or not twice: {message}"),
        }
        assert!(ids.insert(id.to_owned(), body.to_owned()).is_none());
    }
    let lost: Vec<_> = sent
        .iter()
        .filter(|(_, fate)| **fate != Fate::Unknown)
        .collect();
    assert!(lost.is_empty(), "{name}: accepted and lost: {lost:#?}");

    let (heard, repeats) = user.all_heard();
    let inbox = all_notifications(http).await;
    let numbers = || (1..).take(messages.len());
    assert!(heard.keys().copied().eq(numbers()), "{name}: {heard:#?}");
    let listed = inbox.iter().map(|item| item["seq"].as_i64().unwrap());
    assert!(listed.eq(numbers()), "{name}: {inbox:#?}");
    for (item, payload) in inbox.iter().zip(heard.values()) {
        let published: Value = serde_json::from_str(payload).unwrap();
        for field in ["id", "body", "status", "result", "error", "attempts"] {
            assert_eq!(item["message"][field], published["message"][field]);
        }
        let message = &item["message"];
        let body = ids.remove(text(&message["id"]));
        assert_eq!(body.as_deref(), message["body"].as_str(), "once: {item}");
        assert_eq!(message["result"], message["body"]);
    }
    assert!(ids.is_empty(), "{name}: not told of {ids:#?}");
    let claimed_again = |message: &&Value| message["attempts"].as_i64() > Some(1);
    tally.messages += messages.len();
    tally.claimed_again += messages.iter().filter(claimed_again).count();
    tally.heard_again += repeats;
}

/// All messages, once each is finished and heard of. However many there are, there must always be a next one.
async fn all_finished(user: &User, http: &Http) -> Vec<Value> {
    loop {
        let heard = user.count_heard();
        let finished = until("the next notification", async || {
            let first = |status| page(http, format!("/messages?limit=1&status={status}"));
            if first("queued").await.is_empty() && first("processing").await.is_empty() {
                let messages = all_messages(http).await;
                if user.count_heard() >= messages.len() {
                    return Some(Some(messages));
                }
            }
            (user.count_heard() > heard).then_some(None)
        });
        if let Some(messages) = finished.await {
            return messages;
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The items at this path.
async fn page(http: &Http, path: String) -> Vec<Value> {
    let answer = http.get(&path).await.expect(200);
    answer["items"].as_array().unwrap().clone()
}

/// All messages, the newest first.
async fn all_messages(http: &Http) -> Vec<Value> {
    let mut all: Vec<Value> = vec![];
    loop {
        let before = all
            .last()
            .map(|last| format!("&before={}", text(&last["id"])));
        let path = format!("/messages?limit={PAGE}{}", before.unwrap_or_default());
        let page = page(http, path).await;
        let more = page.len() == PAGE;
        all.extend(page);
        if !more {
            return all;
        }
    }
}

/// The inbox, the oldest first.
async fn all_notifications(http: &Http) -> Vec<Value> {
    let mut all: Vec<Value> = vec![];
    loop {
        let after = all.last().map_or(0, |last| last["seq"].as_i64().unwrap());
        let path = format!("/notifications?limit={PAGE}&after={after}");
        let answer = http.get(&path).await.expect(200);
        all.extend(answer["items"].as_array().unwrap().iter().cloned());
        if answer["next"].is_null() {
            return all;
        }
    }
}
