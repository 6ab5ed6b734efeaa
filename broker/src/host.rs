//! What the broker asks of the server around it.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use herald_acl::{Action, Role, Username};

/// What a client presents in CONNECT.
pub struct Login {
    /// User Name, as sent.
    pub username: String,
    /// Password: the account's, or a token.
    pub password: Vec<u8>,
    /// The client id, or the one that the broker gave it.
    pub client_id: Arc<str>,
    /// Where the connection comes from.
    pub peer: SocketAddr,
}

/// Who a session belongs to. Fixed for the life of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The host's key for the user; the broker only hands it back.
    pub user_id: Arc<str>,
    /// The name that stands in topics.
    pub username: Username,
    /// What the user may do.
    pub role: Role,
    /// What the client showed to get in: the session ends when it is withdrawn.
    pub credential: Credential,
}

/// What a login rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The account's password.
    Password,
    /// A token.
    Token {
        /// The host's key for it.
        id: Arc<str>,
        /// The session ends then; `None`: the token does not expire.
        expires_at: Option<SystemTime>,
    },
}

/// Which sessions of a user have lost their right to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// All: the user is disabled, gone, or has another role now.
    User,
    /// Those that logged in by the password, which was changed.
    Password,
    /// Those that logged in by the token with this [key](Credential::Token).
    Token(Arc<str>),
}

impl Revoked {
    /// Whether a session that rests on `credential` is one of them.
    pub(crate) fn ends(&self, credential: &Credential) -> bool {
        match (self, credential) {
            (Self::User, _) | (Self::Password, Credential::Password) => true,
            (Self::Token(revoked), Credential::Token { id, .. }) => revoked == id,
            _ => false,
        }
    }
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginRefusal {
    /// Wrong name, password or token: which one is kept from the client on purpose.
    #[error("bad user name or password")]
    BadCredentials,
    /// Too many failures from this address or for this account.
    #[error("too many failed logins; wait a few minutes")]
    Throttled,
    /// The host cannot check right now.
    #[error("the server cannot check credentials right now")]
    Unavailable,
}

/// The host failed; the session ends and the client comes back.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HostError(pub String);

/// Decides who may connect.
pub trait Authenticate: Send + Sync + 'static {
    /// Checks `login`. An unknown user must take as long as a wrong password.
    fn authenticate(&self, login: Login) -> BoxFuture<'static, Result<Identity, LoginRefusal>>;
}

/// A numbered entry of a user's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// 1, 2, 3... per user, without gaps.
    pub seq: i64,
    /// The JSON text that is published.
    pub payload: Bytes,
}

/// A part of an inbox.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order.
    pub notifications: Vec<Notification>,
    /// There are others after these.
    pub more: bool,
}

/// Where an inbox is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Everything up to this number has been acknowledged; 0 for nothing.
    pub acknowledged: i64,
    /// The number of the newest notification; 0 if there is none.
    pub newest: i64,
}

/// The durable log of notifications of each user, with a cursor of the user and one of each client id that asked for a
/// session to be kept. The same client id of another user is another one.
pub trait Inbox: Send + Sync + 'static {
    /// How far the inbox of `user` goes, and how far it was acknowledged: by `client_id`, if the session is one that is kept,
    /// else by any session of the user. A client id without a cursor gets one where the user's is; it is durable before this
    /// resolves, and outlives the session.
    fn position(
        &self,
        user: &Identity,
        client_id: Option<&Arc<str>>,
    ) -> BoxFuture<'static, Result<Position, HostError>>;

    /// Moves the cursor of `client_id`, of a session that is kept, to `to`, forwards or back, but not beyond the newest
    /// number. Resolves to where it is now once that is durable.
    fn set_position(
        &self,
        user: &Identity,
        client_id: &Arc<str>,
        to: i64,
    ) -> BoxFuture<'static, Result<Position, HostError>>;

    /// Up to `limit` notifications with a number greater than `after`, in order. Fewer if they are large, but one at
    /// least if there is one.
    fn read(
        &self,
        user: &Identity,
        after: i64,
        limit: usize,
    ) -> BoxFuture<'static, Result<Batch, HostError>>;

    /// The epoch of all inboxes: opaque, and the same as long as the broker runs. Numbers are comparable within one only.
    fn epoch(&self) -> Arc<str>;

    /// Records that everything up to `up_to` has been acknowledged: moves the user's cursor, and that of `client_id`, if the
    /// session is one that is kept. It may be written later, in a batch: losing it costs a repeat. [`Inbox::position`]
    /// already counts it.
    fn acknowledge(&self, user: &Identity, client_id: Option<&Arc<str>>, up_to: i64);
}

/// A message that a client sends by publishing to `users/{me}/messages`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendRequest {
    /// The text to process.
    pub body: String,
    /// The same key with the same body is the same message.
    pub idempotency_key: Option<String>,
    /// MQTT 3.1.1 cannot refuse a message, so that the client sends more slowly or again: it is to be held back instead. [`SendRefusal::Busy`] if that takes too long.
    pub patient: bool,
}

