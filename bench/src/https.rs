//! A lean HTTP/1.1 client: one request at a time, written as bytes that were made before, on a connection that is kept.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::{Buf as _, BytesMut};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::{client::Login, transport::Target};

/// How long a server may take to let a connection in.
const OPEN: Duration = Duration::from_secs(15);

/// Bytes read at once, and headers of an answer.
const READ: usize = 4 * 1024;
const HEADERS: usize = 32;

/// The status of an answer that has no body, and need not say so.
const NO_CONTENT: u16 = 204;

/// A GET of `path`.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// A message of `user`, whose password is a token. `body` needs no escapes in JSON.
pub(crate) fn send(user: &Login, body: &str) -> Vec<u8> {
    let json = format!("{{\"body\":\"{body}\"}}");
    format!(
        "POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
        user.password,
        json.len()
    )
    .into_bytes()
}

/// A DELETE of `path` by `user`, whose password is a token.
pub(crate) fn delete(user: &Login, path: &str) -> Vec<u8> {
    let token = &user.password;
    format!("DELETE {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
        .into_bytes()
}

/// A connection.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    received: BytesMut,
}

impl Connection {
    /// Opens a connection to `target`, which must have TLS.
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Self> {
        let tls = target.trust.as_ref().context("only HTTPS is measured")?;
        let opening = async {
            let tcp = TcpStream::connect(target.address).await?;
            tcp.set_nodelay(true)?;
            tls.connect(ServerName::from(target.address.ip()), tcp)
                .await
        };
        let stream = timeout(OPEN, opening).await;
        Ok(Self {
            stream: stream.context("no connection in time")??,
            received: BytesMut::with_capacity(READ),
        })
    }

    /// Sends `request`, and returns the status once all of the answer is there.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        loop {
            if let Some((status, length)) = answer(&self.received)? {
                self.received.advance(length);
                if !self.received.is_empty() {
                    bail!("more came than one answer");
                }
                return Ok(status);
            }
            self.received.reserve(READ);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the server closed");
            }
        }
    }
}

/// The status and the length of the answer that `received` begins with; `None` until all of it is there.
fn answer(received: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else {
        return Ok(None);
    };
    let status = response.code.context("an answer without a status")?;
    let mut headers = response.headers.iter();
    let length = headers.find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(length) => head + std::str::from_utf8(length.value)?.parse::<usize>()?,
        None if status == NO_CONTENT => head,
        None => bail!("an answer without a length"),
    };
    Ok((received.len() >= length).then_some((status, length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_there_when_all_its_bytes_are() {
        let bytes = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(answer(bytes).unwrap(), Some((202, bytes.len())));
        for cut in 0..bytes.len() {
            assert_eq!(answer(&bytes[..cut]).unwrap(), None);
        }
        let none = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(answer(none).unwrap(), Some((204, none.len())));
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
