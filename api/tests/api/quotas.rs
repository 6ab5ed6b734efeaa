//! How much users may send, and how many requests.

use std::time::{Duration, Instant};

use herald_api::{Patience, SendError, SendLimits};
use herald_store::StoreOptions;
use poem::http::Method;
use serde_json::json;

use crate::client::{Answer, Browser, Herald};

fn limits(per_minute: u32) -> SendLimits {
    SendLimits {
        per_minute,
        ..SendLimits::default()
    }
}

async fn send(browser: &Browser<'_>) -> Answer {
    let call = browser.post("/api/v1/messages").json(json!({"body": "x"}));
    call.header("idempotency-key", "k").send().await
}

#[tokio::test]
async fn who_sends_more_than_a_minute_allows_has_to_wait_and_others_do_not() {
    let waiting = StoreOptions::DEFAULT_WAITING_MESSAGES;
    let herald = Herald::start_limited(limits(3), waiting).await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    // A repeat counts.
    for _ in 0..3 {
        send(&alice).await.expect(202);
    }
    let refused = send(&alice).await.expect_problem(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    send(&bob).await.expect(202);

    // MQTT 5 goes through the same door.
    let alice = herald.store.user_by_name(&"alice".parse().unwrap()).await;
    let alice = alice.unwrap().unwrap();
    let sent = herald
        .sends
        .send(&alice.id, "x".into(), None, Patience::Turn);
    assert!(matches!(sent.await, Err(SendError::RateLimited { .. })));
}

#[tokio::test]
async fn who_cannot_be_refused_waits_until_they_may_send() {
    let waiting = StoreOptions::DEFAULT_WAITING_MESSAGES;
    let herald = Herald::start_limited(limits(600), waiting).await;
    let alice = herald.user("alice").await;
    let since = Instant::now();
    for _ in 0..605 {
        let sent = herald
            .sends
            .send(&alice.id, "x".into(), None, Patience::Quota);
        sent.await.unwrap();
    }
    assert!(since.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn who_has_too_many_waiting_is_refused_or_waits() {
    let herald = Herald::start_limited(limits(0), 2).await;
    let alice = herald.browser("alice").await;
    let user = herald.store.user_by_name(&"alice".parse().unwrap()).await;
    let user = user.unwrap().unwrap().id;
    let send = async |patience| herald.sends.send(&user, "x".into(), None, patience).await;
    let first = send(Patience::None).await.unwrap();
    send(Patience::Turn).await.unwrap();
    let call = alice.post("/api/v1/messages").json(json!({"body": "x"}));
    let refused = call.send().await;
    refused.expect_problem(429, "too_many_waiting");
    let refused = send(Patience::Turn).await;
    assert!(matches!(refused, Err(SendError::TooManyWaiting)));

    // The attempt of the one that waits comes before that of the other, and finds as little room.
    let made_room = async {
        let refused = send(Patience::Turn).await;
        assert!(matches!(refused, Err(SendError::TooManyWaiting)));
        let now = herald_store::Timestamp::now();
        herald
            .store
            .remove_message(&user, &first.id, None, now)
            .await
            .unwrap();
    };
    let (sent, ()) = tokio::join!(send(Patience::Quota), made_room);
    sent.unwrap();
}

#[tokio::test]
async fn who_has_as_much_stored_as_may_be_is_refused_or_waits() {
    // One message that is processed, and a little.
    let herald = Herald::start_small(1000).await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let user = herald.store.user_by_name(&"alice".parse().unwrap()).await;
    let user = user.unwrap().unwrap().id;
    let send_by = async |patience| herald.sends.send(&user, "x".into(), None, patience).await;
    let first = send_by(Patience::None).await.unwrap();
    let refused = send(&alice).await;
    let refused = refused.expect_problem(429, "too_much_stored");
    assert!(refused.header("retry-after").is_some());
    let detail = refused.json["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("1000 bytes; delete some"), "{detail}");
    let refused = send_by(Patience::Turn).await;
    assert!(matches!(
        refused,
        Err(SendError::TooMuchStored { limit: 1000 })
    ));
    send(&bob).await.expect(202);

    // Users see what they use and what they may use, administrators what is used.
    let session = alice.get("/api/v1/auth/session").send().await.expect(200);
    let usage = json!({"stored_bytes": 513, "stored_bytes_limit": 1000});
    assert_eq!(session.json["usage"], usage);
    let admin = herald.admin().await;
    let list = admin.get("/api/v1/admin/users").send().await.expect(200);
    let accounts = list.json["items"].as_array().unwrap().iter();
    let stored: Vec<_> = accounts
        .map(|account| (&account["username"], &account["stored_bytes"]))
        .collect();
    assert!(
        stored.contains(&(&json!("alice"), &json!(513))),
        "{stored:?}"
    );
    let one = admin.get("/api/v1/admin/users/alice").send().await;
    assert_eq!(one.expect(200).json["stored_bytes"], 513);

    let made_room = async {
        let refused = send_by(Patience::Turn).await;
        assert!(matches!(refused, Err(SendError::TooMuchStored { .. })));
        let now = herald_store::Timestamp::now();
        herald
            .store
            .remove_message(&user, &first.id, None, now)
            .await
            .unwrap();
        let path = format!("/api/v1/messages/{}", first.id);
        alice.call(Method::DELETE, &path).send().await.expect(204);
    };
    let (sent, ()) = tokio::join!(send_by(Patience::Quota), made_room);
    sent.unwrap();
}

#[tokio::test]
async fn a_user_who_asks_too_often_has_to_wait_and_others_do_not() {
    let herald = Herald::start_with(|options| options.requests_per_minute = 3).await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let list = async |browser: &Browser<'_>| browser.get("/api/v1/messages").send().await;
    for _ in 0..3 {
        list(&alice).await.expect(200);
    }
    let refused = list(&alice).await.expect_problem(429, "rate_limited");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    list(&bob).await.expect(200);
    // Whoever is nobody is no user.
    let anonymous = herald.get("/api/v1/messages").send().await;
    anonymous.expect_problem(401, "unauthenticated");
    herald.get("/healthz").send().await.expect(200);
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_told_to_wait_before_it_signs_in() {
    let herald = Herald::start_with(|options| options.requests_per_minute_per_address = 3).await;
    for path in ["/api/v1/messages", "/api/v1/nothing"] {
        herald.get(path).send().await;
    }
    // An opening of /mqtt counts, whatever becomes of it.
    let mqtt = herald.get("/mqtt").send().await;
    mqtt.expect_problem(400, "bad_request");
    for path in ["/api/v1/messages", "/mqtt"] {
        let refused = herald.get(path).send().await;
        let refused = refused.expect_problem(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
    let login = herald.login("alice", "wrong").await;
    login.expect_problem(429, "rate_limited");
    for path in ["/healthz", "/readyz", "/docs", "/api/openapi.json"] {
        herald.get(path).send().await.expect(200);
    }
}

#[tokio::test]
async fn without_limits_any_number_of_requests_is_answered() {
    let herald = Herald::start_with(|options| {
        options.requests_per_minute = 0;
        options.requests_per_minute_per_address = 0;
    });
    let herald = herald.await;
    for _ in 0..100 {
        let anonymous = herald.get("/api/v1/messages").send().await;
        anonymous.expect_problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_user_makes_only_so_many_tokens_a_minute_and_others_do_not_wait() {
    let herald = Herald::start().await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let make = async |who: &crate::client::Browser<'_>| {
        let call = who.post("/api/v1/tokens");
        let new = json!({"name": "t", "scopes": ["api"]});
        call.json(new).send().await
    };
    let mut made = 0;
    let refused = loop {
        let answer = make(&alice).await;
        if answer.status != 201 {
            break answer;
        }
        made += 1;
        assert!(made < 1000);
    };
    refused.expect_problem(429, "rate_limited");
    make(&bob).await.expect(201);
}

#[tokio::test]
async fn very_many_sends_of_one_user_at_once_do_not_hold_up_those_of_another() {
    let waiting = StoreOptions::DEFAULT_WAITING_MESSAGES;
    let herald = Herald::start_limited(limits(0), waiting).await;
    let (alice, bob) = (herald.user("alice").await, herald.user("bob").await);
    let send = async |user: &herald_store::UserId| {
        let sent = herald.sends.send(user, "x".into(), None, Patience::None);
        sent.await.unwrap();
    };
    let sent = std::cell::Cell::new(0);
    let one_of_many = async || {
        send(&alice.id).await;
        sent.set(sent.get() + 1);
    };
    let flood = futures_util::future::join_all((0..3000).map(|_| one_of_many()));
    let others = async {
        for _ in 0..20 {
            send(&bob.id).await;
        }
        sent.get()
    };
    let (_, before) = tokio::join!(flood, others);
    assert!(before < 1500, "{before} stood before 20 of another");
}

#[tokio::test]
async fn a_user_who_sends_more_bytes_than_a_minute_allows_is_told_so_and_another_is_not() {
    let limits = SendLimits {
        bytes_per_minute: 10_000,
        ..SendLimits::default()
    };
    let herald = Herald::start_limited(limits, StoreOptions::DEFAULT_WAITING_MESSAGES).await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let long = async |browser: &Browser<'_>| {
        let body = json!({"body": "x".repeat(6_000)});
        browser.post("/api/v1/messages").json(body).send().await
    };
    long(&alice).await.expect(202);
    let refused = long(&alice).await.expect_problem(429, "rate_limited");
    assert!(refused.header("retry-after").is_some());
    long(&bob).await.expect(202);
    // What is short is still taken.
    send(&alice).await.expect(202);
}
