//! How a session ends.

use std::{fmt, io, time::Duration};

use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};

use crate::wire::{Closed, Reason};

use super::Session;

/// How long answers to what was received may still take.
const LAST_ANSWERS: Duration = Duration::from_secs(12);

/// Why a session is over.
#[derive(Debug)]
pub(super) enum End {
    /// The client said DISCONNECT.
    Client,
    /// The server ends it, and says why.
    Server(Reason),
    /// The client broke the protocol; what it is told has been queued.
    Protocol(Closed),
    /// The connection is of no use any more.
    Broken(&'static str),
    /// The socket failed, or the client closed it.
    Socket(io::Error),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("the client disconnected"),
            Self::Server(reason) => write!(f, "the server ended it: {reason:?}"),
            Self::Protocol(Closed(Some(e))) => write!(f, "the client broke the protocol: {e}"),
            Self::Protocol(Closed(None)) => f.write_str("closed"),
            Self::Broken(what) => f.write_str(what),
            Self::Socket(e) => write!(f, "socket: {e}"),
        }
    }
}

impl From<Closed> for End {
    fn from(closed: Closed) -> Self {
        Self::Protocol(closed)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Leaves every place that knows of the session, publishes the will if it is due, and says goodbye.
    pub(super) async fn finish(mut self, end: End) {
        self.place.leave();
        tracing::debug!(user = %self.identity.username, client_id = ?self.client_id, %end, "session ended");
        // A send that was received is stored, whether or not the client is still there to hear of it.
        self.last_answers().await;
        if let End::Server(reason) = end {
            self.io.wire.disconnect(reason);
        }
        if !matches!(end, End::Server(Reason::ShuttingDown))
            && let Some(will) = self.will.take()
        {
            // The ACL and the connection may have changed since CONNECT: asked anew, and nobody is left to tell.
            let answer = self.accept(will).await.await;
            if let Err(super::Refused::With(code, text)) = answer.result {
                tracing::info!(user = %self.identity.username, ?code, text, "will dropped");
            }
        }
        if !matches!(end, End::Socket(_)) {
            self.io.finish().await;
        }
    }

    /// Waits for the answers to what was received, and queues them.
    async fn last_answers(&mut self) {
        let answers = async {
            while let Some(answer) = self.answers.next().await {
                // An answer that the connection no longer takes is one that nobody waits for.
                let _ = self.answer(answer);
            }
        };
        if timeout(LAST_ANSWERS, answers).await.is_err() {
            tracing::warn!(user = %self.identity.username, "some messages were not answered in time");
        }
    }
}
