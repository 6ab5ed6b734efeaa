//! Everyone's messages.

use std::time::Duration;

use herald_store::{Outcome, Timestamp};
use serde_json::{Value, json};

use crate::client::{Browser, Herald};

const ALL: &str = "/api/v1/admin/messages";

async fn send(browser: &Browser<'_>, body: &str) -> String {
    let call = browser.post("/api/v1/messages").json(json!({"body": body}));
    let sent = call.send().await.expect(202).json;
    sent["id"].as_str().unwrap().to_owned()
}

fn bodies(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|m| m["body"].as_str().unwrap()).collect()
}

/// Lets all that is queued die.
async fn die(herald: &Herald) {
    let now = Timestamp::now() + Duration::from_secs(5);
    let lease = Duration::from_secs(30);
    for job in herald.store.claim(100, lease, now).await.unwrap() {
        let error = "no".to_owned();
        let died = herald.store.finish(&job, Outcome::Dead { error }, now);
        assert!(died.await.unwrap().is_some());
    }
}

#[tokio::test]
async fn everyones_messages_are_listed_with_whose_they_are() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    send(&alice, "a1").await;
    send(&bob, "b1").await;
    die(&herald).await;
    send(&alice, "a2").await;
    let get = async |query: &str| admin.get(&format!("{ALL}{query}")).send().await;

    let all = get("").await.expect(200).json;
    assert_eq!(bodies(&all), ["a2", "b1", "a1"]);
    assert_eq!(all["items"][1]["username"], "bob");
    assert_eq!(all["next"], Value::Null);
    let dead = get("?status=dead&limit=1").await.expect(200).json;
    let next = dead["next"].as_str().unwrap();
    let rest = get(&format!("?status=dead&limit=1&before={next}")).await;
    let rest = rest.expect(200).json;
    assert_eq!([bodies(&dead), bodies(&rest)].concat(), ["b1", "a1"]);
    assert_eq!(rest["next"], Value::Null);
    let of_alice = get("?user=alice").await.expect(200).json;
    assert_eq!(bodies(&of_alice), ["a2", "a1"]);
    let both = get("?user=alice&status=queued").await.expect(200).json;
    assert_eq!(bodies(&both), ["a2"]);
    let page = get("?limit=2").await.expect(200).json;
    let next = page["next"].as_str().unwrap();
    let page = get(&format!("?limit=2&before={next}"))
        .await
        .expect(200)
        .json;
    assert_eq!(bodies(&page), ["a1"]);

    get("?user=nobody").await.expect_problem(404, "not_found");
    get("?user=No.name").await.expect_problem(404, "not_found");
    get("?user=No%20name")
        .await
        .expect_problem(400, "bad_request");
    get("?before=x.y").await.expect_problem(422, "invalid");
    get("?status=lost").await.expect_problem(400, "bad_request");
    get("?limit=201").await.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn a_dead_message_is_retried_and_no_other() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let alice = herald.browser("alice").await;
    let id = send(&alice, "hello").await;
    let path = format!("{ALL}/{id}/retry");
    let retry = async || admin.post(&path).send().await;
    retry().await.expect_problem(409, "not_dead");
    die(&herald).await;
    let retried = retry().await.expect(202).json;
    assert_eq!(retried["id"], id);
    assert_eq!(retried["status"], "queued");
    assert_eq!(retried["username"], "alice");
    assert_eq!(retried["processed_at"], Value::Null);
    retry().await.expect_problem(409, "not_dead");
    let missing = admin.post(&format!("{ALL}/nothing/retry")).send().await;
    missing.expect_problem(404, "not_found");
}

#[tokio::test]
async fn dead_messages_are_retried_by_filter_in_bounded_calls() {
    let herald = Herald::start().await;
    let admin = herald.admin().await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    for n in 0..90 {
        send(&alice, &n.to_string()).await;
    }
    let of_bob = send(&bob, "b").await;
    while herald.store.counts().await.unwrap().dead < 91 {
        die(&herald).await;
    }
    let call = async |body: Value| {
        let call = admin.post(&format!("{ALL}/retry")).json(body);
        call.send().await
    };
    for unknown in ["nobody", "No name"] {
        let refused = call(json!({"user": unknown})).await;
        refused.expect_problem(404, "not_found");
    }
    for body in [
        json!({"from": "yesterday"}),
        json!({"to": "2026-11-22"}),
        json!({"after": "x"}),
    ] {
        call(body).await.expect_problem(422, "invalid");
    }
    let none = call(json!({"to": "2000-01-01T00:00:00Z"}))
        .await
        .expect(200);
    assert_eq!(none.json, json!({"retried": 0, "next": null}));
    let one = call(json!({"user": "bob", "from": "2000-01-01T00:00:00Z"})).await;
    assert_eq!(one.expect(200).json["retried"], 1);
    let message = bob.get(&format!("/api/v1/messages/{of_bob}")).send().await;
    assert_eq!(message.expect(200).json["status"], "queued");

    let (mut retried, mut body) = (0, json!({}));
    loop {
        let step = call(body).await.expect(200).json;
        retried += step["retried"].as_u64().unwrap();
        if step["next"].is_null() {
            break;
        }
        body = json!({"after": step["next"]});
    }
    assert_eq!(retried, 90);
    let audit = admin.get("/api/v1/admin/audit?action=message.retried");
    let audit = audit.send().await.expect(200).json;
    let entries = audit["items"].as_array().unwrap().iter();
    let details: Vec<_> = entries
        .map(|entry| entry["detail"].as_str().unwrap())
        .collect();
    assert_eq!(
        details,
        ["dead messages of everyone", "dead messages of bob"]
    );
    let forbidden = alice.post(&format!("{ALL}/retry")).json(json!({}));
    forbidden.send().await.expect_problem(403, "forbidden");
}
