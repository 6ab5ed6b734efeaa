//! A session's place in all that knows of it.

use std::sync::Arc;

use super::Context;
use crate::{
    bus::SessionId, host::Identity, mailbox::Mailbox, registry::TooManySessions, wire::Reason,
};

/// Given up when dropped, however the session ends.
pub(super) struct Place {
    ctx: Arc<Context>,
    identity: Identity,
    session: SessionId,
}

impl Place {
    /// Enters the session into the registry.
    pub(super) fn take(
        ctx: &Arc<Context>,
        identity: &Identity,
        client_id: &Arc<str>,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Self, TooManySessions> {
        let limit = ctx.limits.sessions_per_user;
        ctx.registry
            .enter(identity, client_id, session, mailbox, limit)?;
        if ctx.stop.is_cancelled() {
            // It came after all were told.
            mailbox.stop(Reason::ShuttingDown);
        }
        Ok(Self {
            ctx: ctx.clone(),
            identity: identity.clone(),
            session,
        })
    }

    /// Gives the place up before the session's last words.
    pub(super) fn leave(&self) {
        self.ctx.registry.leave(&self.identity, self.session);
        self.ctx.bus.unsubscribe(self.session, None);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}
