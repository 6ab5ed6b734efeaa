//! A takeover: a session on its way from its owner to the connection that takes it over.

use std::{convert::Infallible, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::session_state::SessionState;

/// Where a new connection of the same client waits for the session.
pub(crate) type Takeover = oneshot::Sender<HandedSession>;

/// Holds the session until one of both sides has it.
type SharedSession = Arc<Mutex<Option<Box<SessionState>>>>;

/// What the connection gets. The owner has the session back if this is dropped before the session was
/// [taken](HandedSession::take).
pub(crate) struct HandedSession {
    session: SharedSession,
    /// Dropped with the rest, which the owner waits for.
    _decided: oneshot::Sender<Infallible>,
}

/// What the owner keeps meanwhile.
pub(crate) struct OfferedSession {
    session: SharedSession,
    decided: oneshot::Receiver<Infallible>,
}

impl HandedSession {
    /// The session is the connection's; `None` if its owner has ended it meanwhile.
    pub(crate) fn take(self) -> Option<Box<SessionState>> {
        self.session.lock().take()
    }
}

impl OfferedSession {
    /// Hands `state` to the connection that waits at `takeover`.
    pub(crate) fn new(state: Box<SessionState>, takeover: Takeover) -> Self {
        let session = Arc::new(Mutex::new(Some(state)));
        let (undecided, decided) = oneshot::channel();
        let handed = HandedSession {
            session: session.clone(),
            _decided: undecided,
        };
        // A connection that has given up drops it at once.
        drop(takeover.send(handed));
        Self { session, decided }
    }

    /// Waits until the connection has taken the session (`None`), or has given up. Cancel-safe.
    pub(crate) async fn decided(&mut self) -> Option<Box<SessionState>> {
        let _ = (&mut self.decided).await;
        self.take_back()
    }

    /// The session, unless the connection has taken it.
    pub(crate) fn take_back(&self) -> Option<Box<SessionState>> {
        self.session.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::SessionId;

    fn offered() -> (OfferedSession, HandedSession) {
        let (takeover, mut handed) = oneshot::channel();
        let state = Box::new(SessionState::new(SessionId::next()));
        let offered = OfferedSession::new(state, takeover);
        (offered, handed.try_recv().unwrap())
    }

    #[tokio::test]
    async fn a_session_is_with_whoever_took_it_first() {
        let (mut owner, connection) = offered();
        assert!(connection.take().is_some());
        assert!(owner.decided().await.is_none());

        let (owner, connection) = offered();
        assert!(owner.take_back().is_some());
        assert!(connection.take().is_none());
    }

    #[tokio::test]
    async fn a_connection_that_gives_up_leaves_the_session_to_its_owner() {
        let (mut owner, connection) = offered();
        drop(connection);
        assert!(owner.decided().await.is_some());

        let (takeover, handed) = oneshot::channel();
        drop(handed);
        let state = Box::new(SessionState::new(SessionId::next()));
        let mut owner = OfferedSession::new(state, takeover);
        assert!(owner.decided().await.is_some());
    }
}
