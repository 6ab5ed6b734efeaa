//! The client that a session belongs to.

use std::sync::Arc;

use herald_acl::{Action, Principal};

use super::context::Context;
use crate::{
    host::{DeniedAction, Identity},
    ids::SessionId,
    live_sessions::Link,
};

/// A client that has logged in.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) identity: Identity,
    /// The client id.
    pub(super) id: Arc<str>,
    pub(super) session: SessionId,
    /// Its connection, or the last one.
    pub(super) link: Arc<Link>,
}

impl Client {
    /// The subject of access rules.
    pub(super) fn principal(&self) -> Principal<'_> {
        Principal {
            username: &self.identity.username,
            role: self.identity.role,
            client_id: &self.id,
        }
    }

    /// Reports to the host that the client may not do this.
    pub(super) fn report_denied(&self, ctx: &Context, action: Action, topic: &str) {
        ctx.host.observe.denied(DeniedAction {
            identity: &self.identity,
            client_id: &self.id,
            peer: self.link.peer(),
            action,
            topic,
        });
    }
}
