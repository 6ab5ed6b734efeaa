//! The live sessions, as the API asks for them: the broker's, or those of all servers that share the database.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use herald_acl::Username;
use herald_api::{LiveConnection, LiveConnections};
use herald_broker::{Broker, Credential, LiveQuery, LiveSession};
use herald_store::{Seq, StoreError, UserId};

use crate::{host::timestamp, nodes::SharedSessions};

/// The sessions of one broker, and of others if there can be any.
pub(crate) struct Live {
    pub(crate) broker: Broker,
    pub(crate) shared: Option<Arc<SharedSessions>>,
}

impl LiveConnections for Live {
    fn list<'a>(
        &'a self,
        username: Option<&'a Username>,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<LiveConnection>>, StoreError>> {
        // Of several servers it is only asked whether `after` can be an id.
        let here = if self.shared.is_none() { limit } else { 0 };
        let query = LiveQuery {
            username,
            after,
            limit: here,
        };
        let listed = self.broker.live(query).ok();
        async move {
            let Some(listed) = listed else {
                return Ok(None);
            };
            if let Some(shared) = &self.shared {
                let all = shared.list(&self.broker, username, after, limit);
                return all.await.map(Some);
            }
            Ok(Some(listed.into_iter().map(connection).collect()))
        }
        .boxed()
    }

    fn kick<'a>(
        &'a self,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<LiveConnection>, StoreError>> {
        async move {
            match &self.shared {
                Some(shared) => shared.kick(&self.broker, id).await,
                None => Ok(self.broker.kick(id).map(connection)),
            }
        }
        .boxed()
    }

    fn skip<'a>(
        &'a self,
        user: &'a UserId,
        username: &'a Username,
        client_id: &'a Arc<str>,
        up_to: Seq,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let broker = &self.broker;
            let is_here = broker.skip(user.as_str(), username, client_id, up_to.0);
            // What is here may be what is left of one that has gone elsewhere.
            let is_elsewhere = match &self.shared {
                Some(shared) => shared.skip(user, username, client_id, up_to).await?,
                None => false,
            };
            Ok(is_here || is_elsewhere)
        }
        .boxed()
    }
}

fn connection(session: LiveSession) -> LiveConnection {
    LiveConnection {
        id: session.id,
        username: session.username,
        client_id: session.client_id,
        token: match session.credential {
            Credential::Password => None,
            Credential::Token { id, .. } => Some(id.as_ref().to_owned()),
        },
        peer: session.peer,
        transport: match session.transport {
            herald_broker::Transport::Tcp => herald_api::Transport::Tcp,
            herald_broker::Transport::Tls => herald_api::Transport::Tls,
            herald_broker::Transport::WebSocket => herald_api::Transport::WebSocket,
        },
        protocol: match session.protocol {
            herald_broker::Protocol::V311 => herald_api::Protocol::V311,
            herald_broker::Protocol::V5 => herald_api::Protocol::V5,
        },
        connected_at: timestamp(session.began_at),
        keep_alive_s: session.keep_alive_s,
        subscriptions: Some(session.subscriptions),
        in_flight: Some(session.in_flight),
        node: None,
    }
}
