//! What a session may have, asked again when that may have changed.

use herald_acl::{Action, Role, TopicFilter, TopicName, Username};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Client, Context, End, Kept, Session};
use crate::{
    bus::BusError,
    topics::{self, Destination, destination},
    wire::Reason,
};

/// Whether `filter` may match what others than `client`'s user are notified of.
pub(super) fn reaches_others(client: &Client, filter: &TopicFilter) -> bool {
    // A shared subscription is one to shared topics alone.
    !filter.is_shared()
        && topics::touches_users(filter)
        && !topics::own(&client.identity.username).covers(filter)
}

/// What lets a client subscribe to a filter.
pub(super) struct Permit {
    /// What the rule stands for.
    scope: TopicFilter,
    /// Whose group it is, of a shared subscription: the user's own, unless the rule opens it.
    owner: Option<Username>,
}

impl Permit {
    /// Has what is published to `filter` delivered to the session.
    pub(super) fn enter(
        &self,
        ctx: &Context,
        filter: &TopicFilter,
        kept: &Kept,
    ) -> Result<(), BusError> {
        let (owner, bus) = (self.owner.as_ref(), &ctx.bus);
        bus.subscribe(&self.scope, filter, owner, kept.id, &kept.mailbox)
    }
}

/// What lets `client` subscribe to `filter`; `None` if it may not.
pub(super) fn may_subscribe(
    ctx: &Context,
    client: &Client,
    filter: &TopicFilter,
) -> Option<Permit> {
    // No rule can open an inbox to another user: only administrators tap.
    if reaches_others(client, filter) && client.identity.role != Role::Admin {
        return None;
    }
    let policy = ctx.policy();
    let decision = policy.subscribe(&client.who(), filter);
    let rule = decision.rule.filter(|_| decision.allowed)?;
    let owner = &client.identity.username;
    Some(Permit {
        scope: policy.scope(&rule)?,
        owner: (!policy.opens_group(&rule)).then(|| owner.clone()),
    })
}

/// Where a PUBLISH of `client` to `topic` goes; `None` if it may not publish there, which the host is told.
pub(super) fn may_publish(
    ctx: &Context,
    client: &Client,
    topic: &TopicName,
) -> Option<Destination> {
    let place = destination(topic, &client.identity.username);
    if place == Destination::BridgeState {
        return Some(place);
    }
    if place != Destination::Reserved && ctx.policy().publish(&client.who(), topic).allowed {
        return Some(place);
    }
    client.denied(ctx, Action::Publish, topic.as_str());
    None
}

/// Gives up the subscriptions that `client` may not have any more. `false` if that leaves it with none.
pub(super) fn recheck(ctx: &Context, client: &Client, kept: &mut Kept) -> bool {
    let all = kept.granted.iter();
    let lost: Vec<TopicFilter> = all
        .filter(|g| !may_keep(ctx, client, kept, &g.filter))
        .map(|g| g.filter.clone())
        .collect();
    for filter in &lost {
        tracing::info!(user = %client.identity.username, client_id = ?client.id, filter = ?filter.as_str(), "subscription ended: no rule allows it any more");
        kept.drop_subscription(filter);
    }
    lost.is_empty() || !kept.granted.is_empty()
}

/// Whether `client` may keep its subscription to `filter`. Whose group it is in may have changed, too.
fn may_keep(ctx: &Context, client: &Client, kept: &Kept, filter: &TopicFilter) -> bool {
    let permit = may_subscribe(ctx, client, filter);
    permit.is_some_and(|permit| !filter.is_shared() || permit.enter(ctx, filter, kept).is_ok())
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Session<S> {
    /// Gives up the subscriptions that the client may not have any more. A session that is left with none ends.
    pub(super) fn recheck(&mut self) -> Result<(), End> {
        let some_left = recheck(&self.ctx, &self.client, &mut self.kept);
        if self.kept.inbox.is_none() {
            self.reading = None;
        }
        if some_left {
            Ok(())
        } else {
            Err(End::Server(Reason::RightsEnded))
        }
    }

    /// Sets up again what a session without a connection does not have: live copies of what it has no part in.
    pub(super) fn watch_again(&mut self) {
        let filters: Vec<TopicFilter> =
            self.kept.granted.iter().map(|g| g.filter.clone()).collect();
        for filter in filters {
            self.watch(&filter);
        }
    }

    /// Sets up the live copies that `filter` is for.
    pub(super) fn watch(&self, filter: &TopicFilter) {
        let (ctx, kept) = (&self.ctx, &self.kept);
        let who = &self.client.identity;
        if let Some(followed) = topics::followed(filter) {
            ctx.progress.follow(who, &followed, kept.id, &kept.mailbox);
            return;
        }
        let owner = &who.username;
        if reaches_others(&self.client, filter) {
            ctx.registry.tap(owner, filter, kept.id, &kept.mailbox);
        }
        if topics::touches_sys(filter) {
            ctx.sys.watch(owner, filter, kept.id, &kept.mailbox);
        }
    }
}
