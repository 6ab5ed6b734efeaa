//! What one user can make the server hold, and what is decided before a body is read.

use std::{io, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{join_all, select},
    stream,
};
use herald_api::{AnswerRoom, ApiOptions, Patience, Shares};
use poem::{Body, Response, http::StatusCode};
use serde_json::json;
use tokio::time::timeout;

use crate::client::{Browser, Call, Herald};

/// A body that begins with `first` and never ends.
fn endless(first: &'static [u8]) -> Body {
    let first = stream::iter([Ok::<_, io::Error>(Bytes::from_static(first))]);
    Body::from_bytes_stream(first.chain(stream::pending()))
}

/// A body of `length` spaces that never ends.
fn endless_spaces(length: usize) -> Body {
    let first = stream::iter([Ok::<_, io::Error>(Bytes::from(vec![b' '; length]))]);
    Body::from_bytes_stream(first.chain(stream::pending()))
}

fn answers(in_all: usize, each: usize) -> impl FnOnce(&mut ApiOptions) {
    move |options| options.limits.answer_bytes = Shares { in_all, each }
}

/// A user with one message of 64 KiB that JSON escapes, whose answer is 400 KB.
async fn with_a_large_message<'a>(herald: &'a Herald, name: &str) -> (Browser<'a>, String) {
    let browser = herald.browser(name).await;
    let user = herald.store.user_by_name(&name.parse().unwrap()).await;
    let user = user.unwrap().unwrap().id;
    let body = "\u{1}".repeat(64 * 1024);
    let sent = herald.sends.send(&user, body, None, Patience::None).await;
    (browser, format!("/api/v1/messages/{}", sent.unwrap().id))
}

#[tokio::test]
async fn a_stranger_gets_401_before_the_body_is_read() {
    let herald = Herald::start().await;
    for path in ["/api/v1/messages", "/api/v1/admin/users", "/api/v1/tokens"] {
        let call = herald
            .post(path)
            .header("content-type", "application/json")
            .body(endless(b"{"));
        let answer = timeout(Duration::from_secs(5), call.send()).await;
        answer.unwrap().expect_problem(401, "unauthenticated");
    }
    let call = herald.post("/api/v1/nowhere").body(endless(b"{"));
    let answer = timeout(Duration::from_secs(5), call.send_raw()).await;
    assert_eq!(answer.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_anyone_may_post_is_short() {
    let herald = Herald::start_with(|options| options.registration = true).await;
    for path in ["/api/v1/auth/login", "/api/v1/auth/register"] {
        let fits = json!({"username": "alice", "password": "p".repeat(1024)});
        let answer = herald.post(path).json(fits).send().await;
        assert_ne!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        let long = json!({"username": "alice", "password": "p".repeat(4096)});
        let answer = herald.post(path).json(long).send().await;
        answer.expect_problem(413, "too_large");
    }
}

#[tokio::test]
async fn json_of_very_many_values_is_refused() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let fields: Vec<_> = (0..44_000).map(|n| format!("\"{n:x}\":0")).collect();
    let call = alice
        .post("/api/v1/messages")
        .header("content-type", "application/json")
        .body(format!("{{{}}}", fields.join(",")));
    let refused = call.send().await.expect_problem(400, "bad_request");
    let detail = refused.json["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("values"), "{detail}");
}

#[tokio::test]
async fn answers_that_a_user_does_not_take_count_and_others_have_theirs() {
    let herald = Herald::start_with(answers(1 << 30, 2_000_000)).await;
    let (alice, path) = with_a_large_message(&herald, "alice").await;
    let (bob, bobs) = with_a_large_message(&herald, "bob").await;
    let mut untaken: Vec<Response> = vec![];
    let refused = loop {
        let answer = alice.get(&path).send_raw().await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        untaken.push(answer);
        assert!(untaken.len() < 10, "nothing bounds the answers");
    };
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.header("retry-after").is_some());
    bob.get(&bobs).send().await.expect(200);
    // The message is 400 KB; while it is made, its room may be what a message has at most.
    assert!(untaken.len() >= 3, "{}", untaken.len());
    drop(untaken);
    alice.get(&path).send().await.expect(200);
}

#[tokio::test]
async fn answers_that_all_together_do_not_take_make_the_server_busy() {
    let herald = Herald::start_with(answers(2_000_000, 2_000_000)).await;
    let (alice, path) = with_a_large_message(&herald, "alice").await;
    let (bob, bobs) = with_a_large_message(&herald, "bob").await;
    let mut untaken = vec![];
    for _ in 0..4 {
        untaken.push(alice.get(&path).send_raw().await);
    }
    let refused = bob.get(&bobs).send().await;
    let refused = refused.expect_problem(503, "busy");
    assert!(refused.header("retry-after").is_some());
    drop(untaken);
    bob.get(&bobs).send().await.expect(200);
}

#[tokio::test]
async fn the_room_of_an_answer_is_as_large_as_the_answer() {
    let herald = Herald::start().await;
    let (alice, path) = with_a_large_message(&herald, "alice").await;
    let answer = alice.get(&path).send_raw().await;
    let room = answer.data::<AnswerRoom>().and_then(AnswerRoom::take);
    let (room, body) = (
        room.unwrap(),
        answer.into_body().into_bytes().await.unwrap(),
    );
    assert_eq!(room.bytes(), body.len());
    // The app's files are there once for all.
    let page = herald
        .get("/")
        .header("accept", "text/html")
        .send_raw()
        .await;
    assert!(page.data::<AnswerRoom>().is_none());
}

fn send_slowly<'a>(browser: &Browser<'a>) -> Call<'a> {
    let call = browser
        .post("/api/v1/messages")
        .header("content-type", "application/json");
    call.body(endless_spaces(200 * 1024))
}

#[tokio::test]
async fn bodies_that_a_user_sends_slowly_count_and_others_have_theirs() {
    let herald = Herald::start_with(|options| {
        options.limits.body_bytes = Shares {
            in_all: 1 << 30,
            each: 300 * 1024,
        };
    })
    .await;
    let (alice, bob) = (herald.browser("alice").await, herald.browser("bob").await);
    let (first, second) = (send_slowly(&alice).send(), send_slowly(&alice).send());
    // One of them has the room, and the other is refused as long as it has.
    let refused = select(Box::pin(first), Box::pin(second)).await;
    let (refused, slow) = refused.factor_first();
    refused.expect_problem(429, "rate_limited");
    let call = bob.post("/api/v1/messages").json(json!({"body": "x"}));
    call.send().await.expect(202);
    assert!(slow.now_or_never().is_none());
    let call = alice.post("/api/v1/messages").json(json!({"body": "x"}));
    call.send().await.expect(202);
}

#[tokio::test]
async fn many_reads_at_once_are_answered_in_turn() {
    let herald = Herald::start_with(|options| {
        options.limits.list_reads = Shares { in_all: 1, each: 1 };
    })
    .await;
    let alice = herald.browser("alice").await;
    let reads = (0..50).map(|_| alice.get("/api/v1/messages?status=dead&limit=1").send());
    for answer in join_all(reads).await {
        answer.expect(200);
    }
}
