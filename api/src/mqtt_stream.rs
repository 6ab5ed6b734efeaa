//! A WebSocket as a stream of bytes.
//!
//! MQTT packets may be split over WebSocket messages and joined in one (MQTT 5, section 6), so messages are no more
//! than chunks of a stream.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use poem::web::websocket::Message;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest message sent, in bytes. With it the buffer below the sink is bounded too.
pub(crate) const MAX_CHUNK: usize = 16 * 1024;

/// Reads and writes the binary messages of a WebSocket.
pub(crate) struct MqttWebSocket<S> {
    socket: S,
    /// What was received and not read yet.
    unread: Bytes,
}

impl<S> MqttWebSocket<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self {
            socket,
            unread: Bytes::new(),
        }
    }
}

impl<S: Stream<Item = io::Result<Message>> + Unpin> AsyncRead for MqttWebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes.into(),
                Some(Ok(Message::Text(_))) => {
                    // MQTT 5, section 6: a text frame ends the connection.
                    let error = "a text frame on an MQTT connection";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                // Reading on also sends the answer to a ping or a close; after a close comes the end.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: Sink<Message, Error = io::Error> + Unpin> AsyncWrite for MqttWebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.socket.poll_ready_unpin(cx))?;
        let length = bytes.len().min(MAX_CHUNK);
        self.socket
            .start_send_unpin(Message::Binary(bytes[..length].to_vec()))?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush_unpin(cx)
    }

    /// Sends a close frame.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_close_unpin(cx)
    }
}
