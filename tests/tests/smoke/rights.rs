//! Whoever loses a right loses it at once, on connections that are open, too.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use herald_tests::{
    Herald, Http, Version, password,
    raw::{Connect, Raw},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::notified::{inbox, notified, taken};

/// A second is promised; a busy machine may take longer.
const SOON: Duration = Duration::from_secs(10);

const NOT_AUTHORIZED: Option<u8> = Some(0x87);
const NEW: &str = "another horse battery";

/// The code with which the broker ends the session.
async fn ended(raw: &mut Raw) -> Option<u8> {
    let ended = timeout(SOON, raw.ended()).await;
    ended.unwrap_or_else(|_| panic!("the session did not end within {SOON:?}"))
}

/// A session of `username` that was signed in by `password`, which may be a token.
async fn session(herald: &Herald, version: Version, username: &str, password: &str) -> Raw {
    // Each has a client id of its own, or it would take over another one.
    static SESSIONS: AtomicUsize = AtomicUsize::new(0);
    let id = SESSIONS.fetch_add(1, Ordering::Relaxed).to_string();
    let connect = Connect::of(username).client_id(&id).password(password);
    Raw::connect_as(herald, version, &connect).await
}

async fn by_password(herald: &Herald, username: &str) -> Raw {
    session(herald, Version::V5, username, &password(username)).await
}

/// Changes an account as an administrator.
async fn change(admin: &Http, username: &str, change: Value) {
    let path = format!("/admin/users/{username}");
    admin.patch(&path, &change).await.expect(200);
}

/// The code that answers a new CONNECT.
async fn connect_code(herald: &Herald, username: &str, password: &str) -> u8 {
    let connect = Connect::of(username).client_id("new").password(password);
    Raw::connect_code(herald, Version::V5, &connect).await
}

/// The session lives, and hears of what its user sends.
async fn lives(herald: &Herald, raw: &mut Raw, username: &str, seq: i64) {
    assert_eq!(raw.subscribe(&inbox(username)).await, 1);
    herald.http(username).await.send_message("still here").await;
    assert_eq!(taken(raw, 1).await, [notified(seq, "still here")]);
}

#[tokio::test]
async fn all_sessions_of_a_disabled_user_end() {
    let herald = Herald::with_users(&["alice", "bob"]).await;
    let token = herald.http("alice").await.token(&["mqtt"]).await;
    let mut v5 = by_password(&herald, "alice").await;
    let mut v311 = session(&herald, Version::V311, "alice", &password("alice")).await;
    let mut with_token = session(&herald, Version::V5, "alice", &token).await;
    let mut bob = by_password(&herald, "bob").await;

    let admin = herald.http("admin").await;
    change(&admin, "alice", json!({"disabled": true})).await;
    assert_eq!(ended(&mut v5).await, NOT_AUTHORIZED);
    assert_eq!(ended(&mut v311).await, None);
    assert_eq!(ended(&mut with_token).await, NOT_AUTHORIZED);
    lives(&herald, &mut bob, "bob", 1).await;

    assert_eq!(
        connect_code(&herald, "alice", &password("alice")).await,
        0x87
    );
    assert_eq!(connect_code(&herald, "alice", &token).await, 0x87);
    change(&admin, "alice", json!({"disabled": false})).await;
    assert_eq!(connect_code(&herald, "alice", &token).await, 0);
}

#[tokio::test]
async fn all_sessions_of_a_deleted_user_end() {
    let herald = Herald::with_users(&["alice"]).await;
    let token = herald.http("alice").await.token(&["mqtt"]).await;
    let mut alice = by_password(&herald, "alice").await;
    let mut with_token = session(&herald, Version::V5, "alice", &token).await;
    let admin = herald.http("admin").await;
    admin.delete("/admin/users/alice").await.expect(204);
    assert_eq!(ended(&mut alice).await, NOT_AUTHORIZED);
    assert_eq!(ended(&mut with_token).await, NOT_AUTHORIZED);
    assert_eq!(connect_code(&herald, "alice", &token).await, 0x87);
}

#[tokio::test]
async fn an_administrator_who_is_demoted_gets_no_more_live_copies() {
    let herald = Herald::with_users(&["bob"]).await;
    let admin = herald.http("admin").await;
    admin.create_user("carol", "admin").await;
    let mut carol = by_password(&herald, "carol").await;
    assert!(carol.subscribe(&inbox("bob")).await < 0x80, "an observer");
    change(&admin, "carol", json!({"role": "user"})).await;
    assert_eq!(ended(&mut carol).await, NOT_AUTHORIZED);

    let mut carol = by_password(&herald, "carol").await;
    assert_eq!(carol.subscribe(&inbox("bob")).await, 0x87);
    lives(&herald, &mut carol, "carol", 1).await;
}

