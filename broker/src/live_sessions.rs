//! Live sessions, as an administrator sees them.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use herald_acl::Username;

use crate::{host::Credential, ids::SessionId};

/// Where a connection comes from, and over what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub peer: SocketAddr,
    /// What carries the bytes.
    pub transport: Transport,
}

/// What carries a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS.
    Tls,
    /// A WebSocket, with or without TLS.
    WebSocket,
}

/// The version of MQTT that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// A session, as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// Identifies the session for as long as it lives. No session of another run of the process has the same.
    pub id: String,
    /// Whose it is.
    pub username: Username,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// What the client showed to get in.
    pub credential: Credential,
    /// Where its connection comes from; `None` while it waits for its client.
    pub peer: Option<SocketAddr>,
    /// What carries its connection; what carried the last one while there is none. The same holds for what follows.
    pub transport: Transport,
    /// The version that the client speaks.
    pub protocol: Protocol,
    /// When the connection began.
    pub began_at: SystemTime,
    /// The keep-alive time in force, in seconds; 0 for none.
    pub keep_alive_s: u16,
    /// Filters that it has subscribed to.
    pub subscriptions: usize,
    /// QoS 1 and 2 messages to the client that are not acknowledged to the end.
    pub in_flight: usize,
}

/// Which live sessions to list.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveQuery<'a> {
    /// Of this user alone.
    pub username: Option<&'a Username>,
    /// Only those behind the one with this id, which may have ended.
    pub after: Option<&'a str>,
    /// At most so many.
    pub limit: usize,
}

/// What is known of a connection. Small, as each session has one.
#[derive(Debug)]
pub(crate) struct Link {
    ip: IpAddr,
    port: u16,
    pub(crate) transport: Transport,
    pub(crate) protocol: Protocol,
    pub(crate) keep_alive_s: u16,
    pub(crate) began_at: SystemTime,
}

impl Link {
    /// One that begins now.
    pub(crate) fn new(origin: Origin, protocol: Protocol, keep_alive_s: u16) -> Self {
        Self {
            ip: origin.peer.ip(),
            port: origin.peer.port(),
            transport: origin.transport,
            protocol,
            keep_alive_s,
            began_at: SystemTime::now(),
        }
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// Distinguishes this run of the process from others: an id from before a restart must not name another client's session.
static RUN: LazyLock<u32> = LazyLock::new(rand::random);

/// The `LiveSession::id` of a session.
pub(crate) fn id_of(session: SessionId) -> String {
    LiveId {
        run: *RUN,
        number: session.number(),
    }
    .to_string()
}

/// The session that `id` identifies: `Ok(None)` if it belongs to another run, an error if it is not an id of a session.
pub(crate) fn session_of(id: &str) -> Result<Option<SessionId>, NoSessionId> {
    let id = LiveId::parse(id).ok_or(NoSessionId)?;
    Ok((id.run == *RUN).then(|| SessionId::from_number(id.number)))
}

/// A text is not the id of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a session")]
pub struct NoSessionId;

struct LiveId {
    run: u32,
    number: u64,
}

impl LiveId {
    fn parse(text: &str) -> Option<Self> {
        let (run, number) = text.split_once('-')?;
        let id = Self {
            run: u32::from_str_radix(run, 16).ok()?,
            number: number.parse().ok()?,
        };
        // One spelling each.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for LiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{}", self.run, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_session_and_none_of_another_run() {
        let session = SessionId::next();
        let id = id_of(session);
        assert_eq!(session_of(&id), Ok(Some(session)));
        let other = LiveId {
            run: RUN.wrapping_add(1),
            number: session.number(),
        };
        assert_eq!(session_of(&other.to_string()), Ok(None));
        for text in [
            "",
            "-",
            "1",
            "00000001-",
            "00000001-+1",
            "1-1",
            "0000000G-1",
        ] {
            assert_eq!(session_of(text), Err(NoSessionId), "{text:?}");
        }
    }

    #[test]
    fn what_is_known_of_a_connection_is_small() {
        assert!(size_of::<Link>() <= 40, "{}", size_of::<Link>());
    }
}
