//! The administrator's delay.

use herald_tests::{Herald, Http, Version, password, raw::Raw};
use serde_json::{Value, json};

use crate::notified::{inbox, notified, parse, taken};

/// Milliseconds since midnight of `2026-11-22T10:00:01.003Z`.
fn millis(time: &Value) -> i64 {
    let time = time.as_str().unwrap();
    let number = |from, to| time[from..to].parse::<i64>().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    ((number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1000 + number(20, 23)
}

/// From creation until the message is due, in ms.
fn waits(message: &Value) -> i64 {
    (millis(&message["run_at"]) - millis(&message["created_at"])).rem_euclid(24 * 60 * 60 * 1000)
}

async fn send(http: &Http) -> Value {
    http.post("/messages", &json!({"body": "x"}))
        .await
        .expect(202)
}

#[tokio::test]
async fn a_fixed_delay_takes_effect_on_the_next_send() {
    let herald = Herald::start().await;
    let admin = herald.http("admin").await;
    let default = admin.get("/admin/delay").await.expect(200);
    assert_eq!(default, json!({"mode": "fixed", "ms": 1000}));
    let first = send(&admin).await;
    assert_eq!(waits(&first), 1000);
    for ms in [350, 0] {
        let delay = json!({"mode": "fixed", "ms": ms});
        admin.set_delay(delay.clone()).await;
        assert_eq!(admin.get("/admin/delay").await.expect(200), delay);
        let sent = send(&admin).await;
        assert_eq!(waits(&sent), ms);
        let message = admin.processed(sent["id"].as_str().unwrap()).await;
        assert!(
            message["processed_at"].as_str() >= message["run_at"].as_str(),
            "{message}"
        );
    }
    // The first was not moved.
    let first = admin.processed(first["id"].as_str().unwrap()).await;
    assert_eq!(waits(&first), 1000);
    assert!(
        first["processed_at"].as_str() >= first["run_at"].as_str(),
        "{first}"
    );
}

#[tokio::test]
async fn a_uniform_delay_stays_within_its_bounds_and_varies() {
    let herald = Herald::start().await;
    let admin = herald.http("admin").await;
    let delay = json!({"mode": "uniform", "min_ms": 100_000, "max_ms": 900_000});
    admin.set_delay(delay.clone()).await;
    assert_eq!(admin.get("/admin/delay").await.expect(200), delay);
    let mut all = vec![];
    for _ in 0..20 {
        all.push(waits(&send(&admin).await));
    }
    assert!(
        all.iter().all(|ms| (100_000..=900_000).contains(ms)),
        "{all:?}"
    );
    // The same one twenty times happens once in 10^112.
    assert!(all.iter().any(|ms| *ms != all[0]), "{all:?}");
}

#[tokio::test]
async fn a_new_delay_can_apply_to_what_waits() {
    let herald = Herald::start().await;
    let admin = herald.http("admin").await;
    admin
        .set_delay(json!({"mode": "fixed", "ms": 600_000}))
        .await;
    let sent = send(&admin).await;
    let now = json!({"mode": "fixed", "ms": 0, "apply_to_queued": true});
    admin.set_delay(now).await;
    admin.processed(sent["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn only_administrators_may_see_or_set_the_delay() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let token = Http::bearer(&herald, &alice.token(&["api"]).await);
    let delay = json!({"mode": "fixed", "ms": 5000});
    for user in [&alice, &token] {
        user.put("/admin/delay", &delay)
            .await
            .expect_problem(403, "forbidden");
        user.get("/admin/delay")
            .await
            .expect_problem(403, "forbidden");
    }
    let nobody = Http::anonymous(&herald);
    let refused = nobody.put("/admin/delay", &delay).await;
    refused.expect_problem(401, "unauthenticated");
    assert_eq!(waits(&send(&alice).await), 0);
}

#[tokio::test]
async fn a_delay_that_makes_no_sense_changes_nothing() {
    let herald = Herald::start().await;
    let admin = herald.http("admin").await;
    for bad in [
        json!({"mode": "fixed"}),
        json!({"mode": "fixed", "ms": -1}),
        json!({"mode": "fixed", "ms": "soon"}),
        json!({"mode": "fixed", "ms": 31_u64 * 24 * 60 * 60 * 1000}),
        json!({"mode": "uniform", "min_ms": 10, "max_ms": 5}),
        json!({"mode": "gaussian", "ms": 5}),
        json!({}),
    ] {
        let answer = admin.put("/admin/delay", &bad).await;
        assert!(
            [400, 422].contains(&answer.status.as_u16()),
            "{bad}: {answer:?}"
        );
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    let delay = admin.get("/admin/delay").await.expect(200);
    assert_eq!(delay, json!({"mode": "fixed", "ms": 1000}));
}

#[tokio::test]
async fn a_thousand_waiting_messages_delay_nobody_elses() {
    const WAITING: usize = 1000;
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let admin = herald.http("admin").await;
    let mut bob = Raw::connect(&herald, Version::V311, "bob").await;
    assert_eq!(bob.subscribe(&inbox("bob")).await, 1);

    // Longer than the test may take, so that none is due by itself.
    admin
        .set_delay(json!({"mode": "fixed", "ms": 600_000}))
        .await;
    let mut alice = Raw::connect(&herald, Version::V5, "alice").await;
    // As many at a time as the broker takes.
    for batch in 0..WAITING / 20 {
        for n in 0..20 {
            let body = format!("{}", batch * 20 + n);
            let payload = json!({"body": body}).to_string();
            alice.publish_only("users/alice/messages", &payload).await;
        }
        for _ in 0..20 {
            alice.expect_puback().await;
        }
    }

    admin.set_delay(json!({"mode": "fixed", "ms": 0})).await;
    let bob_http = herald.http("bob").await;
    for (seq, body) in (1..).zip(["one", "two", "three"]) {
        bob_http.send_message(body).await;
        assert_eq!(taken(&mut bob, 1).await, [notified(seq, body)]);
    }
    let alice_http = Http::sign_in(&herald, "alice", &password("alice")).await;
    let done = alice_http
        .get("/messages?status=processed")
        .await
        .expect(200);
    assert_eq!(done["items"], json!([]), "they still wait");

    // And none of them was lost.
    assert_eq!(alice.subscribe(&inbox("alice")).await, 1);
    admin
        .set_delay(json!({"mode": "fixed", "ms": 0, "apply_to_queued": true}))
        .await;
    let mut bodies = vec![];
    for n in 1..=WAITING {
        let (seq, body) = parse(&alice.take().await.payload);
        assert_eq!(seq, i64::try_from(n).unwrap());
        bodies.push(body.parse::<usize>().unwrap());
    }
    bodies.sort_unstable();
    assert_eq!(bodies, (0..WAITING).collect::<Vec<_>>());
}