/// The sessions of one user: by the password, by a token, and by a second token.
struct Three {
    herald: Herald,
    id: String,
    password: Raw,
    token: Raw,
    other_token: Raw,
}

impl Three {
    async fn new() -> Self {
        let herald = Herald::with_users(&["alice"]).await;
        let alice = herald.http("alice").await;
        let (id, token) = alice.token_with_id(&["mqtt"]).await;
        let other = alice.token(&["mqtt"]).await;
        Self {
            id,
            password: by_password(&herald, "alice").await,
            token: session(&herald, Version::V5, "alice", &token).await,
            other_token: session(&herald, Version::V5, "alice", &other).await,
            herald,
        }
    }

    async fn the_token_has_ended(mut self) {
        assert_eq!(ended(&mut self.token).await, NOT_AUTHORIZED);
        self.password.ping().await;
        lives(&self.herald, &mut self.other_token, "alice", 1).await;
    }

    async fn the_password_has_ended(mut self) {
        assert_eq!(ended(&mut self.password).await, NOT_AUTHORIZED);
        self.token.ping().await;
        self.other_token.ping().await;
        let code = connect_code(&self.herald, "alice", &password("alice")).await;
        assert_eq!(code, 0x87);
        let mut new = session(&self.herald, Version::V5, "alice", NEW).await;
        new.ping().await;
    }
}

#[tokio::test]
async fn the_sessions_of_a_revoked_token_end() {
    let three = Three::new().await;
    let alice = three.herald.http("alice").await;
    let path = format!("/tokens/{}", three.id);
    alice.delete(&path).await.expect(204);
    three.the_token_has_ended().await;
}

#[tokio::test]
async fn the_command_line_revokes_a_token_of_a_running_server() {
    let three = Three::new().await;
    let args = ["token", "revoke", &three.id];
    three.herald.cli(&args).succeed().await;
    three.the_token_has_ended().await;
}

#[tokio::test]
async fn the_sessions_of_a_changed_password_end() {
    let three = Three::new().await;
    let alice = three.herald.http("alice").await;
    let change = json!({"current": password("alice"), "new": NEW});
    alice.put("/auth/password", &change).await.expect(204);
    three.the_password_has_ended().await;
}

#[tokio::test]
async fn the_sessions_of_a_password_that_an_administrator_sets_end() {
    let three = Three::new().await;
    let admin = three.herald.http("admin").await;
    change(&admin, "alice", json!({"password": NEW})).await;
    three.the_password_has_ended().await;
}

#[tokio::test]
async fn the_command_line_resets_the_password_of_a_running_server() {
    let three = Three::new().await;
    let reset = three.herald.cli(&["admin", "reset-password", "alice"]);
    reset.input(&format!("{NEW}\n")).succeed().await;
    three.the_password_has_ended().await;
}

#[tokio::test]
async fn the_session_of_a_token_that_expires_ends() {
    let herald = Herald::with_users(&["alice"]).await;
    let alice = herald.http("alice").await;
    let token = json!({"name": "short", "scopes": ["mqtt"], "expires_in_s": 3});
    let token = alice.post("/tokens", &token).await.expect(201);
    let token = token["token"].as_str().unwrap();
    let mut short = session(&herald, Version::V5, "alice", token).await;
    let mut long = by_password(&herald, "alice").await;
    assert_eq!(ended(&mut short).await, NOT_AUTHORIZED);
    long.ping().await;
    assert_eq!(connect_code(&herald, "alice", token).await, 0x87);
}

#[tokio::test]
async fn what_was_taken_away_while_the_server_was_down_stays_away() {
    let mut herald = Herald::with_users(&["alice", "bob"]).await;
    let (id, token) = herald.http("alice").await.token_with_id(&["mqtt"]).await;
    herald.stop().await;
    herald.cli(&["token", "revoke", &id]).succeed().await;
    herald.begin().await;
    assert_eq!(connect_code(&herald, "alice", &token).await, 0x87);
    // Old changes are not made again.
    let mut alice = by_password(&herald, "alice").await;
    lives(&herald, &mut alice, "alice", 1).await;
    let mut bob = by_password(&herald, "bob").await;
    let admin = Http::sign_in(&herald, "admin", &password("admin")).await;
    change(&admin, "bob", json!({"disabled": true})).await;
    assert_eq!(ended(&mut bob).await, NOT_AUTHORIZED);
    alice.ping().await;
}
