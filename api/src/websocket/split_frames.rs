//! A connection whose WebSocket frames are split as they are read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead as _, AsyncRead, AsyncWrite, BufReader, ReadBuf};

use super::frame_splitter::FrameSplitter;

/// Reads the frames of a client as a [`FrameSplitter`] splits them, and writes what is written.
pub(super) struct SplitFrames<S> {
    stream: BufReader<S>,
    splitter: FrameSplitter,
}

impl<S: AsyncRead> SplitFrames<S> {
    /// The frames that come on `stream`, of which `buffer` bytes are read at once.
    pub(super) fn new(stream: S, buffer: usize) -> Self {
        Self {
            stream: BufReader::with_capacity(buffer, stream),
            splitter: FrameSplitter::default(),
        }
    }

    /// The connection below.
    pub(super) fn get_mut(&mut self) -> &mut S {
        self.stream.get_mut()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for SplitFrames<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        output: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, splitter } = self.get_mut();
        let before = output.filled().len();
        if splitter.has_head() {
            splitter.split(&[], output)?;
        }
        // The bytes of a head bring nothing to hand over yet.
        while output.filled().len() == before && output.remaining() > 0 {
            let input = ready!(Pin::new(&mut *stream).poll_fill_buf(cx))?;
            if input.is_empty() {
                break;
            }
            let used = splitter.split(input, output)?;
            Pin::new(&mut *stream).consume(used);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for SplitFrames<S> {
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
