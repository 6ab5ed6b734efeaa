//! Cancelling messages, and attempts that failed.

use std::time::Duration;

use herald_store::{MessageId, Timestamp};
use poem::http::Method;
use serde_json::{Value, json};

use crate::client::{Browser, Herald};

const LEASE: Duration = Duration::from_secs(30);

async fn send(browser: &Browser<'_>) -> String {
    let call = browser.post("/api/v1/messages").json(json!({"body": "x"}));
    let sent = call.send().await.expect(202).json;
    format!("/api/v1/messages/{}", sent["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_queued_message_is_cancelled_by_its_owner_alone() {
    let herald = Herald::start().await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let path = send(&alice).await;
    let foreign = bob.call(Method::DELETE, &path).send().await;
    foreign.expect_problem(404, "not_found");
    let missing = bob.call(Method::DELETE, "/api/v1/messages/x").send().await;
    missing.expect_problem(404, "not_found");

    alice.call(Method::DELETE, &path).send().await.expect(204);
    let seen = alice.get(&path).send().await.expect(200).json;
    assert_eq!(seen["status"], "cancelled");
    assert!(seen["processed_at"].is_string());
    let again = format!("{path}?status=queued");
    let again = alice.call(Method::DELETE, &again).send().await;
    again.expect_problem(409, "not_queued");
    let later = Timestamp::now() + Duration::from_secs(5);
    assert_eq!(herald.store.claim(9, LEASE, later).await.unwrap(), []);
}

#[tokio::test]
async fn a_message_that_has_ended_is_deleted_by_its_owner_alone_and_never_by_who_cancels() {
    let herald = Herald::start().await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let path = send(&alice).await;
    let later = Timestamp::now() + Duration::from_secs(5);
    let jobs = herald.store.claim(1, LEASE, later).await.unwrap();
    let result = "done".to_owned();
    let outcome = herald_store::Outcome::Processed { result };
    let finished = herald.store.finish(&jobs[0], outcome, later).await;
    assert!(finished.unwrap().is_some());

    let delete = async |who: &Browser<'_>, query: &str| {
        let call = who.call(Method::DELETE, &format!("{path}{query}"));
        call.send().await
    };
    let cancel = delete(&alice, "?status=queued").await;
    let problem = cancel.expect_problem(409, "not_queued").json;
    assert_eq!(
        problem["detail"],
        "The message is not queued; it is processed."
    );
    let other = delete(&alice, "?status=dead").await;
    let problem = other.expect_problem(409, "wrong_status").json;
    assert_eq!(
        problem["detail"],
        "The message is not dead; it is processed."
    );
    delete(&alice, "?status=nothing")
        .await
        .expect_problem(400, "bad_request");
    for query in ["", "?status=queued", "?status=processed"] {
        delete(&bob, query).await.expect_problem(404, "not_found");
    }
    alice.get(&path).send().await.expect(200);

    delete(&alice, "?status=processed").await.expect(204);
    alice
        .get(&path)
        .send()
        .await
        .expect_problem(404, "not_found");
    delete(&alice, "").await.expect_problem(404, "not_found");
    let inbox = alice.get("/api/v1/notifications").send().await.expect(200);
    assert_eq!(inbox.json["items"][0]["seq"], 1);
    assert_eq!(inbox.json["items"][0]["message"]["deleted"], true);
    assert_eq!(
        inbox.json["items"][0]["message"]["body"],
        serde_json::Value::Null
    );
}

#[tokio::test]
async fn a_message_that_a_worker_has_is_not_cancelled() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let path = send(&alice).await;
    let later = Timestamp::now() + Duration::from_secs(5);
    let jobs = herald.store.claim(1, LEASE, later).await.unwrap();
    let cancel = alice.call(Method::DELETE, &path).send().await;
    let problem = cancel.expect_problem(409, "not_queued").json;
    assert_eq!(
        problem["detail"],
        "The message is not queued; it is processing."
    );
    // Between two attempts it is.
    let (error, store) = ("timed out".to_owned(), &herald.store);
    assert!(
        store
            .retry_later(&jobs[0], error, later, later)
            .await
            .unwrap()
    );
    alice.call(Method::DELETE, &path).send().await.expect(204);
}

#[tokio::test]
async fn failed_attempts_are_listed_one_by_one() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let path = send(&alice).await;
    let mut expected = vec![];
    for attempt in 1..=2 {
        let now = Timestamp::now() + Duration::from_secs(5 * attempt);
        let jobs = herald.store.claim(1, LEASE, now).await.unwrap();
        let error = format!("no {attempt}");
        let store = &herald.store;
        let failed = store.retry_later(&jobs[0], error.clone(), now, now).await;
        assert!(failed.unwrap());
        expected.push(json!({"attempt": attempt, "error": error, "failed_at": now.to_string()}));
    }
    let seen = alice.get(&path).send().await.expect(200).json;
    assert_eq!(seen["failed_attempts"], Value::from(expected));
    assert_eq!(seen["error"], "no 2");
    // A list does without.
    let list = alice.get("/api/v1/messages").send().await.expect(200).json;
    assert_eq!(list["items"][0].get("failed_attempts"), None);
    let id = MessageId::from_string(path.rsplit('/').next().unwrap());
    assert_eq!(
        herald
            .store
            .failed_attempts(&id, 10)
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

#[tokio::test]
async fn a_message_says_that_attempts_before_the_last_hundred_failed() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let path = send(&alice).await;
    for attempt in 1..=101 {
        let seen = alice.get(&path).send().await.expect(200).json;
        assert_eq!(seen["more_failed_attempts"], false, "before {attempt}");
        let now = Timestamp::now() + Duration::from_secs(5 * attempt);
        let jobs = herald.store.claim(1, LEASE, now).await.unwrap();
        let store = &herald.store;
        let failed = store.retry_later(&jobs[0], "no".into(), now, now).await;
        assert!(failed.unwrap());
    }
    let seen = alice.get(&path).send().await.expect(200).json;
    assert_eq!(seen["more_failed_attempts"], true);
    let failed = seen["failed_attempts"].as_array().unwrap();
    assert_eq!((failed.len(), &failed[0]["attempt"]), (100, &json!(2)));
}
