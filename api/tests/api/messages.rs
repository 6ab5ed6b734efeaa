use std::time::Duration;

use herald_store::{Outcome, Timestamp};
use serde_json::{Value, json};

use crate::client::{Answer, Browser, Call, Herald};

async fn send(browser: &Browser<'_>, body: &str) -> Answer {
    let call = browser.post("/api/v1/messages").json(json!({"body": body}));
    call.send().await
}

fn keyed<'a>(browser: &Browser<'a>, body: &str) -> Call<'a> {
    browser
        .post("/api/v1/messages")
        .header("idempotency-key", "k-1")
        .json(json!({"body": body}))
}

#[tokio::test]
async fn a_sent_message_is_queued_and_can_be_seen() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let sent = send(&alice, "hello").await.expect(202).json;
    assert_eq!(sent["status"], "queued");
    assert_eq!(sent.as_object().unwrap().len(), 4);

    let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
    let seen = alice.get(&path).send().await.expect(200);
    assert_eq!(
        seen.json,
        json!({
            "id": sent["id"], "body": "hello", "status": "queued", "result": null, "error": null,
            "attempts": 0, "created_at": sent["created_at"], "run_at": sent["run_at"],
            "processed_at": null, "delivered_at": null, "failed_attempts": [],
            "more_failed_attempts": false,
        })
    );
}

#[tokio::test]
async fn a_processed_message_shows_its_result() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let id = send(&alice, "hello").await.expect(202).json["id"].clone();
    let later = Timestamp::now() + Duration::from_secs(5);
    let jobs = herald
        .store
        .claim(1, Duration::from_secs(30), later)
        .await
        .unwrap();
    let outcome = Outcome::Processed {
        result: "HELLO".into(),
    };
    herald
        .store
        .finish(&jobs[0], outcome, later)
        .await
        .unwrap()
        .expect("finished");

    let path = format!("/api/v1/messages/{}", id.as_str().unwrap());
    let seen = alice.get(&path).send().await.expect(200).json;
    assert_eq!(seen["status"], "processed");
    assert_eq!(seen["result"], "HELLO");
    assert_eq!(seen["attempts"], 1);
    assert_eq!(seen["processed_at"], later.to_string());
}

#[tokio::test]
async fn another_users_message_does_not_exist() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    let sent = send(&alice, "hello").await.expect(202).json;
    let path = format!("/api/v1/messages/{}", sent["id"].as_str().unwrap());
    let foreign = bob.get(&path).send().await.expect_problem(404, "not_found");
    let missing = bob.get("/api/v1/messages/nothing").send().await;
    assert_eq!(foreign.text, missing.text);
    let list = bob.get("/api/v1/messages").send().await.expect(200);
    assert_eq!(list.json, json!({"items": [], "next": null}));
}

#[tokio::test]
async fn messages_are_listed_newest_first_page_by_page() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for n in 1..=3 {
        send(&alice, &n.to_string()).await.expect(202);
    }
    let bodies = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        let body = |item: &Value| item["body"].as_str().unwrap().to_owned();
        items.iter().map(body).collect()
    };
    let page = alice
        .get("/api/v1/messages?limit=2")
        .send()
        .await
        .expect(200);
    assert_eq!(bodies(&page.json), ["3", "2"]);
    let next = page.json["next"].as_str().unwrap();
    let path = format!("/api/v1/messages?limit=2&before={next}");
    let page = alice.get(&path).send().await.expect(200);
    assert_eq!(bodies(&page.json), ["1"]);
    assert_eq!(page.json["next"], Value::Null);

    let queued = alice.get("/api/v1/messages?status=queued").send().await;
    assert_eq!(bodies(&queued.expect(200).json).len(), 3);
    let dead = alice.get("/api/v1/messages?status=dead").send().await;
    assert_eq!(bodies(&dead.expect(200).json).len(), 0);
}

#[tokio::test]
async fn an_unreadable_list_parameter_is_refused() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for query in ["limit=0", "limit=201", "limit=x", "status=lost"] {
        let call = alice.get(&format!("/api/v1/messages?{query}"));
        call.send().await.expect_problem(400, "bad_request");
    }
    let call = alice.get("/api/v1/messages?limit=200");
    call.send().await.expect(200);
}

#[tokio::test]
async fn an_idempotency_key_returns_the_same_message_and_takes_no_other_body() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let bob = herald.browser("bob").await;
    let first = keyed(&alice, "hello").send().await.expect(202);
    let again = keyed(&alice, "hello").send().await.expect(202);
    assert_eq!(first.json, again.json);
    let other = keyed(&alice, "other").send().await;
    other.expect_problem(409, "idempotency_key_reused");
    let bobs = keyed(&bob, "other").send().await.expect(202);
    assert_ne!(bobs.json["id"], first.json["id"]);
}

#[tokio::test]
async fn an_idempotency_key_that_cannot_be_kept_is_refused() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for key in ["", "a b", "ключ", &"k".repeat(256)] {
        let call = alice
            .post("/api/v1/messages")
            .header("idempotency-key", key)
            .json(json!({"body": "hello"}));
        call.send().await.expect_problem(422, "invalid");
    }
}

#[tokio::test]
async fn two_idempotency_keys_are_none() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let call = keyed(&alice, "hello").another_header("idempotency-key", "k-2");
    call.send().await.expect_problem(422, "invalid");
}

#[tokio::test]
async fn a_body_must_be_text_of_the_right_size() {
    let herald = Herald::start_short(8).await;
    let alice = herald.browser("alice").await;
    send(&alice, "12345678").await.expect(202);
    send(&alice, "éééé").await.expect(202);
    send(&alice, "123456789")
        .await
        .expect_problem(413, "too_large");
    send(&alice, "ééééé").await.expect_problem(413, "too_large");
    send(&alice, "").await.expect_problem(422, "invalid");
    send(&alice, "a\0b").await.expect_problem(422, "invalid");
    for body in [json!(5), json!(true), json!(null), json!({}), json!(["x"])] {
        let call = alice.post("/api/v1/messages").json(json!({"body": body}));
        call.send().await.expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn the_longest_body_fits_however_it_is_escaped() {
    let herald = Herald::start_short(1000).await;
    let alice = herald.browser("alice").await;
    let escaped = format!(r#"{{"body": "{}"}}"#, "\\u0041".repeat(1000));
    let call = alice
        .post("/api/v1/messages")
        .header("content-type", "application/json")
        .body(escaped);
    call.send().await.expect(202);
}
