//! A session's place in all that knows of it.

use std::sync::Arc;

use herald_acl::{TopicFilter, Username};

use super::Context;
use crate::{
    bus::{Delivery, SessionId},
    host::Identity,
    mailbox::{Claim, Mailbox},
    registry::{Entered, TooManySessions},
};

/// Given up when dropped, however the session ends.
pub(super) struct Place {
    ctx: Arc<Context>,
    username: Username,
    session: SessionId,
    left: bool,
}

impl Place {
    /// Enters a new session into the registry, or claims the one that the client has.
    pub(super) fn take(
        ctx: &Arc<Context>,
        identity: &Identity,
        client_id: &Arc<str>,
        session: SessionId,
        mailbox: &Arc<Mailbox>,
    ) -> Result<(Self, Entered), TooManySessions> {
        let limit = ctx.limits.sessions_per_user;
        let entered = ctx
            .registry
            .enter(identity, client_id, session, mailbox, limit)?;
        let place = Self {
            ctx: ctx.clone(),
            username: identity.username.clone(),
            session,
            // With a claim, the place is the other one.
            left: matches!(entered, Entered::Claimed(_)),
        };
        Ok((place, entered))
    }

    /// Whose it is.
    pub(super) fn username(&self) -> &Username {
        &self.username
    }

    /// No more messages are wanted for `filter`.
    pub(super) fn stop(&self, filter: &TopicFilter) {
        self.ctx.bus.unsubscribe(self.session, Some(filter));
        self.ctx.registry.untap(self.session, Some(filter));
        self.ctx.sys.unwatch(self.session, Some(filter));
        self.ctx.progress.unfollow(self.session, filter);
    }

    /// No more messages are wanted.
    pub(super) fn stop_all(&self) {
        self.ctx.bus.unsubscribe(self.session, None);
        self.stop_copies();
    }

    /// No more live copies are wanted: nobody looks.
    pub(super) fn stop_copies(&self) {
        self.ctx.registry.untap(self.session, None);
        self.ctx.sys.unwatch(self.session, None);
        self.ctx.progress.unfollow_all(self.session);
    }

    /// Gives a message that the session could not finish to another member of its group.
    pub(super) fn reassign(&self, delivery: Delivery) {
        self.ctx.bus.reassign(delivery, self.session);
    }

    /// Gives the place up, unless a new connection has claimed it.
    pub(super) fn leave(&mut self) -> Option<Claim> {
        let claim = self.ctx.registry.leave(&self.username, self.session);
        self.left = claim.is_none();
        claim
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            self.stop_all();
            self.ctx.registry.forget(&self.username, self.session);
        }
        self.ctx.bus.ended(self.session);
    }
}
