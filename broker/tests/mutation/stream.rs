//! A client as a byte stream: what it sends is known beforehand, and it takes all that comes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a client of a test sends: parts that are read one by one, then the end of the stream.
pub(crate) struct Script {
    bytes: Arc<[u8]>,
    /// Where each part ends, in order.
    ends: Vec<usize>,
    read: usize,
    /// The next read answers that there is nothing yet: the session does what else it has to do.
    pausing: bool,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Script {
    /// A client that sends `bytes` in parts that end at `ends`, and what it will have received.
    pub(crate) fn new(bytes: Arc<[u8]>, mut ends: Vec<usize>) -> (Self, Arc<Mutex<Vec<u8>>>) {
        ends.push(bytes.len());
        ends.sort_unstable();
        ends.dedup();
        ends.reverse();
        let received = Arc::<Mutex<Vec<u8>>>::default();
        let script = Self {
            bytes,
            ends,
            read: 0,
            pausing: false,
            received: received.clone(),
        };
        (script, received)
    }
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.pausing = !self.pausing;
        if self.pausing {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(end) = self.ends.last().copied() else {
            return Poll::Ready(Ok(()));
        };
        let length = (end - self.read).min(buf.remaining());
        buf.put_slice(&self.bytes[self.read..self.read + length]);
        self.read += length;
        if self.read == end {
            self.ends.pop();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.received.lock().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
