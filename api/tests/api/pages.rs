//! What pages of the own origin, of allowed ones and of others may do.

use herald_api::ApiOptions;
use poem::{
    Body,
    http::{Method, StatusCode},
};
use serde_json::json;
use tokio::io::{AsyncRead, ReadBuf};

use crate::client::{Answer, Call, Herald, PASSWORD};

const OWN: &str = "https://herald.example";
const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

fn allow_app(options: &mut ApiOptions) {
    options.allowed_origins = vec![APP.into()];
}

fn cors(answer: &Answer) -> Vec<&str> {
    answer
        .header_names()
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

fn preflight<'a>(herald: &'a Herald, origin: &str, method: &str) -> Call<'a> {
    herald
        .call(Method::OPTIONS, "/api/v1/messages")
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header("access-control-request-headers", "x-csrf-token")
}

#[tokio::test]
async fn a_preflight_of_an_allowed_origin_says_what_the_api_takes() {
    let herald = Herald::start_with(allow_app).await;
    let answer = preflight(&herald, APP, "POST").send().await.expect(204);
    assert_eq!(answer.text, "");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("vary"), Some("origin"));
    assert_eq!(answer.header("access-control-max-age"), Some("7200"));
    let credentials = answer.header("access-control-allow-credentials");
    assert_eq!(credentials, Some("true"));
    let methods = answer.header("access-control-allow-methods").unwrap();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        assert!(methods.contains(method), "{methods}");
    }
    let headers = answer.header("access-control-allow-headers").unwrap();
    for header in [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "X-CSRF-Token",
    ] {
        assert!(headers.contains(header), "{headers}");
    }
}

#[tokio::test]
async fn a_preflight_of_another_origin_is_no_method_of_the_api() {
    for herald in [Herald::start().await, Herald::start_with(allow_app).await] {
        for origin in [EVIL, "null", OWN, "https://app.example.evil.example"] {
            let answer = preflight(&herald, origin, "POST").send().await;
            let answer = answer.expect_problem(405, "method_not_allowed");
            assert!(cors(&answer).is_empty(), "{origin}");
            assert_eq!(answer.header("vary"), Some("origin"));
        }
    }
}

#[tokio::test]
async fn only_pages_of_allowed_origins_may_read_responses_and_errors() {
    let herald = Herald::start_with(allow_app).await;
    let alice = herald.browser("alice").await;
    for (path, status) in [
        ("/api/v1/messages", 200),
        ("/api/v1/messages/nothing", 404),
        ("/api/v1/nothing", 404),
        ("/api/openapi.json", 200),
    ] {
        let answer = alice.get(path).header("origin", APP).send().await;
        let answer = answer.expect(status);
        assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
        let exposed = answer.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("Retry-After"), "{exposed}");
        for origin in [EVIL, "null", OWN, "\u{fc}"] {
            let answer = alice.get(path).header("origin", origin).send().await;
            assert!(cors(&answer.expect(status)).is_empty(), "{origin}");
        }
    }
    // Pages and files are nobody's to read from elsewhere.
    let docs = herald.get("/docs").header("origin", APP).send().await;
    assert!(cors(&docs.expect(200)).is_empty());
}

#[tokio::test]
async fn pages_of_other_origins_change_nothing() {
    let herald = Herald::start_with(allow_app).await;
    let alice = herald.browser("alice").await;
    let login = json!({"username": "alice", "password": PASSWORD});
    let foreign = [
        ("origin", EVIL),
        ("origin", "null"),
        ("origin", "http://herald.example"),
        ("origin", "\u{fc}"),
        ("referer", "https://evil.example/page"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in foreign {
        // With the right token, too, and before anyone has signed in.
        let send = alice.post("/api/v1/messages").json(json!({"body": "x"}));
        let login = herald.post("/api/v1/auth/login").json(login.clone());
        let path = herald.call(Method::PUT, "/api/v1/nothing");
        for call in [send, login, path] {
            let refused = call.header(name, value).send().await;
            let refused = refused.expect_problem(403, "origin_not_allowed");
            assert_eq!(refused.header("set-cookie"), None);
            assert!(cors(&refused).is_empty());
        }
    }
    let trusted = [
        ("origin", OWN),
        ("origin", APP),
        ("referer", "https://herald.example/docs"),
        ("sec-fetch-site", "same-origin"),
        ("accept", "*/*"),
    ];
    for (name, value) in trusted {
        let send = alice.post("/api/v1/messages").json(json!({"body": "x"}));
        send.header(name, value).send().await.expect(202);
        let login = herald.post("/api/v1/auth/login").json(login.clone());
        login.header(name, value).send().await.expect(200);
    }
    // Nor is the token less needed.
    let send = herald.post("/api/v1/messages").json(json!({"body": "x"}));
    let send = send.header("cookie", &alice.cookie).header("origin", APP);
    send.send().await.expect_problem(403, "csrf");
}

#[tokio::test]
async fn the_body_of_a_foreign_page_is_not_read() {
    struct Unread;
    impl AsyncRead for Unread {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            panic!("it is read");
        }
    }
    let herald = Herald::start().await;
    let call = herald.post("/api/v1/auth/login").header("origin", EVIL);
    let refused = call.body(Body::from_async_read(Unread)).send().await;
    refused.expect_problem(403, "origin_not_allowed");
}

#[tokio::test]
async fn every_response_has_the_headers_that_protect_its_reader() {
    let herald = Herald::start_with(allow_app).await;
    let preflight = preflight(&herald, APP, "POST").send().await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    let mut answers = vec![preflight];
    for path in ["/", "/docs", "/docs/swagger-ui.js", "/healthz", "/mqtt"] {
        answers.push(herald.get(path).send().await);
    }
    for path in ["/nothing", "/api/nothing", "/api/v1/messages"] {
        answers.push(herald.get(path).send().await);
    }
    let login = herald.post("/api/v1/auth/login");
    answers.push(login.header("origin", EVIL).send().await);
    for answer in answers {
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        let features = answer.header("permissions-policy").unwrap();
        assert!(features.contains("camera=()"), "{features}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
    }
}
