//! Sessions as they are written down, and as the broker and the API have them.

use herald_api::LiveConnection;
use herald_broker::{Arrival, Credential, OwnSession, Protocol, Transport};
use herald_store::{
    Departure, ListedMqttSession, MqttSession, MqttWill, SessionKey, TakeOver, UserId,
};

use crate::host::timestamp;

fn key(session: &OwnSession) -> SessionKey {
    SessionKey {
        user: UserId::from_string(session.user_id.clone()),
        client_id: session.client_id.clone(),
    }
}

fn number(session: &OwnSession) -> i64 {
    i64::try_from(session.number).unwrap_or(i64::MAX)
}

/// A session up to the takeover that it names.
pub(super) fn departure(session: &OwnSession) -> Departure {
    Departure {
        key: key(session),
        number: number(session),
    }
}

/// What is written down when a client arrives.
pub(super) fn take_over(arrival: Arrival) -> TakeOver {
    let (listed, number) = (arrival.listed, number(&arrival.session));
    TakeOver {
        session: MqttSession {
            key: key(&arrival.session),
            id: listed.id,
            token_id: match listed.credential {
                Credential::Password => None,
                Credential::Token { id, .. } => Some(id.as_ref().to_owned()),
            },
            peer: listed.peer.map(|peer| peer.to_string()),
            transport: transport(listed.transport).to_owned(),
            protocol: protocol(listed.protocol).to_owned(),
            connected_at: timestamp(listed.began_at),
            keep_alive_s: listed.keep_alive_s,
        },
        number,
        clean: arrival.clean,
        limit: arrival.limit,
        here: arrival.here,
        idle_here: arrival.idle_here,
        will: arrival.will.map(|will| MqttWill {
            delay: will.delay,
            text: will.text,
        }),
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
        Transport::WebSocket => "websocket",
    }
}

fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::V311 => "3.1.1",
        Protocol::V5 => "5",
    }
}

/// A session as the API shows it. `None` if it is not understood: a later version has written it.
pub(super) fn connection(listed: ListedMqttSession) -> Option<LiveConnection> {
    let session = listed.session;
    Some(LiveConnection {
        id: session.id,
        username: listed.username.parse().ok()?,
        client_id: session.key.client_id,
        token: session.token_id,
        peer: session.peer.map(|peer| peer.parse()).transpose().ok()?,
        transport: match session.transport.as_str() {
            "tcp" => herald_api::Transport::Tcp,
            "tls" => herald_api::Transport::Tls,
            "websocket" => herald_api::Transport::WebSocket,
            _ => return None,
        },
        protocol: match session.protocol.as_str() {
            "3.1.1" => herald_api::Protocol::V311,
            "5" => herald_api::Protocol::V5,
            _ => return None,
        },
        connected_at: session.connected_at,
        keep_alive_s: session.keep_alive_s,
        subscriptions: None,
        in_flight: None,
        node: Some(listed.node),
    })
}
