//! What a session may have, asked again when that may have changed.

use herald_acl::{Action, Denial, Destination, TopicFilter, TopicName, Username, topics};

use super::{Client, Context, End, Granted, Kept, Session};
use crate::{bus::Subscription, wire::Reason};

/// What lets a client subscribe to a filter.
pub(super) struct Permit {
    /// Whose group it is, of a shared subscription: the user's own, unless the rule opens it.
    owner: Option<Username>,
}

impl Permit {
    /// Has what is published to shared topics and matches what was `granted` delivered to the session. Returns the number of
    /// the last message that came before.
    pub(super) fn enter(&self, ctx: &Context, granted: &Granted, kept: &Kept) -> u64 {
        let subscription = Subscription {
            session: kept.id,
            key: granted.key,
            filter: &granted.filter,
            no_local: granted.no_local,
            owner: self.owner.as_ref(),
        };
        ctx.bus.subscribe(&subscription, kept.mailbox.clone())
    }
}

/// What lets `client` subscribe to `filter`, or why it may not.
pub(super) fn may_subscribe(
    ctx: &Context,
    client: &Client,
    filter: &TopicFilter,
) -> Result<Permit, Denial> {
    let policy = ctx.policy();
    let permit = policy.subscribe(&client.who(), filter)?;
    let owner = &client.identity.username;
    Ok(Permit {
        owner: (!permit.opens_group).then(|| owner.clone()),
    })
}

/// Whether `client` may have a message of `topic`.
pub(super) fn may_receive(ctx: &Context, client: &Client, topic: &TopicName) -> bool {
    ctx.policy().receive(&client.who(), topic).is_ok()
}

/// Where a PUBLISH of `client` to `topic` goes; `None` if it may not publish there, which the host is told.
pub(super) fn may_publish(
    ctx: &Context,
    client: &Client,
    topic: &TopicName,
) -> Option<Destination> {
    let Ok(permit) = ctx.policy().publish(&client.who(), topic) else {
        client.denied(ctx, Action::Publish, topic.as_str());
        return None;
    };
    Some(permit.destination)
}

/// Gives up the subscriptions that `client` may not have any more. `false` if that leaves it with none.
pub(super) fn recheck(ctx: &Context, client: &Client, kept: &mut Kept) -> bool {
    let all = kept.granted.iter();
    let lost: Vec<TopicFilter> = all
        .filter(|g| !may_keep(ctx, client, kept, g))
        .map(|g| g.filter.clone())
        .collect();
    for filter in &lost {
        tracing::info!(user = %client.identity.username, client_id = ?client.id, filter = ?filter.as_str(), "subscription ended: no rule allows it any more");
        kept.drop_subscription(filter);
    }
    lost.is_empty() || !kept.granted.is_empty()
}

/// Whether `client` may keep its subscription to `filter`. Whose group it is in may have changed, too.
fn may_keep(ctx: &Context, client: &Client, kept: &Kept, granted: &Granted) -> bool {
    let Ok(permit) = may_subscribe(ctx, client, &granted.filter) else {
        return false;
    };
    if granted.filter.is_shared() {
        permit.enter(ctx, granted, kept);
    }
    true
}

impl Session {
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
        for granted in &self.kept.granted {
            self.watch(granted);
        }
    }

    /// Sets up the live copies that what was `granted` is for.
    pub(super) fn watch(&self, granted: &Granted) {
        let (ctx, kept) = (&self.ctx, &self.kept);
        let (filter, subscription) = (&granted.filter, (kept.id, granted.key));
        let who = &self.client.identity;
        if let Some(followed) = topics::followed(filter) {
            ctx.progress
                .follow(who, &followed, subscription, &kept.mailbox);
            return;
        }
        let owner = &who.username;
        if topics::reaches_others(filter, owner) {
            ctx.registry.tap(owner, filter, subscription, &kept.mailbox);
        }
        if topics::touches_sys(filter) {
            ctx.sys.watch(owner, filter, subscription, &kept.mailbox);
        }
    }
}
