//! The socket of a connection: what is received goes to the protocol state, and its output is sent.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{
        AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, ReadHalf, WriteHalf,
        copy, sink,
    },
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    session::{End, Event, Wait, patience},
    wire::Wire,
};

/// Most bytes read at once; also the most that wait to be parsed.
const CHUNK: usize = 8 * 1024;

/// How long the last bytes of a connection may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// The same when the broker stops.
const AT_STOP: Duration = Duration::from_millis(500);

/// How much of what a client still sends is read and dropped.
const DRAIN: u64 = 4 * 1024 * 1024;

/// A byte stream.
pub(super) struct Io<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    /// Bytes were written since the last flush.
    unflushed: bool,
    write_stall: Duration,
    /// When output that waits now must have moved.
    stalled_at: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Io<S> {
    pub(super) fn new(stream: S, write_stall: Duration) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            reader,
            writer,
            unflushed: false,
            write_stall,
            stalled_at: None,
        }
    }

    /// Moves some of what may be moved, or waits for the deadline. Cancel-safe.
    pub(super) async fn transfer(&mut self, wire: &mut Wire, wait: Wait) -> Result<Event, End> {
        if !wait.writes {
            sleep_until_or_for_ever(wait.until).await;
            return Ok(Event::Deadline);
        }
        let waiting = wire.output_len() > 0 || self.unflushed;
        if waiting {
            self.stalled_at
                .get_or_insert_with(|| Instant::now() + self.write_stall);
        }
        if self.stalled_at.is_some_and(|at| at <= Instant::now()) {
            // Also if the client never stops sending.
            return Err(End::Broken("the client does not read"));
        }
        let deadline = [wait.until, self.stalled_at].into_iter().flatten().min();
        let moved = poll_fn(|cx| {
            if waiting && let Poll::Ready(sent) = self.poll_send(wire.output(), cx) {
                return Poll::Ready(sent.map(|()| Event::Sent));
            }
            if wait.reads {
                return self.poll_receive(wire, cx).map_ok(|()| Event::Received);
            }
            Poll::Pending
        });
        tokio::select! {
            biased;
            moved = moved => moved.map_err(End::Socket),
            () = sleep_until_or_for_ever(deadline) => match self.stalled_at {
                Some(at) if at <= Instant::now() => Err(End::Broken("the client does not read")),
                _ => Ok(Event::Deadline),
            },
        }
    }

    fn poll_receive(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // On the stack: a session that waits for its next packet holds no read buffer.
        let mut chunk = [0; CHUNK];
        let mut buf = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        wire.push(buf.filled());
        Poll::Ready(Ok(()))
    }

    fn poll_send(&mut self, out: &mut Vec<u8>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if out.is_empty() {
            ready!(Pin::new(&mut self.writer).poll_flush(cx))?;
            self.unflushed = false;
        } else {
            let n = ready!(Pin::new(&mut self.writer).poll_write(cx, out))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            out.drain(..n);
            if out.is_empty() {
                *out = Vec::new();
            }
            self.unflushed = true;
        }
        self.stalled_at = None;
        Poll::Ready(Ok(()))
    }

    /// Sends `out`, the last bytes, if the client takes them soon, and closes the stream.
    pub(super) async fn finish(&mut self, out: Vec<u8>, stop: &CancellationToken) {
        let goodbye = async {
            self.writer.write_all(&out).await?;
            self.writer.flush().await?;
            self.writer.shutdown().await?;
            // Closing with bytes unread resets the connection, and the client might lose what was sent.
            copy(&mut (&mut self.reader).take(DRAIN), &mut sink()).await
        };
        // The client may be gone.
        tokio::select! {
            _ = goodbye => {}
            () = patience(stop, GOODBYE, AT_STOP) => {}
        }
    }
}

async fn sleep_until_or_for_ever(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
