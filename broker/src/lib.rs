//! Herald's MQTT broker: sessions, the durable inbox and the shared topics.
//!
//! Clients speak MQTT 3.1.1 or 5 over any byte stream: TCP, TLS or WebSocket. Every packet passes a session
//! that asks [`herald_acl`] first. Two planes lie behind it:
//!
//! - **durable**: `users/{username}/...`. Delivery goes by who the session is, never by matching topics: a session reads
//!   its own user's [`Inbox`] and nothing else.
//! - **shared**: every other topic, live: a trie of subscriptions decides who gets a message, which an embedded `rumqttd` that
//!   no client ever talks to has passed on.
//!
//! The broker knows no SQL. It asks its host who may connect ([`Authenticate`]), what is in an inbox ([`Inbox`]), and
//! whether a message is accepted ([`Intake`]). The host keeps what is retained ([`Retain`]), and gets reports of what was
//! denied ([`Observe`]).

mod attributes;
mod broker;
mod bus;
mod delivery;
mod feed;
mod followed;
mod host;
mod ids;
mod limits;
mod live_sessions;
mod mailbox;
mod message;
mod metrics;
mod neighbours;
mod observers;
mod owners;
mod progress;
mod registry;
mod session;
mod state;
mod stream;
mod sys;
mod user_bytes;
mod watched;
mod wire;

pub use broker::Broker;
pub use host::{
    Authenticate, Batch, Credential, DeniedAction, Host, HostError, Identity, Inbox, Intake, Login,
    LoginRefusal, Notification, Observe, Position, Retain, RetainedChange, RetainedMessage,
    Revoked, SendRefusal, SendRequest, Standing,
};
pub use limits::Limits;
pub use live_sessions::{LiveQuery, LiveSession, NoSessionId, Origin, Protocol, Transport};
pub use metrics::Metrics;
pub use neighbours::Neighbours;
pub use owners::{Arrival, KeptWill, NotOwned, OwnSession, Owned, SessionEnd, SessionOwners};
pub use session::{Connection, Step, Wait};
