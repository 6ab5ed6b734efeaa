//! Looks at the rights of a live session again, and ends the subscriptions that no rule allows any more. Sessions whose user or
//! token lost the right to be here are ended by the registry.

use herald_acl::TopicFilter;

use super::{
    client::Client, connected::Session, context::Context, end::End, guard::SessionGuard,
    rights::may_subscribe,
};
use crate::{
    state::{Granted, SessionState},
    wire::Reason,
};

/// Gives up the subscriptions that `client` may not have any more. `false` if that leaves it with none.
pub(super) fn recheck(
    ctx: &Context,
    client: &Client,
    state: &mut SessionState,
    guard: &SessionGuard,
) -> bool {
    let all = state.granted.iter();
    let lost: Vec<TopicFilter> = all
        .filter(|g| !may_keep(ctx, client, guard, g))
        .map(|g| g.filter.clone())
        .collect();
    for filter in &lost {
        tracing::info!(user = %client.identity.username, client_id = ?client.id, filter = ?filter.as_str(), "subscription ended: no rule allows it any more");
        guard.drop_subscription(state, filter);
    }
    lost.is_empty() || !state.granted.is_empty()
}

/// Whether `client` may keep its subscription to `filter`. Whose group it is in may have changed, too.
fn may_keep(ctx: &Context, client: &Client, guard: &SessionGuard, granted: &Granted) -> bool {
    let Ok(permit) = may_subscribe(ctx, client, &granted.filter) else {
        return false;
    };
    if granted.filter.is_shared() {
        guard.subscribe(granted, permit.group_owner.as_ref());
    }
    true
}

impl Session {
    /// Gives up the subscriptions that the client may not have any more. A session that is left with none ends.
    pub(super) fn recheck(&mut self) -> Result<(), End> {
        let some_left = recheck(&self.ctx, &self.client, &mut self.state, &self.guard);
        if self.state.inbox.is_none() {
            self.reading = None;
        }
        if some_left {
            Ok(())
        } else {
            Err(End::Server(Reason::RightsEnded))
        }
    }
}
