//! What no client should send. Each is refused as the client's mistake, and the server goes on.

use herald_tests::Herald;

use crate::wire::{Answer, exchange, expect_unharmed, plain, token};

/// A server and a token for its API.
struct Target {
    herald: Herald,
    token: String,
}

impl Target {
    async fn start() -> Self {
        let herald = plain().await;
        let token = token(&herald).await;
        Self { herald, token }
    }

    /// A request with this start line, more header lines and this body.
    async fn ask(&self, line: &str, headers: &[u8], body: &[u8]) -> Answer {
        let mut bytes = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n",
            self.token,
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(headers);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        let answer = exchange(&self.herald, &bytes).await;
        answer.unwrap_or_else(|| panic!("no answer to {line}"))
    }

    async fn post(&self, path: &str, body: &[u8]) -> Answer {
        let line = format!("POST /api/v1{path}");
        self.ask(&line, b"Content-Type: application/json\r\n", body)
            .await
    }

    async fn get(&self, target: &str) -> Answer {
        self.ask(&format!("GET {target}"), b"", b"").await
    }
}

#[tokio::test]
async fn json_that_is_none_or_goes_too_far_is_refused() {
    let target = Target::start().await;
    let deep = |open: &str| format!("{{\"body\": {}", open.repeat(100_000));
    let bodies: &[&[u8]] = &[
        b"",
        b"\0",
        b"{",
        b"nul",
        b"[]",
        b"\"\"",
        b"{}",
        b"{\"body\": null}",
        b"{\"body\": 1}",
        b"{\"body\": \"\"}",
        b"{\"body\": \"a\", \"body\": \"b\"}",
        b"{\"body\": \"a\"} {\"body\": \"b\"}",
        b"{\"body\": \"\xff\xfe\"}",
        b"{\"body\": \"\xed\xa0\x80\"}",
        b"{\"body\": \"\\ud800\"}",
        b"{\"body\": \"a\\u0000b\"}",
        b"{\"body\": \"a\nb\"}",
        b"\xef\xbb\xbf{\"body\": \"a\"}",
        b"{'body': 'a'}",
        b"{\"body\": NaN}",
        b"{\"body\": 1e999999}",
    ];
    let mut bodies: Vec<Vec<u8>> = bodies.iter().map(|&b| b.into()).collect();
    bodies.push(deep("[").into());
    bodies.push(deep("{\"a\":").into());
    bodies.push("[".repeat(100_000).into());
    bodies.push(format!("{{\"body\": {}}}", "9".repeat(100_000)).into());
    for body in bodies {
        let answer = target.post("/messages", &body).await;
        answer.expect_problem(&String::from_utf8_lossy(&body[..body.len().min(40)]));
    }
    expect_unharmed(&target.herald).await;
}

