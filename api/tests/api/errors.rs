use std::{sync::atomic::Ordering, time::Duration};

use poem::{Body, http::Method};
use serde_json::json;

use crate::client::Herald;

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let herald = Herald::start().await;
    for path in ["/nothing", "/api/v1/nothing", "/api/v2/messages", "/docs/x"] {
        let answer = herald.get(path).send().await;
        answer.expect_problem(404, "not_found");
    }
    for (method, path) in [
        (Method::DELETE, "/api/v1/messages"),
        (Method::GET, "/api/v1/auth/login"),
        (Method::POST, "/healthz"),
        (Method::PUT, "/api/openapi.json"),
    ] {
        let answer = herald.call(method, path).send().await;
        answer.expect_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_problem() {
    let herald = Herald::start().await;
    let login = || herald.post("/api/v1/auth/login");
    for body in ["", "{", "[]", "{\"username\": \"alice\"}", "\u{fffd}"] {
        let call = login()
            .header("content-type", "application/json")
            .body(body);
        call.send().await.expect_problem(400, "bad_request");
    }
    login()
        .body("username=alice")
        .send()
        .await
        .expect_problem(415, "unsupported_media_type");
    let call = login()
        .header("content-type", "application/x-www-form-urlencoded")
        .body("username=alice");
    call.send()
        .await
        .expect_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_parsers_complaint_is_short() {
    let herald = Herald::start().await;
    let call = herald
        .post("/api/v1/auth/login")
        .json(json!({"username": {"x": "y".repeat(3000)}, "password": "x"}));
    let problem = call.send().await.expect_problem(400, "bad_request");
    assert!(problem.text.len() < 1000, "{}", problem.text);
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let herald = Herald::start_short(100).await;
    let limit = 100 * 6 + 1024;
    let alice = herald.browser("alice").await;
    let post = || {
        let call = alice.post("/api/v1/messages");
        call.header("content-type", "application/json")
    };
    let announced = post().body(Body::from_vec(vec![b' '; limit + 1]));
    announced.send().await.expect_problem(413, "too_large");
    let streamed = vec![b' '; limit + 1];
    let streamed = post().body(Body::from_async_read(std::io::Cursor::new(streamed)));
    streamed.send().await.expect_problem(413, "too_large");
    let fits = post().body(Body::from_vec(vec![b' '; limit]));
    fits.send().await.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn a_database_that_is_gone_is_busy_and_not_ready() {
    let herald = Herald::start().await;
    let alice = herald.browser("alice").await;
    let ready = herald.get("/readyz").send().await.expect(200);
    assert_eq!(ready.json, json!({"status": "ready"}));
    tokio::time::pause();

    herald.broker_ready.store(false, Ordering::Relaxed);
    let not_ready = herald.get("/readyz").send().await;
    let not_ready = not_ready.expect_problem(503, "not_ready");
    assert_eq!(not_ready.json["detail"], "Not yet.");
    herald.broker_ready.store(true, Ordering::Relaxed);

    herald.store.close().await;
    // The answer of a moment ago holds, so that polling costs nothing.
    let still = herald.get("/readyz").send().await;
    still.expect(200);
    tokio::time::advance(Duration::from_millis(500)).await;
    let not_ready = herald.get("/readyz").send().await;
    tokio::time::resume();
    not_ready.expect_problem(503, "not_ready");
    let busy = alice.get("/api/v1/messages").send().await;
    let busy = busy.expect_problem(503, "busy");
    assert_eq!(busy.header("retry-after"), Some("1"));
    let alive = herald.get("/healthz").send().await.expect(200);
    assert_eq!(alive.json, json!({"status": "alive"}));
}

#[tokio::test]
async fn a_body_that_takes_too_long_is_not_waited_for() {
    /// A space a second.
    fn dripping() -> Body {
        Body::from_bytes_stream(futures_util::stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(bytes::Bytes::from(" ")), ()))
        }))
    }
    fn silent() -> Body {
        Body::from_bytes_stream(futures_util::stream::pending::<std::io::Result<bytes::Bytes>>())
    }
    let herald = Herald::start().await;
    tokio::time::pause();
    for body in [dripping(), silent()] {
        let since = tokio::time::Instant::now();
        let call = herald.post("/api/v1/auth/login").json(json!({}));
        let answer = call.body(body).send().await;
        answer.expect_problem(408, "request_timeout");
        assert_eq!(since.elapsed().as_secs(), 10);
    }
}

#[tokio::test]
async fn a_key_that_is_there_twice_is_refused() {
    let herald = Herald::start().await;
    let call = herald
        .post("/api/v1/auth/login")
        .header("content-type", "application/json")
        .body(r#"{"username": "alice", "username": "bob", "password": "x"}"#);
    call.send().await.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn a_request_says_which_host_it_is_for() {
    let herald = Herald::start().await;
    for host in ["", "a b", "a@b", "\u{fc}", "a;b", "a'b"] {
        let answer = herald.get("/healthz").header("host", host).send().await;
        answer.expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn every_response_makes_browsers_careful() {
    let herald = Herald::start().await;
    for path in [
        "/",
        "/docs",
        "/api/openapi.json",
        "/api/v1/tokens",
        "/nothing",
    ] {
        let answer = herald.get(path).send().await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000")
        );
        let no_store = answer.header("cache-control") == Some("no-store");
        let is_kept = !path.starts_with("/api/") && answer.status.is_success();
        assert_eq!(no_store, !is_kept, "{path}");
    }
}

#[tokio::test]
async fn strict_transport_is_asked_for_only_with_tls_and_a_public_name() {
    let plain = Herald::start_with(|options| {
        options.tls = false;
        options.allowed_origins = vec!["https://herald.example".into()];
    })
    .await;
    let answer = plain.get("/").send().await;
    assert_eq!(answer.header("strict-transport-security"), None);
    let herald = Herald::start().await;
    for host in ["localhost:8443", "127.0.0.1:8443"] {
        let answer = herald.get("/").header("host", host).send().await;
        assert_eq!(answer.header("strict-transport-security"), None);
    }
}
