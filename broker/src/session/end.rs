//! Why a session is over.

use std::{fmt, io};

use crate::wire::{Closed, Reason};

/// Why a session is over.
#[derive(Debug)]
pub(crate) enum End {
    /// The client sent DISCONNECT.
    Client,
    /// The server ends it; DISCONNECT of MQTT 5 has the reason.
    Server(Reason),
    /// The client broke the protocol; DISCONNECT is queued.
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

impl End {
    /// Whether the session ends with the connection, however long it was to be kept.
    pub(super) fn ends_session(&self) -> bool {
        matches!(
            self,
            Self::Server(reason) if reason.weight() > 0
        )
    }

    /// Whether the will is published: not that of a client that lost the right to be here, nor at shutdown, when connections
    /// end that would not have ended.
    pub(super) fn allows_will(&self) -> bool {
        !matches!(
            self,
            Self::Server(Reason::NotAuthorized | Reason::ShuttingDown)
        )
    }

    /// Whether the client is only sent to another server: a will without a delay is not for that.
    pub(super) fn is_move(&self) -> bool {
        matches!(self, Self::Server(Reason::Moved))
    }
}
