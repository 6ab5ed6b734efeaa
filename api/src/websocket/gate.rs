//! How much a client may send before it is let in.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that a client may send before it gets a response: the largest CONNECT that the broker takes, in frames of a sensible
/// size. One read may go beyond.
pub(crate) const BEFORE_ANSWER: usize = 96 * 1024;

/// A connection on which no more than [`BEFORE_ANSWER`] is read until it is [open](Gate::open).
pub(crate) struct Gate<S> {
    stream: S,
    /// How many bytes may still come; `None`: any number.
    left: Option<usize>,
}

impl<S> Gate<S> {
    /// A connection on which nothing has been read.
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            left: Some(BEFORE_ANSWER),
        }
    }

    /// Lets any number of bytes through: the client has got a response.
    pub(crate) fn open(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == Some(0) {
            let error = "more than a CONNECT before CONNACK";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.left = self.left.map(|left| left.saturating_sub(read));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
