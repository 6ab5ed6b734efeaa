//! Live MQTT sessions, for administrators.

use std::sync::Arc;

use herald_acl::Username;
use herald_store::Store;
use poem_openapi::{
    ApiResponse, Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use crate::{
    audit::AuditAction,
    error::{
        ApiError, Code, Failure,
        codes::{Invalid, NotFound},
    },
    fields::{
        DateTime, Id, Limit, Name, NextPageToken, PageToken, described::described, example::example,
    },
    live_connections::{LiveConnection, LiveConnections, Protocol, Transport},
    middleware::caller::Administrator,
    routes::tags::Tag,
    views::page,
};

pub(crate) struct ConnectionsApi {
    pub(crate) store: Store,
    pub(crate) connections: Arc<dyn LiveConnections>,
}

/// What a client logged in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
enum CredentialKind {
    Password,
    Token,
}

described! {
    /// Stays the same as long as the session lives.
    ConnectionId(String, "5f1c9a04-17") {
        max_length: Some(64),
    }
}

/// A live MQTT session: of a client that is connected, or of one that is expected back.
#[derive(Object)]
#[oai(example, rename = "Connection")]
struct ConnectionView {
    id: ConnectionId,
    /// Whose it is.
    username: Name,
    /// What the client calls itself.
    client_id: String,
    /// Whether the client is connected. If not, its session waits for it.
    connected: bool,
    /// The client's address and port. Null while it is not connected.
    address: Option<String>,
    /// Of the connection. This and what follows is of the last one while the client is not connected.
    transport: Transport,
    protocol: Protocol,
    /// When the connection began.
    connected_at: DateTime,
    /// In seconds; 0 for none.
    keep_alive_s: u16,
    credential: CredentialKind,
    /// The id of the token that the client logged in by. Null if that was the password.
    token_id: Option<String>,
    /// How many filters it has subscribed to. Null if it is on another server, as is the next.
    subscriptions: Option<u32>,
    /// How many QoS 1 and 2 messages are on their way to it and not acknowledged.
    in_flight: Option<u32>,
    /// Where several servers can share a database: what the machine of the one that has it calls itself. Else it is left out.
    #[oai(skip_serializing_if_is_none)]
    node: Option<String>,
}

example!(ConnectionView {
    id,
    username,
    client_id: "phone".into(),
    connected: true,
    address: Some("192.0.2.1:51724".into()),
    transport: Transport::Tls,
    protocol: Protocol::V5,
    connected_at,
    keep_alive_s: 60,
    credential: CredentialKind::Password,
    token_id: None,
    subscriptions: Some(1),
    in_flight: Some(0),
    node: None,
});

/// A page of sessions.
#[derive(Object)]
#[oai(example)]
struct ConnectionList {
    items: Vec<ConnectionView>,
    /// The `after` of the next page.
    next: Option<NextPageToken>,
}

example!(ConnectionList {
    items: vec![ConnectionView::example()],
    next: None
});

#[derive(ApiResponse)]
enum Ended {
    /// The session is at its end.
    #[oai(status = 204)]
    Ended,
}

#[OpenApi(prefix_path = "/admin/connections", tag = "Tag::Admin")]
impl ConnectionsApi {
    /// List MQTT sessions
    ///
    /// As they are when they are read, in the order in which they began; where several servers share a database, those of all
    /// of them, in an order of their own.
    #[oai(path = "/", method = "get", operation_id = "listConnections")]
    async fn list(
        &self,
        _admin: Administrator,
        /// Only sessions of the user with this name. Nobody has to have it.
        user: Query<Option<Name>>,
        /// Only sessions behind this one, which may have ended.
        after: Query<Option<PageToken>>,
        #[oai(default)] limit: Query<Limit>,
    ) -> Result<Json<ConnectionList>, Failure<Invalid>> {
        let user = user.0.map(|Name(name)| Username::parse(&name)).transpose();
        let user = user.map_err(|error| ApiError::invalid(format!("user: {error}")))?;
        let after = after.0.as_ref().map(|PageToken(id)| id.as_str());
        let limit = limit.0.0;
        let listed = self
            .connections
            .list(user.as_ref(), after, limit as usize + 1)
            .await?;
        let listed = listed.ok_or_else(|| ApiError::invalid("after is not the next of a page."))?;
        let (items, next) = page::cut(listed, limit, |live| live.id.clone());
        Ok(Json(ConnectionList {
            items: items.into_iter().map(ConnectionView::from).collect(),
            next,
        }))
    }

    /// End an MQTT session
    ///
    /// Its connection ends within a second (MQTT 5: DISCONNECT 0x98), and what is kept for the client goes, but not its
    /// inbox. The client may connect again: to keep it out, revoke its token or lock its account.
    #[oai(path = "/:id", method = "delete", operation_id = "endConnection")]
    async fn end(&self, admin: Administrator, id: Path<Id>) -> Result<Ended, Failure<NotFound>> {
        let ended = self.connections.kick(&id.0.0).await?;
        let ended =
            ended.ok_or_else(|| ApiError::new(Code::NotFound, "There is no such connection."))?;
        tracing::info!(by = %admin.0.user.username, connection = ended.id, user = %ended.username, client_id = ?ended.client_id, "an MQTT session was ended");
        let event = admin
            .0
            .event(AuditAction::ConnectionEnded)
            .to(ended.username);
        let event = event.detail(format!("client id {:?}", ended.client_id));
        self.store.record_audit(vec![event.entry()]).await?;
        Ok(Ended::Ended)
    }
}

impl From<LiveConnection> for ConnectionView {
    fn from(live: LiveConnection) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            id: ConnectionId(live.id),
            username: Name::of(live.username),
            client_id: live.client_id.as_ref().to_owned(),
            connected: live.peer.is_some(),
            address: live.peer.map(|peer| peer.to_string()),
            transport: live.transport,
            protocol: live.protocol,
            connected_at: live.connected_at.into(),
            keep_alive_s: live.keep_alive_s,
            credential: match live.token {
                None => CredentialKind::Password,
                Some(_) => CredentialKind::Token,
            },
            token_id: live.token,
            subscriptions: live.subscriptions.map(count),
            in_flight: live.in_flight.map(count),
            node: live.node,
        }
    }
}
