//! What users may send.

use std::time::{Duration, Instant};

use herald_api::{Patience, SendError, SendLimits};
use herald_store::StoreOptions;
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
async fn who_sends_more_than_a_minute_allows_is_told_to_wait_and_others_are_not() {
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
async fn who_cannot_be_told_waits_until_they_may_send() {
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
async fn who_has_too_many_waiting_is_told_or_held_back() {
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
        herald.store.cancel(&user, &first.id, now).await.unwrap();
    };
    let (sent, ()) = tokio::join!(send(Patience::Quota), made_room);
    sent.unwrap();
}
