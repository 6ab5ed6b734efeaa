//! The broker's live sessions, as the API asks for them.

use herald_acl::Username;
use herald_api::{LiveConnection, LiveConnections};
use herald_broker::{Broker, Credential, LiveQuery, LiveSession};
use herald_store::{Seq, UserId};

use crate::host::timestamp;

/// The sessions of one broker.
pub(crate) struct Live(pub(crate) Broker);

impl LiveConnections for Live {
    fn list(
        &self,
        username: Option<&Username>,
        after: Option<&str>,
        limit: usize,
    ) -> Option<Vec<LiveConnection>> {
        let query = LiveQuery {
            username,
            after,
            limit,
        };
        let listed = self.0.live(query).ok()?;
        Some(listed.into_iter().map(connection).collect())
    }

    fn kick(&self, id: &str) -> Option<LiveConnection> {
        self.0.kick(id).map(connection)
    }

    fn skip(&self, user: &UserId, username: &Username, client_id: &str, up_to: Seq) -> bool {
        self.0.skip(user.as_str(), username, client_id, up_to.0)
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
        subscriptions: session.subscriptions,
        in_flight: session.in_flight,
    }
}
