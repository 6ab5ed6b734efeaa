//! What the API asks of the broker about live MQTT sessions.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Username;
use herald_store::{Seq, StoreError, Timestamp, UserId};
use poem_openapi::Enum;

/// What carries an MQTT connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS.
    Tls,
    /// A WebSocket, with or without TLS.
    WebSocket,
}

/// The version of MQTT that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum Protocol {
    /// MQTT 3.1.1.
    #[oai(rename = "3.1.1")]
    V311,
    /// MQTT 5.
    #[oai(rename = "5")]
    V5,
}

/// A live MQTT session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveConnection {
    /// Names it, and no other one ever.
    pub id: String,
    /// Whose it is.
    pub username: Username,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// The id of the token that it signed in with; `None`: with the password.
    pub token: Option<String>,
    /// Where the connection comes from; `None` while the session has none and waits for its client.
    pub peer: Option<SocketAddr>,
    /// Of the connection, or the last one. The same holds for what follows.
    pub transport: Transport,
    /// The version that the client speaks.
    pub protocol: Protocol,
    /// When the connection began.
    pub connected_at: Timestamp,
    /// In seconds; 0 for none.
    pub keep_alive_s: u16,
    /// Filters that it has subscribed to; `None` of one on another server, which alone knows. The same holds for what follows.
    pub subscriptions: Option<usize>,
    /// QoS 1 and 2 messages to the client that are not acknowledged to the end.
    pub in_flight: Option<usize>,
    /// What the machine of the server that has it calls itself; `None`: there is one server.
    pub node: Option<String>,
}

/// The live MQTT sessions, of all servers that share the database.
pub trait LiveConnections: Send + Sync {
    /// At most `limit` of them, in an order that stays the same: of `user` alone, if given, and behind the one with the id
    /// `after`, which may have ended. `None` if that was never the id of one.
    fn list<'a>(
        &'a self,
        user: Option<&'a Username>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<LiveConnection>>, StoreError>>;

    /// Ends one, and its connection if it has one. Returns what it was; `None` if there is none with this id. One on another
    /// server is waited for, but not for long.
    fn kick<'a>(&'a self, id: &'a str)
    -> BoxFuture<'a, Result<Option<LiveConnection>, StoreError>>;

    /// Makes the session that the user with this id and name has under `client_id`, connected or not, leave out the
    /// notifications up to `up_to`, which are in the inbox. One on another server learns of it soon after. Returns whether there
    /// is such a session.
    fn skip<'a>(
        &'a self,
        user: &'a UserId,
        username: &'a Username,
        client_id: &'a Arc<str>,
        up_to: Seq,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;
}

/// For an API without a broker: there are none.
pub(crate) struct NoConnections;

impl LiveConnections for NoConnections {
    fn list(
        &self,
        _: Option<&Username>,
        _: Option<&str>,
        _: usize,
    ) -> BoxFuture<'_, Result<Option<Vec<LiveConnection>>, StoreError>> {
        async { Ok(Some(vec![])) }.boxed()
    }

    fn kick(&self, _: &str) -> BoxFuture<'_, Result<Option<LiveConnection>, StoreError>> {
        async { Ok(None) }.boxed()
    }

    fn skip(
        &self,
        _: &UserId,
        _: &Username,
        _: &Arc<str>,
        _: Seq,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async { Ok(false) }.boxed()
    }
}
