//! Where a request begins and ends, and how long its parts may be.

use herald_tests::{Herald, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::wire::{Wire, exchange, expect_unharmed, plain, token};

#[tokio::test]
async fn requests_that_two_servers_might_read_in_two_ways_are_refused_or_are_the_last_ones() {
    let herald = plain().await;
    let smuggled = "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n";
    for (headers, what) in [
        ("Content-Length: 5\r\nContent-Length: 6", "two lengths"),
        ("Content-Length: 5, 6", "a list of lengths"),
        ("Content-Length: +5", "a sign"),
        ("Content-Length: -1", "a negative length"),
        ("Content-Length: 0x5", "a hexadecimal length"),
        ("Content-Length: 99999999999999999999", "a huge length"),
        ("Content-Length : 5", "a space before the colon"),
        ("Transfer-Encoding: gzip", "an unknown encoding"),
        ("Transfer-Encoding: chunked, gzip", "chunked not last"),
        ("Transfer-Encoding: xchunked", "no encoding"),
        ("Transfer-Encoding:\x0bchunked", "a control character"),
        (" Transfer-Encoding: chunked", "a folded line"),
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked",
            "length and chunks",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 3",
            "chunks and length",
        ),
    ] {
        let request = format!("{login}{headers}\r\n\r\n{smuggled}");
        expect_nothing_served(&herald, &request, what).await;
    }
    for (head, what) in [
        (
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "a size that is none",
        ),
        (
            "POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            "a huge chunk",
        ),
        (
            "POST /api/v1/auth/login HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            "chunks in HTTP/1.0",
        ),
        ("GET /healthz HTTP/1.1\r\n\r\n", "no host"),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
            "two hosts",
        ),
        ("GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", "no host name"),
        (
            "GET /healthz HTTP/1.1\r\nHost: a@b\r\n\r\n",
            "a user in the host",
        ),
        (
            "GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
            "another version",
        ),
        (
            "GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "two spaces",
        ),
        ("GET /healthz\r\nHost: localhost\r\n\r\n", "HTTP/0.9"),
        (
            "GET /he\0althz HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "NUL in the target",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: b\0c\r\n\r\n",
            "NUL in a header",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nA\u{e4}: b\r\n\r\n",
            "a name of a header",
        ),
        (
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: b\rGET / HTTP/1.1\r\n\r\n",
            "a bare CR",
        ),
    ] {
        expect_nothing_served(&herald, &format!("{head}{smuggled}"), what).await;
    }
    for (request, what) in [
        ("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03\r\n\r\n", "TLS"),
        ("\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04test\r\n\r\n", "MQTT"),
    ] {
        expect_nothing_served(&herald, request, what).await;
    }
    expect_unharmed(&herald).await;
}

/// Neither `request` nor what follows it is taken for a request that is served.
async fn expect_nothing_served(herald: &Herald, request: &str, what: &str) {
    let mut wire = Wire::connect(herald).await;
    wire.send(request.as_bytes()).await;
    while let Some(answer) = wire.answer().await {
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    }
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_order() {
    let herald = plain().await;
    let mut wire = Wire::connect(&herald).await;
    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
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
    let token = token(&herald).await;
    let head = format!(
        "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n"
    );
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
    let start = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
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

#[tokio::test]
async fn who_is_refused_by_the_head_reads_why_though_the_body_is_on_its_way() {
    let herald = plain().await;
    for _ in 0..20 {
        let mut wire = Wire::connect(&herald).await;
        wire.send(
            b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
              Content-Length: 300000\r\n\r\n",
        )
        .await;
        for _ in 0..30 {
            wire.send(&[b' '; 10_000]).await;
        }
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    expect_unharmed(&herald).await;
}
