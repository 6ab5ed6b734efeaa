//! What answers mean.

use std::time::{Duration, SystemTime};

use herald_worker::Failure;

use crate::{
    jobs::{ask, fatal, retry, webhook},
    server::{Reply, Server, answer, ok},
};

const LIMIT_BYTES: usize = 64 * 1024;

async fn asked(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Result<String, Failure> {
    let server = Server::start(move |_| reply()).await;
    ask(&webhook(&server.url())).await
}

#[tokio::test]
async fn any_2xx_is_a_result_and_may_be_empty() {
    assert_eq!(asked(|| answer(200, "", "")).await.unwrap(), "");
    assert_eq!(asked(|| answer(202, "", "later")).await.unwrap(), "later");
    let no_content = || Reply::Bytes(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    assert_eq!(asked(no_content).await.unwrap(), "");
}

#[tokio::test]
async fn what_is_wrong_with_the_message_itself_is_final() {
    for status in [400, 410, 413, 422] {
        let failure = asked(move || answer(status, "", "a secret of the service")).await;
        assert_eq!(failure, fatal(&format!("the service answered {status}")));
    }
}

/// A rotation of secrets, a deploy: they pass.
#[tokio::test]
async fn every_other_refusal_may_pass() {
    for status in [
        401, 402, 403, 404, 405, 408, 409, 418, 425, 429, 499, 500, 501, 502, 503, 504, 599,
    ] {
        let failure = asked(move || answer(status, "", "a stack trace")).await;
        assert_eq!(failure, retry(&format!("the service answered {status}")));
    }
}

#[tokio::test]
async fn a_service_may_say_that_its_refusal_is_final() {
    for status in [302, 404, 503] {
        let failure = asked(move || answer(status, "webhook-should-retry: false\r\n", "")).await;
        assert_eq!(failure, fatal(&format!("the service answered {status}")));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_may_pass() {
    for status in [301, 302, 303, 307, 308] {
        let server = Server::start(move |_| answer(status, "location: /other\r\n", "")).await;
        let failure = ask(&webhook(&server.url())).await;
        let error = format!("the service answered {status}, and redirects are not followed");
        assert_eq!(failure, retry(&error));
        assert_eq!(server.asked(), 1);
    }
}

#[tokio::test]
async fn retry_after_is_honoured_in_seconds_and_as_a_date() {
    for status in [302, 404, 429, 503] {
        let failure = asked(move || answer(status, "retry-after: 7\r\n", "")).await;
        let Err(Failure::Retry { after, .. }) = failure else {
            panic!("{failure:?}")
        };
        assert_eq!(after, Some(Duration::from_secs(7)));

        let date = SystemTime::now() + Duration::from_secs(100);
        let header = format!("retry-after: {}\r\n", httpdate::fmt_http_date(date));
        let failure = asked(move || answer(status, &header, "")).await;
        let Err(Failure::Retry { after, .. }) = failure else {
            panic!("{failure:?}")
        };
        let seconds = after.unwrap().as_secs();
        assert!((60..=100).contains(&seconds), "{seconds}");
    }
}

#[tokio::test]
async fn a_result_has_64_kib_at_most() {
    let full = asked(|| ok("x".repeat(LIMIT_BYTES))).await.unwrap();
    assert_eq!(full.len(), LIMIT_BYTES);
    let failure = asked(|| ok("x".repeat(LIMIT_BYTES + 1))).await;
    assert_eq!(failure, retry("the service's answer is longer than 64 KiB"));
    // Chunked, without a length that says so before.
    let chunked = |bytes: usize| {
        move || {
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let body = "x".repeat(bytes);
            Reply::Bytes(format!("{head}{bytes:x}\r\n{body}\r\n0\r\n\r\n").into_bytes())
        }
    };
    assert_eq!(asked(chunked(LIMIT_BYTES)).await.unwrap(), full);
    assert_eq!(asked(chunked(LIMIT_BYTES + 1)).await, failure);
}

#[tokio::test]
async fn an_endless_answer_is_not_read_on() {
    let server = Server::start(|_| Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())).await;
    let failure = ask(&webhook(&server.url())).await;
    assert_eq!(failure, retry("the service's answer is longer than 64 KiB"));
    // The rest is what the system keeps for a connection.
    let taken = server.endless();
    assert!(taken < 16 * 1024 * 1024, "{taken}");
}

#[tokio::test]
async fn what_is_no_text_is_no_result() {
    let failure = asked(|| ok(b"\xff\xfe")).await;
    assert_eq!(failure, retry("the service's answer is not UTF-8"));
    let failure = asked(|| ok(b"a\0b")).await;
    assert_eq!(failure, retry("the service's answer holds a NUL character"));
}

/// A compressed answer was not asked for, and is bytes like any other.
#[tokio::test]
async fn nothing_is_decompressed() {
    let gzip = || answer(200, "content-encoding: gzip\r\n", "plain");
    assert_eq!(asked(gzip).await.unwrap(), "plain");
}
