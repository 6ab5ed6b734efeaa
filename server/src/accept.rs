//! Accepts connections, over TLS where asked for. HTTP and MQTT share it.
//!
//! Each handshake runs in its connection's own task and has a deadline, so silent connections delay nobody.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{self, AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout_at},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::{either::Either, sync::CancellationToken, task::TaskTracker};

use crate::connections::{Connections, Counted, SignIn};

/// After a failed accept (no file descriptor left, say), before the next.
const BACKOFF: Duration = Duration::from_millis(100);

/// From accept to the end of all handshakes: TLS, WebSocket upgrade, MQTT CONNECT.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// TLS is boxed: a connection without it should not be as large.
type Stream = Either<Box<TlsStream<TcpStream>>, TcpStream>;

/// A connection, which is counted until it is dropped.
pub(crate) struct Connection {
    stream: Stream,
    counted: Arc<Counted>,
}

impl Connection {
    /// To be marked when somebody signs in by it.
    pub(crate) fn sign_in(&self) -> SignIn {
        SignIn::of(&self.counted)
    }
}

/// What accepting needs.
pub(crate) struct Accept {
    /// Where connections come in.
    pub(crate) listener: TcpListener,
    /// `None` for plain TCP.
    pub(crate) tls: Option<TlsAcceptor>,
    /// Where live connections are counted.
    pub(crate) connections: Arc<Connections>,
    /// Ends it.
    pub(crate) stop: CancellationToken,
    /// Where the tasks of the connections are counted.
    pub(crate) tasks: TaskTracker,
}

impl Accept {
    /// Hands every connection that shook hands to `serve`, with its peer and the deadline of the rest of the handshakes,
    /// until it is stopped.
    pub(crate) async fn run<F, Fut>(self, serve: F)
    where
        F: Fn(Connection, SocketAddr, Instant) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        while let Some(accepted) = self.stop.run_until_cancelled(self.listener.accept()).await {
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    tracing::warn!(error = %e, "cannot accept a connection");
                    sleep(BACKOFF).await;
                    continue;
                }
            };
            let Some(counted) = self.connections.enter(peer.ip()) else {
                continue;
            };
            // Boxed, so that the task is not as large as a handshake once it is over.
            let shaking = Box::pin(shake(stream, peer, counted, self.tls.clone()));
            let (stop, serve) = (self.stop.clone(), serve.clone());
            self.tasks.spawn(async move {
                if let Some(Some((connection, deadline))) = stop.run_until_cancelled(shaking).await
                {
                    serve(connection, peer, deadline).await;
                }
            });
        }
    }
}

/// Shakes hands. Returns the deadline of the handshakes to come, too; `None` if the client did not do its part.
async fn shake(
    stream: TcpStream,
    peer: SocketAddr,
    counted: Counted,
    tls: Option<TlsAcceptor>,
) -> Option<(Connection, Instant)> {
    let deadline = Instant::now() + HANDSHAKE;
    match timeout_at(deadline, handshake(stream, tls)).await {
        Ok(Ok(stream)) => {
            let connection = Connection {
                stream,
                counted: Arc::new(counted),
            };
            return Some((connection, deadline));
        }
        Ok(Err(e)) => tracing::debug!(%peer, error = %e, "TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
    }
    None
}

async fn handshake(stream: TcpStream, tls: Option<TlsAcceptor>) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    match tls {
        Some(tls) => Ok(Either::Left(Box::new(tls.accept(stream).await?))),
        None => Ok(Either::Right(stream)),
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
