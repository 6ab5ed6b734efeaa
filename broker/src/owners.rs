//! Which of several servers has a session. A server that shares its users with nobody has all of them, and needs none of this.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use herald_acl::Username;

use crate::live_sessions::LiveSession;

/// A session of this server, up to one of its takeovers: later ones are not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnSession {
    /// The host's key for its user.
    pub user_id: Arc<str>,
    /// The name of its user.
    pub username: Username,
    /// What the client calls itself.
    pub client_id: Arc<str>,
    /// The number of the takeover. Later ones in this process have greater ones.
    pub number: u64,
}

/// A client that has signed in and is to have its session on this server.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its session, and the number of this takeover.
    pub session: OwnSession,
    /// The session as it is to be listed.
    pub listed: LiveSession,
    /// Whether the client begins anew.
    pub clean: bool,
    /// How many sessions a user may have, on all servers.
    pub limit: usize,
    /// How many the user has on this one, under other client ids.
    pub here: usize,
    /// Whether one of those waits for its client, and would make room.
    pub idle_here: bool,
    /// What another server publishes for the client if this one is gone.
    pub will: Option<KeptWill>,
}

/// A will as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptWill {
    /// How long its client may be gone before.
    pub delay: Duration,
    /// For [`Broker::publish_will`](crate::Broker::publish_will).
    pub text: String,
}

/// A session that is this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The number of the first takeover since another server had the session: what is left here from before is not the session.
    pub first_number: u64,
    /// How many sessions the user has on other servers.
    pub elsewhere: usize,
}

/// Why a session does not become this server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOwned {
    /// The user has as many sessions as allowed, all of them with connections.
    TooMany,
    /// The host cannot tell the other servers right now.
    Unavailable,
}

/// What is to become of a session that this server has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// Its client is connected to another server (MQTT 5: 0x8E), and its will is not due.
    GoesOn,
    /// The same, but the client began anew, and the will is due.
    BeginsAnew,
    /// It makes room for another one of its user.
    MakesRoom,
    /// An administrator ends it (MQTT 5: 0x98).
    Kicked,
}

/// Knows which server has a session, where there are several.
pub trait SessionOwners: Send + Sync + 'static {
    /// Makes a session this server's. Resolves when the server that had it delivers nothing more in it, or that has been waited
    /// for long enough. It goes on if its caller does not wait for it.
    fn take_over(&self, arrival: Arrival) -> BoxFuture<'static, Result<Owned, NotOwned>>;

    /// The session is not here any more. Must not block.
    fn given_up(&self, session: OwnSession);

    /// The session has no connection. Must not block.
    fn disconnected(&self, session: OwnSession);

    /// The client has gone, and its will waits from now on. Must not block.
    fn will_waits(&self, session: OwnSession);

    /// The will is published, or is not to be. Must not block.
    fn will_settled(&self, session: OwnSession);

    /// Resolves to whether the will is this server's to publish, when that is known: nobody else publishes it then, and it counts
    /// as settled.
    fn claim_will(&self, session: OwnSession) -> BoxFuture<'static, bool>;
}

/// That a will is written down, which it is until this is dropped: then it is settled.
pub(crate) struct WrittenWill {
    session: OwnSession,
    /// `None`: it is not this one's to settle any more.
    owners: Option<Arc<dyn SessionOwners>>,
}

impl WrittenWill {
    /// It came with this takeover.
    pub(crate) fn new(owners: Option<Arc<dyn SessionOwners>>, session: OwnSession) -> Self {
        Self { session, owners }
    }

    /// Its client has gone.
    pub(crate) fn waits(&self) {
        if let Some(owners) = &self.owners {
            owners.will_waits(self.session.clone());
        }
    }

    /// Resolves to whether it may be published here.
    pub(crate) fn claim(mut self) -> BoxFuture<'static, bool> {
        match self.owners.take() {
            Some(owners) => owners.claim_will(self.session.clone()),
            None => Box::pin(std::future::ready(false)),
        }
    }

    /// Other servers publish it.
    pub(crate) fn leave(mut self) {
        self.owners = None;
    }
}

impl Drop for WrittenWill {
    fn drop(&mut self) {
        if let Some(owners) = self.owners.take() {
            owners.will_settled(self.session.clone());
        }
    }
}
