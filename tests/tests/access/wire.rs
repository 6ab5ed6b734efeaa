//! HTTP/1.1 byte by byte.

use herald_tests::{Herald, within};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// A server without TLS, so that its bytes are easily written. Its one account is `admin`.
pub(crate) async fn plain() -> Herald {
    Herald::start_with(&[("HERALD_TLS__MODE", "off")]).await
}

/// A new access token of the administrator.
pub(crate) async fn token(herald: &Herald) -> String {
    let token = herald.cli(&["token", "create", "admin"]).succeed().await;
    token.trim().to_owned()
}

/// Panics unless the server still answers, and has met nothing that it logs as an error.
pub(crate) async fn expect_unharmed(herald: &Herald) {
    let mut wire = Wire::connect(herald).await;
    wire.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(wire.answer().await.unwrap().status, 200);
    let log = herald.stderr();
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert_ne!(event["level"], "ERROR", "{line}");
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Panics unless this is a problem (RFC 9457) of the client's making.
    pub(crate) fn expect_problem(&self, what: &str) {
        assert!((400..500).contains(&self.status), "{what}: {self:?}");
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{what}: {self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status, "{what}");
        assert!(problem["code"].is_string(), "{what}");
    }
}

/// A connection over TCP.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(herald: &Herald) -> Self {
        Self::new(TcpStream::connect(herald.http_address()).await.unwrap())
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            unread: vec![],
        }
    }

    /// Sends `bytes`; the server may be gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = within("a write", self.stream.write_all(bytes)).await;
    }

    /// The next answer to anything but HEAD; `None` if the connection ends first.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        within("an answer", async {
            loop {
                if let Some((answer, length)) = parse(&self.unread) {
                    self.unread.drain(..length);
                    return Some(answer);
                }
                match self.stream.read_buf(&mut self.unread).await {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return None,
                }
            }
        })
        .await
    }
}

/// Sends `bytes` on a connection of their own.
pub(crate) async fn exchange(herald: &Herald, bytes: &[u8]) -> Option<Answer> {
    let mut wire = Wire::connect(herald).await;
    wire.send(bytes).await;
    wire.answer().await
}

/// The answer at the start of `bytes`, and how long it is.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).unwrap();
    let mut lines = text.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.map_or(0, |(_, length)| length.parse().unwrap());
    let body = bytes.get(head..head + length)?;
    let answer = Answer {
        status,
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    Some((answer, head + length))
}