/// Why a message is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendRefusal {
    /// The message itself is at fault (MQTT 5: 0x99); the text is for the client.
    #[error("{0}")]
    Invalid(String),
    /// Too long, too many (MQTT 5: 0x97); the text names the limit.
    #[error("{0}")]
    Quota(String),
    /// Nothing was written, as too much waits to be (MQTT 5: 0x97); the client should try again.
    #[error("the server is busy; try again")]
    Busy,
    /// Nothing was written; the client should try again.
    #[error("the message could not be stored; try again")]
    Unavailable,
}

/// Takes messages.
pub trait Intake: Send + Sync + 'static {
    /// Resolves to `Ok` only once the message is durable.
    fn send(
        &self,
        user: &Identity,
        send: SendRequest,
    ) -> BoxFuture<'static, Result<(), SendRefusal>>;
}

/// Something that a client may not do and tried: the ACL does not allow it, or nobody may.
#[derive(Clone, Copy, Debug)]
pub struct DeniedAction<'a> {
    /// Who tried.
    pub identity: &'a Identity,
    /// What the client calls itself: up to 256 bytes of its choice.
    pub client_id: &'a str,
    /// Where its connection comes from, or came from if its will is published after that has ended.
    pub peer: SocketAddr,
    /// What it tried. A will is a publication.
    pub action: Action,
    /// The topic to publish to, or the filter to subscribe to: up to 65,535 bytes of the client's choice.
    pub topic: &'a str,
}

/// Gets reports of what the broker does.
pub trait Observe: Send + Sync + 'static {
    /// A PUBLISH, a filter of a SUBSCRIBE, the will of a CONNECT, or a will that is due was refused as not authorized; not
    /// one that was for another reason, such as a limit. A session waits for this to return: it must not block.
    fn denied(&self, denied: DeniedAction<'_>);
}

/// A retained message (MQTT 5 section 3.3.1.3), as it is kept through a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetainedMessage {
    /// The topic that it is the last message of.
    pub topic: String,
    /// Never empty.
    pub payload: Bytes,
    /// Level and properties, in a form of the broker's own.
    pub attributes: String,
    /// When it is to be forgotten; `None`: when it is replaced.
    pub expires_at: Option<SystemTime>,
}

/// One change of what is retained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetainedChange {
    /// The message of its topic from now on.
    Set(RetainedMessage),
    /// The topic has none any more.
    Clear {
        /// Which.
        topic: String,
    },
}

/// Keeps retained messages through a restart.
pub trait Retain: Send + Sync + 'static {
    /// All that are kept, in any order; those that have expired may be left out.
    fn load(&self) -> BoxFuture<'static, Result<Vec<RetainedMessage>, HostError>>;

    /// Makes `changes`, all or none, and resolves once they are durable. Topics are distinct. Only one call is under way
    /// at any time.
    fn save(&self, changes: Vec<RetainedChange>) -> BoxFuture<'static, Result<(), HostError>>;

    /// Lets go of what has expired, which is not given to [`Retain::save`].
    fn forget_expired(&self) -> BoxFuture<'static, Result<(), HostError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Knows whether this server may serve.
pub trait Standing: Send + Sync + 'static {
    /// Whether others still hold it to be there, as far as it can know at this moment. If not, they may already do what it would
    /// do, and nothing may be delivered or taken. Asked at each step of a session: it must not block.
    fn stands(&self) -> bool;

    /// Whether the [policy](crate::Broker::set_policy) and the [revocations](crate::Broker::revoke) that the broker was told of
    /// are all that there were a moment ago. If not, PUBLISHes and shared messages wait. It must not block.
    fn is_current(&self) -> bool {
        true
    }

    /// Resolves when that is so. Sessions that do not ask are [told](crate::Broker::go_on).
    fn current(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The standing of a server that shares nothing with others.
pub(crate) struct Alone;

impl Standing for Alone {
    fn stands(&self) -> bool {
        true
    }
}

/// All that the broker asks of the server around it.
#[derive(Clone)]
pub struct Host {
    /// Decides who gets in.
    pub authenticate: Arc<dyn Authenticate>,
    /// Has the notifications.
    pub inbox: Arc<dyn Inbox>,
    /// Takes messages.
    pub intake: Arc<dyn Intake>,
    /// Keeps retained messages.
    pub retain: Arc<dyn Retain>,
    /// Gets reports of what was denied.
    pub observe: Arc<dyn Observe>,
}

impl<T: Authenticate + Inbox + Intake + Retain + Observe> From<Arc<T>> for Host {
    fn from(all: Arc<T>) -> Self {
        Self {
            authenticate: all.clone(),
            inbox: all.clone(),
            intake: all.clone(),
            retain: all.clone(),
            observe: all,
        }
    }
}
