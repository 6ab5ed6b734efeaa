//! A client that never pauses.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::io::{AsyncRead, ReadBuf};

/// What is read from a client that always has something to say.
pub(crate) struct Flood {
    unread: Vec<u8>,
    again: Vec<u8>,
    ends: Instant,
}

impl Flood {
    /// `first`, then `again` over and over until `lasts` has passed, then the end of the stream.
    pub(crate) fn new(first: Vec<u8>, again: Vec<u8>, lasts: Duration) -> Self {
        Self {
            unread: first,
            again,
            ends: Instant::now() + lasts,
        }
    }
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() && Instant::now() < self.ends {
            self.unread = self.again.clone();
        }
        let length = self.unread.len().min(buf.remaining());
        buf.put_slice(&self.unread[..length]);
        self.unread.drain(..length);
        Poll::Ready(Ok(()))
    }
}