#[tokio::test]
async fn numbers_out_of_their_range_are_refused() {
    let target = Target::start().await;
    for query in [
        "limit=99999999999999999999",
        "limit=-1",
        "limit=0",
        "limit=1.5",
        "limit=1e3",
        "limit=",
        "limit=%00",
        "limit=NaN",
        "after=-1",
        "after=99999999999999999999",
        "after=x",
    ] {
        let answer = target.get(&format!("/api/v1/notifications?{query}")).await;
        answer.expect_problem(query);
    }
    for ms in [
        "-1",
        "1.5",
        "1e99",
        "1e999",
        "18446744073709551616",
        "\"1\"",
        "null",
        "9007199254740993",
        &"9".repeat(5000),
    ] {
        let body = format!("{{\"mode\": \"fixed\", \"ms\": {ms}}}");
        let line = "PUT /api/v1/admin/delay";
        let json = b"Content-Type: application/json\r\n";
        let answer = target.ask(line, json, body.as_bytes()).await;
        answer.expect_problem(&body[..body.len().min(60)]);
    }
    for up_to in ["-1", "99999999999999999999", "1.0e30"] {
        let body = format!("{{\"up_to\": {up_to}}}");
        let answer = target.post("/notifications/ack", body.as_bytes()).await;
        answer.expect_problem(&body);
    }
    expect_unharmed(&target.herald).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_wherever_they_stand() {
    let target = Target::start().await;
    for path in [
        "/api/v1/messages/%00",
        "/api/v1/messages/%FF%FE",
        "/api/v1/messages/%ED%A0%80",
        "/api/v1/messages/..%2F..%2Fetc",
        "/api/v1/messages/%0d%0aSet-Cookie:a=b",
        "/api/v1/messages/%",
        "/api/v1/messages/%zz",
        "/api/v1/messages/' OR 1=1--".replace(' ', "+").as_str(),
        "/api/v1/admin/users/%00",
        "/api/v1/admin/users/%FF",
        "/api/v1/admin/users/al%0aice",
        "/api/v1/admin/users/%E2%80%AEalice",
        "/api/v1/messages?status=%FF",
        "/api/v1/messages?status=queued%00",
        "/api/v1/admin/messages?user=%00",
        "/api/v1/admin/messages?user=%FF%FE",
        "/api/v1//messages",
        "/api/v1/../v1/%2e%2e/x",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/%00",
    ] {
        target.get(path).await.expect_problem(path);
    }
    for name in [
        "a\\u0000b",
        "al ice",
        "Alice",
        "al\\nice",
        "\\u202ealice",
        "ålice",
        "",
    ] {
        let body = format!("{{\"username\": \"{name}\", \"password\": \"long enough for it\"}}");
        let answer = target.post("/admin/users", body.as_bytes()).await;
        answer.expect_problem(&body);
    }
    for key in [&b"a\xff"[..], b"\xc3\xa4", b"", b"a\tb"] {
        let headers = [
            b"Content-Type: application/json\r\nIdempotency-Key: ",
            key,
            b"\r\n",
        ];
        let answer = target
            .ask(
                "POST /api/v1/messages",
                &headers.concat(),
                b"{\"body\": \"x\"}",
            )
            .await;
        answer.expect_problem(&format!("{key:?}"));
    }
    // A cookie, a token and an origin are compared, not read.
    for header in [
        &b"Cookie: __Host-herald=\xff\xfe\r\n"[..],
        b"Authorization: Bearer \xff\r\n",
        b"Authorization: \xff\r\n",
        b"Authorization: Basic YTpi\r\n",
        b"Origin: \xff\r\nAuthorization: Bearer x\r\n",
    ] {
        let request = [
            &b"POST /api/v1/auth/logout HTTP/1.1\r\nHost: h\r\n"[..],
            header,
            b"\r\n",
        ];
        let answer = exchange(&target.herald, &request.concat()).await.unwrap();
        answer.expect_problem(&String::from_utf8_lossy(header));
    }
    expect_unharmed(&target.herald).await;
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let target = Target::start().await;
    for (headers, what) in [
        ("", "none"),
        ("Content-Type: text/plain\r\n", "text"),
        (
            "Content-Type: application/x-www-form-urlencoded\r\n",
            "form",
        ),
        (
            "Content-Type: multipart/form-data; boundary=x\r\n",
            "multipart",
        ),
        ("Content-Type: application/xml\r\n", "xml"),
        ("Content-Type: \r\n", "empty"),
        ("Content-Type: json\r\n", "no type"),
        (
            "Content-Type: text/plain\r\nContent-Type: application/json\r\n",
            "two",
        ),
    ] {
        let body = b"{\"body\": \"x\"}";
        let line = "POST /api/v1/messages";
        let answer = target.ask(line, headers.as_bytes(), body).await;
        answer.expect_problem(what);
        assert_eq!(answer.status, 415, "{what}");
    }
    // JSON is UTF-8, whatever the type says of it (RFC 8259, section 8.1).
    let utf16: Vec<u8> = "{\"body\": \"x\"}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let headers = b"Content-Type: application/json; charset=utf-16\r\n";
    let answer = target.ask("POST /api/v1/messages", headers, &utf16).await;
    answer.expect_problem("utf-16");
    expect_unharmed(&target.herald).await;
}

#[tokio::test]
async fn methods_and_targets_that_nobody_serves_are_refused() {
    let target = Target::start().await;
    for line in [
        "TRACE /api/v1/messages",
        "TRACE /",
        "BREW /api/v1/messages",
        "get /api/v1/messages",
        "PROPFIND /",
        "OPTIONS /api/v1/messages",
        "OPTIONS *",
        "CONNECT herald:443",
        "GET http://localhost/api/v1/nothing",
        "GET http://elsewhere/api/v1/nothing",
        "GET *",
        "POST /",
        "DELETE /docs",
    ] {
        let answer = target.ask(line, b"", b"").await;
        answer.expect_problem(line);
    }
    let absolute = target.get("http://localhost/api/v1/messages").await;
    assert_eq!(absolute.status, 200);
    expect_unharmed(&target.herald).await;
}
