//! What keeps a session known to others: to the registry, the bus, and those who send live copies.

use std::sync::Arc;

use herald_acl::{TopicFilter, TopicName, Username, topics};

use super::context::Context;
use crate::{
    bus::Subscription,
    delivery::Delivery,
    host::Identity,
    ids::SessionId,
    live_sessions::Link,
    mailbox::Mailbox,
    state::{Granted, OfferedSession, Sending, SessionState, Takeover},
    wire::Qos,
};

/// Belongs to the task that owns the session. Dropping it removes all entries, however the session ends.
pub(super) struct SessionGuard {
    ctx: Arc<Context>,
    username: Username,
    session: SessionId,
    pub(super) mailbox: Arc<Mailbox>,
    /// The session is on its way to another connection, or that has it.
    offered: Option<OfferedSession>,
    /// The registry does not have the session any more.
    left: bool,
}

impl SessionGuard {
    /// That of a session which the registry has.
    pub(super) fn new(
        ctx: &Arc<Context>,
        username: &Username,
        session: SessionId,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self {
            ctx: ctx.clone(),
            username: username.clone(),
            session,
            mailbox,
            offered: None,
            left: false,
        }
    }

    /// Has what is published to shared topics and matches what was `granted` delivered to the session, in the group of
    /// `owner` if it is a shared subscription. Returns the number of the last message that came before.
    pub(super) fn subscribe(&self, granted: &Granted, owner: Option<&Username>) -> u64 {
        let subscription = Subscription {
            session: self.session,
            key: granted.key,
            filter: &granted.filter,
            no_local: granted.no_local,
            owner,
        };
        self.ctx.bus.subscribe(&subscription, self.mailbox.clone())
    }

    /// Has the live copies delivered to the session that what was `granted` is for: of what `identity`, whose session it is,
    /// has no part in.
    pub(super) fn observe(&self, identity: &Identity, granted: &Granted) {
        let (ctx, mailbox) = (&self.ctx, &self.mailbox);
        let (filter, subscription) = (&granted.filter, (self.session, granted.key));
        if let Some(followed) = topics::progress_owner(filter) {
            let mailbox = mailbox.clone();
            ctx.progress
                .follow(identity, &followed, subscription, mailbox);
            ctx.copies_changed();
            return;
        }
        let owner = &identity.username;
        if topics::reaches_others(filter, owner) {
            ctx.registry
                .observe(owner, filter, subscription, mailbox.clone());
            ctx.copies_changed();
        }
        if topics::touches_sys(filter) {
            ctx.sys
                .observe(owner, filter, subscription, mailbox.clone());
        }
    }

    /// Adds a subscription to `state`, or replaces the one to the same filter.
    pub(super) fn grant(&self, state: &mut SessionState, granted: Granted) {
        state.grant(granted);
        self.subscriptions_changed(state);
    }

    /// Ends a subscription of `state`. `false` if there is none to this filter.
    pub(super) fn drop_subscription(&self, state: &mut SessionState, filter: &TopicFilter) -> bool {
        let inbox = topics::inbox(&self.username);
        let Some(key) = state.remove(filter, &inbox) else {
            return false;
        };
        self.subscriptions_changed(state);
        self.ctx.bus.unsubscribe(self.session, Some(filter));
        self.ctx.registry.unobserve(self.session, Some(filter));
        self.ctx.sys.unobserve(self.session, Some(filter));
        self.ctx.progress.unfollow(self.session, filter);
        self.ctx.copies_changed();
        if filter.is_shared() {
            // Other members of the group can still have what waits for this one.
            self.reassign(state.take_those_for(key));
            self.reassign(self.mailbox.take_shared(Some(key)));
        }
        true
    }

