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
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{frame_splitter::PIECE, gate::Gate, split_frames::SplitFrames};

/// The longest message sent, in bytes. With it the buffer below the sink is bounded too.
const MAX_CHUNK: usize = 16 * 1024;

/// What a connection reads at once and may leave unsent, in bytes. tungstenite's default is 128 KiB for each.
const BUFFER: usize = 1024;

/// Reads and writes the binary messages of a WebSocket. Until something is written, which is CONNACK or the end, no more is
/// read than [`BEFORE_ANSWER`](super::gate::BEFORE_ANSWER).
pub(crate) struct MqttWebSocket<S> {
    socket: WebSocketStream<SplitFrames<Gate<S>>>,
    /// What was received and not read yet.
    unread: Bytes,
}

impl<S: AsyncRead + AsyncWrite + Unpin> MqttWebSocket<S> {
    /// The server's end of a connection that was upgraded.
    pub(crate) async fn new(stream: S) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(PIECE))
            .max_frame_size(Some(PIECE))
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER)
            // Room for one chunk with its header beyond the buffer, and for answers to pings.
            .max_write_buffer_size(BUFFER + 2 * MAX_CHUNK);
        let frames = SplitFrames::new(Gate::new(stream), BUFFER);
        Self {
            socket: WebSocketStream::from_raw_socket(frames, Role::Server, Some(config)).await,
            unread: Bytes::new(),
        }
    }
}

fn failed(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        error => io::Error::other(error),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MqttWebSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.unread = bytes,
                Some(Ok(Message::Text(_))) => {
                    // MQTT 5, section 6: a text frame ends the connection.
                    let error = "a text frame on an MQTT connection";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                // Reading on also sends the answer to a ping or a close; after a close comes the end.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.unread.len().min(buffer.remaining());
        buffer.put_slice(&self.unread[..length]);
        self.unread.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MqttWebSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket.get_mut().get_mut().open();
        ready!(self.socket.poll_ready_unpin(cx)).map_err(failed)?;
        let length = bytes.len().min(MAX_CHUNK);
        let message = Message::binary(bytes[..length].to_vec());
        self.socket.start_send_unpin(message).map_err(failed)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush_unpin(cx).map_err(failed)
    }

    /// Sends a close frame.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_close_unpin(cx).map_err(failed)
    }
}
