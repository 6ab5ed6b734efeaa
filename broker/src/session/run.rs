//! A connection from its first byte to its last.

use std::sync::Arc;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};

use super::{connect, connected::Session, context::Context, end::End, io::Io};
use crate::{live::Origin, wire::Wire};

/// Runs a connection to its end. `deadline` bounds all that comes before CONNACK.
pub(crate) fn run<S>(
    ctx: Arc<Context>,
    stream: S,
    origin: Origin,
    deadline: Instant,
) -> impl Future<Output = ()> + Send
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    // Boxed, so that a connection is not as large as its handshake once that is over.
    let begin = Box::pin(begin(ctx, stream, origin, deadline));
    async move {
        if let Some((session, io)) = begin.await {
            session.run(io).await;
        }
    }
}

/// From the first byte to CONNACK. `None`: it did not come to a session.
async fn begin<S>(
    ctx: Arc<Context>,
    stream: S,
    origin: Origin,
    deadline: Instant,
) -> Option<(Box<Session>, Box<Io<S>>)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut wire = Box::new(Wire::new(ctx.limits.packet_bytes));
    let mut io = Box::new(Io::new(stream, ctx.limits.write_stall));
    let connecting = connect::connect(&ctx, &mut io, &mut wire, origin);
    let connected = tokio::select! {
        done = tokio::time::timeout_at(deadline, connecting) => done.ok(),
        () = ctx.stop.cancelled() => None,
    };
    let peer = origin.peer;
    match connected {
        Some(Ok(admitted)) => {
            tracing::debug!(%peer, user = %admitted.client.identity.username, client_id = ?admitted.client.id, session_present = admitted.state.is_present, "session began");
            return Some((Box::new(Session::new(ctx, wire, admitted)), io));
        }
        Some(Err(refusal)) => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, reason = %refusal, "connection refused");
            io.finish(&mut wire, &ctx.stop).await;
        }
        None => {
            ctx.metrics.connects_refused.add(1);
            tracing::debug!(%peer, "connection gave no CONNECT in time");
        }
    }
    None
}

impl Session {
    async fn run<S>(mut self: Box<Self>, mut io: Box<Io<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let end = match self.take_up() {
            Ok(()) => loop {
                match self.turn(&mut io).await {
                    Ok(()) => {}
                    Err(end) => break end,
                }
            },
            Err(end) => end,
        };
        // Boxed, as a session spends next to no time there.
        Box::pin(self.finish(io, end)).await;
    }

    /// Goes on with a session that was kept.
    fn take_up(&mut self) -> Result<(), End> {
        if !self.state.is_present {
            return Ok(());
        }
        self.wire.resume(self.state.received.iter().copied());
        for id in self.state.in_flight.released() {
            self.wire.pubrel(id, true)?;
            self.state.in_flight.sent(id);
        }
        // Some may have been skipped meanwhile, which are not to be sent again.
        self.take_mail()?;
        // It may have been without a connection for long.
        self.use_cursor();
        for granted in &self.state.granted {
            // Live copies, which a session without a connection does not have.
            self.guard.observe(&self.client.identity, granted);
        }
        self.recheck()
    }
}
