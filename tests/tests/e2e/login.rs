//! Who may connect.

use herald_tests::{
    Herald, Http, SharedServer, Version, password,
    raw::{Connect, Raw},
};
use rstest::rstest;
use serde_json::json;

static SERVER: SharedServer = SharedServer::new();

#[rstest]
#[tokio::test]
async fn wrong_credentials_are_refused_alike(
    #[values(Version::V311, Version::V5)] version: Version,
) {
    let herald = SERVER.with_users(&["alice", "bob"]).await;
    let alice = herald.http("alice").await;
    let token = alice.token(&["mqtt"]).await;
    let api_token = alice.token(&["api"]).await;
    for (what, connect) in [
        ("wrong password", Connect::of("alice").password("wrong")),
        ("no password", Connect::of("alice").password("")),
        (
            "another's password",
            Connect::of("alice").password(&password(&herald.name("bob"))),
        ),
        ("unknown user", Connect::of("nobody")),
        (
            "no user",
            Connect::of("").password(&password(&herald.name("alice"))),
        ),
        (
            "name in capitals",
            Connect::of("Alice").password(&password(&herald.name("alice"))),
        ),
        ("another's token", Connect::of("bob").password(&token)),
        (
            "token for the API",
            Connect::of("alice").password(&api_token),
        ),
        (
            "no such token",
            Connect::of("alice").password(&token.to_uppercase()),
        ),
    ] {
        let code = Raw::connect_code(&herald, version, &connect).await;
        assert_eq!(code, version.connect_refused(), "{version:?}: {what}");
    }
    let connect = Connect::of("alice").password(&token);
    let mut raw = Raw::connect_as(&herald, version, &connect).await;
    assert_eq!(raw.subscribe(&herald.inbox("alice")).await, 1);
}

#[rstest]
#[tokio::test]
async fn a_refused_connection_is_closed(#[values(Version::V311, Version::V5)] version: Version) {
    let herald = SERVER.with_users(&["admin"]).await;
    let mut raw = Raw::open(&herald, version).await;
    let connect = Connect::of("admin").password("wrong");
    assert_eq!(raw.login(&connect).await, version.connect_refused());
    assert_eq!(raw.packet().await, None);
}

#[tokio::test]
async fn a_revoked_token_does_not_connect() {
    let herald = SERVER.with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let token = json!({"name": "phone", "scopes": ["mqtt"], "expires_in_s": 3600});
    let token = alice.post("/tokens", &token).await.expect(201);
    let connect = Connect::of("alice").password(token["token"].as_str().unwrap());
    assert_eq!(Raw::connect_code(&herald, Version::V5, &connect).await, 0);
    let path = format!("/tokens/{}", token["id"].as_str().unwrap());
    alice.delete(&path).await.expect(204);
    assert_eq!(
        Raw::connect_code(&herald, Version::V5, &connect).await,
        0x87
    );
}

// On a server of its own, as the other tests have the same address.
#[tokio::test]
async fn guessing_a_password_is_slowed_down_and_does_not_lock_the_owner_out() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let alice = herald.http("alice").await;
    let http = Http::anonymous(&herald);
    let guess = json!({"username": "alice", "password": "a wrong guess"});
    let mut refused = http.post("/auth/login", &guess).await;
    for _ in 0..50 {
        if refused.status == 429 {
            break;
        }
        refused.expect_problem(401, "invalid_credentials");
        refused = http.post("/auth/login", &guess).await;
    }
    refused.expect_problem(429, "too_many_attempts");
    assert!(refused.headers.contains_key("retry-after"));
    // Who is signed in stays so, and others sign in.
    alice.get("/auth/session").await.expect(200);
    herald.http("bob").await;
}

#[tokio::test]
async fn who_guesses_at_ones_own_address_keeps_a_new_browser_out_and_not_the_known_one() {
    let mut herald = Herald::with_users(&["alice"]).await;
    let login = json!({"username": "alice", "password": password("alice")});
    // Each has a cookie jar of its own; all have one address.
    let owner = Http::anonymous(&herald);
    owner.post("/auth/login", &login).await.expect(200);
    // What is known of a browser does not live in the memory of the server.
    herald.restart().await;
    let (owner, stranger) = (owner.at(&herald), Http::anonymous(&herald));
    let guess = json!({"username": "alice", "password": "a wrong guess"});
    for _ in 0..10 {
        let refused = stranger.post("/auth/login", &guess).await;
        refused.expect_problem(401, "invalid_credentials");
    }
    for new in [&stranger, &Http::anonymous(&herald)] {
        let refused = new.post("/auth/login", &login).await;
        refused.expect_problem(429, "too_many_attempts");
    }
    owner.post("/auth/login", &login).await.expect(200);
}
