use poem::http::Method;
use serde_json::json;

use crate::client::{Answer, Browser, Call, Herald, PASSWORD};

const PATH: &str = "/api/v1/auth/password";
const NEW: &str = "battery staple";

async fn put(call: Call<'_>, current: &str, new: &str) -> Answer {
    call.json(json!({"current": current, "new": new}))
        .send()
        .await
}

async fn change(browser: &Browser<'_>, current: &str, new: &str) -> Answer {
    put(browser.call(Method::PUT, PATH), current, new).await
}

#[tokio::test]
async fn a_new_password_ends_the_other_browser_sessions_and_no_token() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let other = herald.sign_in("alice").await;
    let token = alice
        .post("/api/v1/tokens")
        .json(json!({"name": "script", "scopes": ["api"]}));
    let token = token.send().await.expect(201).json;
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());

    let changed = change(&alice, PASSWORD, NEW).await.expect(204);
    assert_eq!(changed.text, "");
    let session = |browser: &Browser<'_>| {
        let cookie = browser.cookie.clone();
        let call = herald.get("/api/v1/auth/session").header("cookie", &cookie);
        async { call.send().await }
    };
    session(&alice).await.expect(200);
    let ended = session(&other).await;
    ended.expect_problem(401, "unauthenticated");
    let call = herald
        .get("/api/v1/messages")
        .header("authorization", &bearer);
    call.send().await.expect(200);
    herald.login("alice", PASSWORD).await.expect(401);
    herald.login("alice", NEW).await.expect(200);

    // A token may ask for it, too; then no session stays.
    let call = herald
        .call(Method::PUT, PATH)
        .header("authorization", &bearer);
    put(call, NEW, PASSWORD).await.expect(204);
    let ended = session(&alice).await;
    ended.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn only_who_knows_the_password_changes_it() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let nobody = herald.call(Method::PUT, PATH);
    let nobody = put(nobody, PASSWORD, NEW).await;
    nobody.expect_problem(401, "unauthenticated");
    let without = herald.call(Method::PUT, PATH);
    let without = without.header("cookie", &alice.cookie);
    let without = put(without, PASSWORD, NEW).await;
    without.expect_problem(403, "csrf");
    for _ in 0..10 {
        let wrong = change(&alice, "wrong horse", NEW).await;
        wrong.expect_problem(401, "invalid_credentials");
    }
    let throttled = change(&alice, PASSWORD, NEW).await;
    let throttled = throttled.expect_problem(429, "too_many_attempts");
    assert!(throttled.header("retry-after").is_some());
    let unchanged = herald.accounts.verify("alice", PASSWORD).await;
    assert!(unchanged.unwrap().is_some());
}

#[tokio::test]
async fn what_a_visitor_at_the_same_address_guesses_does_not_stop_who_is_signed_in() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for _ in 0..10 {
        herald.login("alice", "wrong horse").await.expect(401);
    }
    let locked_out = herald.login("alice", PASSWORD).await;
    locked_out.expect_problem(429, "too_many_attempts");
    change(&alice, PASSWORD, NEW).await.expect(204);
}

#[tokio::test]
async fn a_password_that_cannot_be_is_refused() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    for new in ["short", "hrld_horse", &"x".repeat(1025)] {
        let refused = change(&alice, PASSWORD, new).await;
        refused.expect_problem(422, "invalid");
    }
    let call = alice.call(Method::PUT, PATH).json(json!({"new": NEW}));
    call.send().await.expect_problem(400, "bad_request");
}
