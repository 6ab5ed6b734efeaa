//! What no client should send. Each is refused as the client's mistake, and the server goes on.

<<<<<<< HEAD
use herald_tests::{Herald, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::wire::{Answer, Wire, exchange, expect_unharmed, plain, token};
=======
use herald_tests::Herald;

use crate::wire::{Answer, exchange, expect_unharmed, plain, token};
>>>>>>> edge

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
            "{line} HTTP/1.1\r\nHost: herald\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n",
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
        "GET http://herald/api/v1/nothing",
        "GET http://elsewhere/api/v1/nothing",
        "GET *",
        "POST /",
        "DELETE /docs",
    ] {
        let answer = target.ask(line, b"", b"").await;
        answer.expect_problem(line);
    }
    let absolute = target.get("http://herald/api/v1/messages").await;
    assert_eq!(absolute.status, 200);
    expect_unharmed(&target.herald).await;
}
<<<<<<< HEAD

#[tokio::test]
async fn requests_that_two_servers_might_read_in_two_ways_are_refused_or_are_the_last_ones() {
    let herald = plain().await;
    let host = "Host: herald\r\n";
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: herald\r\n\r\n";
    let login = "POST /api/v1/auth/login HTTP/1.1\r\n";
    for (request, what) in [
        (
            format!("{login}{host}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{smuggled}"),
            "two lengths",
        ),
        (
            format!("{login}{host}Content-Length: 5, 6\r\n\r\n{smuggled}"),
            "a list of lengths",
        ),
        (
            format!("{login}{host}Content-Length: +5\r\n\r\n{smuggled}"),
            "a sign",
        ),
        (
            format!("{login}{host}Content-Length: -1\r\n\r\n{smuggled}"),
            "a negative length",
        ),
        (
            format!("{login}{host}Content-Length: 0x5\r\n\r\n{smuggled}"),
            "a hexadecimal length",
        ),
        (
            format!("{login}{host}Content-Length: 99999999999999999999\r\n\r\n{smuggled}"),
            "a huge length",
        ),
        (
            format!("{login}{host}Content-Length : 5\r\n\r\n{smuggled}"),
            "a space before the colon",
        ),
        (
            format!("{login}{host}Transfer-Encoding: gzip\r\n\r\n{smuggled}"),
            "an unknown encoding",
        ),
        (
            format!("{login}{host}Transfer-Encoding: chunked, gzip\r\n\r\n{smuggled}"),
            "chunked not last",
        ),
        (
            format!("{login}{host}Transfer-Encoding: xchunked\r\n\r\n{smuggled}"),
            "no encoding",
        ),
        (
            format!("{login}{host}Transfer-Encoding:\x0bchunked\r\n\r\n{smuggled}"),
            "a control character",
        ),
        (
            format!("{login}{host} Transfer-Encoding: chunked\r\n\r\n{smuggled}"),
            "a folded line",
        ),
        (
            format!("{login}{host}Transfer-Encoding: chunked\r\n\r\nzz\r\n{smuggled}"),
            "a size that is none",
        ),
        (
            format!(
                "{login}{host}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{smuggled}"
            ),
            "a huge chunk",
        ),
        (
            format!(
                "{login}{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"
            ),
            "length and chunks",
        ),
        (
            format!(
                "{login}{host}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n{smuggled}"
            ),
            "chunks and length",
        ),
        (
            format!(
                "POST /api/v1/auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}"
            ),
            "chunks in HTTP/1.0",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n\r\n{smuggled}"),
            "no host",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}{host}\r\n{smuggled}"),
            "two hosts",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n{smuggled}"),
            "no host name",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\nHost: a@b\r\n\r\n{smuggled}"),
            "a user in the host",
        ),
        (
            format!("GET /healthz HTTP/2.0\r\n{host}\r\n{smuggled}"),
            "another version",
        ),
        (
            format!("GET  /healthz HTTP/1.1\r\n{host}\r\n{smuggled}"),
            "two spaces",
        ),
        (format!("GET /healthz\r\n{host}\r\n{smuggled}"), "HTTP/0.9"),
        (
            format!("GET /he\0althz HTTP/1.1\r\n{host}\r\n{smuggled}"),
            "NUL in the target",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}A: b\0c\r\n\r\n{smuggled}"),
            "NUL in a header",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}A\u{e4}: b\r\n\r\n{smuggled}"),
            "a name of a header",
        ),
        (
            format!("GET /healthz HTTP/1.1\r\n{host}A: b\rGET / HTTP/1.1\r\n\r\n{smuggled}"),
            "a bare CR",
        ),
        (
            "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03\r\n\r\n".to_owned(),
            "TLS",
        ),
        (
            "\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test\r\n\r\n".to_owned(),
            "MQTT",
        ),
    ] {
        let mut wire = Wire::connect(&herald).await;
        wire.send(request.as_bytes()).await;
        if let Some(answer) = wire.answer().await {
            assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        }
        // Nothing of what follows is taken for a request that is served.
        while let Some(next) = wire.answer().await {
            assert!((400..500).contains(&next.status), "{what}: {next:?}");
        }
    }
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_order() {
    let herald = plain().await;
    let mut wire = Wire::connect(&herald).await;
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: herald\r\n\r\n");
    let row: String = ["/healthz", "/nothing", "/api/v1/messages", "/readyz"]
        .map(get)
        .concat();
    wire.send(row.as_bytes()).await;
    for status in [200, 404, 401, 200] {
        assert_eq!(wire.answer().await.unwrap().status, status);
    }
    // The last one of HTTP/1.0.
    let old = b"GET /healthz HTTP/1.0\r\n\r\n";
    let mut wire = Wire::connect(&herald).await;
    wire.send(old).await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    assert!(wire.answer().await.is_none());
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_cut_off_while_it_is_read() {
    let herald = plain().await;
    let head =
        "POST /api/v1/messages HTTP/1.1\r\nHost: herald\r\nContent-Type: application/json\r\n";
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    // Twice what is allowed, as announced and in chunks.
    let announced = [
        format!("{head}Content-Length: {}\r\n\r\n", 800_000).as_bytes(),
        &[b' '; 800_000],
    ]
    .concat();
    let chunked = [
        format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes(),
        &chunk.repeat(13),
        b"0\r\n\r\n",
    ]
    .concat();
    for request in [announced, chunked] {
        let answer = exchange(&herald, &request).await.unwrap();
        answer.expect_problem("a large body");
        assert_eq!(answer.status, 413);
    }
    // Who never stops sending is not listened to for ever.
    let (mut reader, mut writer) = Wire::connect(&herald).await.stream.into_split();
    let sending = tokio::spawn(async move {
        let head = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        writer.write_all(head.as_bytes()).await.unwrap();
        let mut sent = 0u64;
        while writer.write_all(&chunk).await.is_ok() {
            sent += chunk.len() as u64;
        }
        sent
    });
    let mut answer = vec![];
    let _ = within("the end", reader.read_to_end(&mut answer)).await;
    let sent = within("the last write", sending).await.unwrap();
    // What is read and dropped, and what is in the buffers of the kernel.
    assert!(sent < 64 * 1024 * 1024, "{sent}");
    expect_unharmed(&herald).await;
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let herald = plain().await;
    let start = "GET /healthz HTTP/1.1\r\nHost: herald\r\n";
    for (head, status) in [
        (format!("{start}A: {}\r\n\r\n", "a".repeat(40_000)), 431),
        (format!("{start}{}\r\n", "A: b\r\n".repeat(200)), 431),
        (
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(40_000)),
            431,
        ),
    ] {
        // The rest of what was sent may be answered with a reset that overtakes the answer.
        if let Some(answer) = exchange(&herald, head.as_bytes()).await {
            assert_eq!(answer.status, status);
        }
    }
    expect_unharmed(&herald).await;
}
=======
>>>>>>> edge
