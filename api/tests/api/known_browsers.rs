//! Browsers that an account knows: what others guess does not lock the owner out.

use poem::http::Method;
use serde_json::json;

use crate::client::{Answer, Herald, PASSWORD};

const NAME: &str = "__Host-herald-device";
const NEW: &str = "battery staple";

/// `name=value` of the device's cookie that was set.
fn device(answer: &Answer) -> String {
    let cookie = answer.set_cookie(NAME).expect("a cookie of the device");
    cookie.split_once(';').unwrap().0.to_owned()
}

/// A sign-in by a browser that has these cookies. All tests come from one address.
async fn login(herald: &Herald, cookies: &str, name: &str, password: &str) -> Answer {
    let call = herald.post("/api/v1/auth/login").header("cookie", cookies);
    let login = json!({"username": name, "password": password});
    call.json(login).send().await
}

/// Signs in with a browser that nobody knows.
async fn first_login(herald: &Herald, name: &str, password: &str) -> String {
    device(&herald.login(name, password).await.expect(200))
}

/// Wrong passwords of somebody at the same address, until there is no more trying.
async fn lock_out(herald: &Herald, name: &str) {
    for _ in 0..10 {
        herald.login(name, "wrong horse").await.expect(401);
    }
    let refused = herald.login(name, PASSWORD).await;
    refused.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn the_cookie_is_only_this_hosts_over_tls_and_lasts_longer_than_a_session() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let answer = herald.login("alice", PASSWORD).await.expect(200);
    let (value, attributes) = answer.set_cookie(NAME).unwrap().split_once("; ").unwrap();
    let mut attributes: Vec<_> = attributes.split("; ").collect();
    attributes.sort_unstable();
    let expected = [
        "HttpOnly",
        "Max-Age=15552000",
        "Path=/",
        "SameSite=Strict",
        "Secure",
    ];
    assert_eq!(attributes, expected);
    assert_eq!(value.len(), NAME.len() + 1 + 75);
    // A sign-in that fails gives none.
    let wrong = herald.login("alice", "wrong horse").await.expect(401);
    assert_eq!(wrong.set_cookie(NAME), None);
    // Nor is it a session.
    let call = herald.get("/api/v1/auth/session").header("cookie", value);
    call.send().await.expect_problem(401, "unauthenticated");
}

#[tokio::test]
async fn who_guesses_at_the_same_address_locks_out_no_browser_that_signed_in_before() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    herald.user("mallory").await;
    let own = first_login(&herald, "alice", PASSWORD).await;
    let of_mallory = first_login(&herald, "mallory", PASSWORD).await;
    lock_out(&herald, "alice").await;
    let again = login(&herald, &own, "alice", PASSWORD).await.expect(200);
    login(&herald, &device(&again), "alice", PASSWORD)
        .await
        .expect(200);
    // What another account knows, or nobody does, helps nobody.
    let invented = format!("{NAME}={}", "A".repeat(75));
    for other in [of_mallory, invented] {
        let refused = login(&herald, &other, "alice", PASSWORD).await;
        refused.expect_problem(429, "too_many_attempts");
    }
}

#[tokio::test]
async fn a_stolen_cookie_gives_no_more_than_its_own_count() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let stolen = first_login(&herald, "alice", PASSWORD).await;
    let other = first_login(&herald, "alice", PASSWORD).await;
    for _ in 0..10 {
        let wrong = login(&herald, &stolen, "alice", "wrong horse").await;
        wrong.expect_problem(401, "invalid_credentials");
    }
    let refused = login(&herald, &stolen, "alice", PASSWORD).await;
    let refused = refused.expect_problem(429, "too_many_attempts");
    assert!(refused.header("retry-after").is_some());
    // It takes no tries from the owner's other browsers, nor from one that is new.
    login(&herald, &other, "alice", PASSWORD).await.expect(200);
    herald.login("alice", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn signing_in_again_gives_no_further_tries() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    let first = first_login(&herald, "alice", PASSWORD).await;
    let renewed = login(&herald, &first, "alice", PASSWORD).await.expect(200);
    for (n, cookie) in [first, device(&renewed)]
        .iter()
        .cycle()
        .take(10)
        .enumerate()
    {
        let wrong = login(&herald, cookie, "alice", "wrong horse").await;
        assert_eq!(wrong.status, 401, "try {n}");
    }
    let refused = login(&herald, &device(&renewed), "alice", PASSWORD).await;
    refused.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn a_new_password_ends_all_but_that_of_the_browser_that_set_it() {
    let herald = Herald::start().await;
    let root = herald.admin().await;
    let alice = herald.browser("alice").await;
    let own = first_login(&herald, "alice", PASSWORD).await;
    let other = first_login(&herald, "alice", PASSWORD).await;
    let cookies = format!("{}; {own}", alice.cookie);
    let change = json!({"current": PASSWORD, "new": NEW});
    let call = alice.call(Method::PUT, "/api/v1/auth/password");
    let changed = call.header("cookie", &cookies).json(change).send().await;
    let own = device(&changed.expect(204));
    lock_out(&herald, "alice").await;
    let refused = login(&herald, &other, "alice", NEW).await;
    refused.expect_problem(429, "too_many_attempts");
    login(&herald, &own, "alice", NEW).await.expect(200);

    let call = root.call(Method::PATCH, "/api/v1/admin/users/alice");
    call.json(json!({"password": PASSWORD}))
        .send()
        .await
        .expect(200);
    let refused = login(&herald, &own, "alice", PASSWORD).await;
    refused.expect_problem(429, "too_many_attempts");
}

#[tokio::test]
async fn a_program_that_changes_a_password_gets_no_cookie() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let program = herald.bearer(&alice.token(&["api"]).await);
    let change = json!({"current": PASSWORD, "new": NEW});
    let call = program.call(Method::PUT, "/api/v1/auth/password");
    let changed = call.json(change).send().await.expect(204);
    assert_eq!(changed.set_cookie(NAME), None);
}

#[tokio::test]
async fn one_browser_is_known_to_several_accounts() {
    let herald = Herald::start().await;
    herald.user("alice").await;
    herald.user("bob").await;
    let cookie = first_login(&herald, "alice", PASSWORD).await;
    let cookie = device(&login(&herald, &cookie, "bob", PASSWORD).await.expect(200));
    for name in ["alice", "bob"] {
        lock_out(&herald, name).await;
        login(&herald, &cookie, name, PASSWORD).await.expect(200);
    }
}
