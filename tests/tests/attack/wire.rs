//! Requests as bytes, on connections whose answers are read as slowly as the attacker likes.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use crate::world::{Account, World};

/// The head of a request of `user`.
pub(crate) fn head(method: &str, path: &str, user: &Account) -> String {
    let token = &user.token;
    format!(
        "{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    )
}

/// GET of a path.
pub(crate) fn get(path: &str, user: &Account) -> Vec<u8> {
    format!("{}\r\n", head("GET", path, user)).into_bytes()
}

/// A POST of this JSON.
pub(crate) fn post(path: &str, user: &Account, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = head("POST", path, user);
    format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A connection; `None` if the server has enough of them.
pub(crate) async fn connect(world: &World) -> Option<TcpStream> {
    TcpStream::connect(world.herald.http_address()).await.ok()
}

/// Sends `request`, and takes `bytes` of the answer at a time, with a pause between, until the server ends the connection.
pub(crate) async fn read_slowly(world: &World, request: &[u8], bytes: usize, pause: Duration) {
    let Some(mut stream) = connect(world).await else {
        return;
    };
    if stream.write_all(request).await.is_err() {
        return;
    }
    let mut some = vec![0; bytes];
    // The pause is the attack.
    while let Ok(1..) = stream.read(&mut some).await {
        sleep(pause).await;
    }
}

/// Sends `request` again and again on one connection, `times` in all, and reads each answer as fast as it comes. Connects
/// again when the server ends the connection.
pub(crate) async fn repeat(world: &World, request: &[u8], times: usize) {
    let mut buffer = vec![0; 64 * 1024];
    let mut left = times;
    while left > 0 {
        let Some(mut stream) = connect(world).await else {
            return;
        };
        while left > 0 {
            left -= 1;
            if stream.write_all(request).await.is_err()
                || answer(&mut stream, &mut buffer).await.is_none()
            {
                break;
            }
        }
    }
}

/// Reads one answer, and forgets it.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<()> {
    let mut head = vec![];
    let (at, length) = loop {
        let read = stream.read(buffer).await.ok().filter(|&read| read > 0)?;
        head.extend_from_slice(&buffer[..read]);
        if let Some(at) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            break (at + 4, content_length(&head[..at]));
        }
    };
    let mut left = length.saturating_sub(head.len() - at);
    while left > 0 {
        let most = left.min(buffer.len());
        let read = stream
            .read(&mut buffer[..most])
            .await
            .ok()
            .filter(|&read| read > 0)?;
        left -= read;
    }
    Some(())
}

/// What the head says; none for an answer without a body.
fn content_length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length
        .and_then(|(_, length)| length.parse().ok())
        .unwrap_or(0)
}