    /// Ends the subscriptions of `state` to `inbox`, unless delivery of it has begun.
    pub(super) fn drop_inbox_without_position(&self, state: &mut SessionState, inbox: &TopicName) {
        if state.inbox.is_some() {
            return;
        }
        let all = state.granted.iter().filter(|g| g.is_for(inbox));
        let lost: Vec<TopicFilter> = all.map(|g| g.filter.clone()).collect();
        for filter in &lost {
            self.drop_subscription(state, filter);
        }
    }

    fn subscriptions_changed(&self, state: &SessionState) {
        self.mailbox
            .set_subscriptions(state.granted.len(), state.is_owed());
    }

    /// Others see how many packets are in flight.
    pub(super) fn in_flight_changed(&self, state: &SessionState) {
        self.mailbox.set_in_flight(state.in_flight.len());
    }

    /// Gives what the session could not finish to other members of the groups that it came for.
    fn reassign(&self, deliveries: impl IntoIterator<Item = Delivery>) {
        for delivery in deliveries.into_iter().filter(Delivery::is_shared) {
            self.ctx.bus.reassign(delivery, self.session);
        }
    }

    /// What the client may not have any more: other members of the group it came for may.
    pub(super) fn give_up(&self, sending: Sending) {
        if sending.qos == Qos::AtLeastOnce {
            self.reassign([sending.delivery]);
        }
    }

    /// The connection is gone, the session is not.
    pub(super) fn park(&self, state: &mut SessionState) {
        self.stop_copies();
        state.park();
        self.in_flight_changed(state);
        self.go_offline(state);
    }

    /// Others know that the session has this connection.
    pub(super) fn go_online(&self, link: Arc<Link>) {
        self.mailbox.go_online(link);
        self.ctx.bus.presence_changed(self.session);
    }

    /// Others know that the session has no connection.
    pub(super) fn go_offline(&self, state: &SessionState) {
        self.mailbox.go_offline(state.shared_bytes());
        self.ctx.bus.presence_changed(self.session);
        self.ctx.registry.disconnected(&self.username, self.session);
    }

    /// The session is over: forgets all that it had, but not an order to end. What other members of its groups can take goes
    /// to them.
    pub(super) fn clear(&self, state: &mut SessionState) {
        self.stop_all();
        self.mailbox.forget_skip();
        let left = state.clear();
        self.subscriptions_changed(state);
        self.reassign(left);
        self.reassign(self.mailbox.take_shared(None));
    }

    /// Removes a session that is over, or hands what is left of it to the connection that waits for it.
    pub(super) async fn end(mut self, mut state: Box<SessionState>) {
        while let Some(takeover) = self.leave() {
            match self.hand_over(state, takeover).await {
                Some(back) => state = back,
                None => return,
            }
        }
    }

    /// Hands the session to the connection that waits at `takeover`. Returns it if that has given up.
    pub(super) async fn hand_over(
        &mut self,
        state: Box<SessionState>,
        takeover: Takeover,
    ) -> Option<Box<SessionState>> {
        let offered = OfferedSession::new(state, takeover);
        let back = self.offered.insert(offered).decided().await?;
        self.offered = None;
        Some(back)
    }

    /// Leaves the registry, unless a new connection waits for the session.
    fn leave(&mut self) -> Option<Takeover> {
        let takeover = self.ctx.registry.leave(&self.username, self.session);
        self.left = takeover.is_none();
        takeover
    }

    /// No more messages are wanted.
    fn stop_all(&self) {
        self.ctx.bus.unsubscribe(self.session, None);
        self.stop_copies();
    }

    /// No more live copies are wanted: nobody looks.
    fn stop_copies(&self) {
        self.ctx.registry.unobserve(self.session, None);
        self.ctx.sys.unobserve(self.session, None);
        self.ctx.progress.unfollow_all(self.session);
        self.ctx.copies_changed();
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        if let Some(offered) = &self.offered
            && offered.take_back().is_none()
        {
            // The connection that has the session has a guard of its own.
            return;
        }
        if !self.left {
            self.stop_all();
            self.ctx.registry.forget(&self.username, self.session);
        }
        self.ctx.bus.ended(self.session);
    }
}
