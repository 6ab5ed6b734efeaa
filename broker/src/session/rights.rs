//! What a client may do, by the policy in force now.

use herald_acl::{Action, Denial, Destination, TopicFilter, TopicName, Username};

use super::{client::Client, context::Context};

/// What lets a client subscribe to a filter.
pub(super) struct Permit {
    /// Whose group it is, of a shared subscription: the user's own, unless the rule opens it.
    pub(super) group_owner: Option<Username>,
}

/// What lets `client` subscribe to `filter`, or why it may not.
pub(super) fn may_subscribe(
    ctx: &Context,
    client: &Client,
    filter: &TopicFilter,
) -> Result<Permit, Denial> {
    let policy = ctx.policy();
    let permit = policy.subscribe(&client.principal(), filter)?;
    let owner = &client.identity.username;
    Ok(Permit {
        group_owner: (!permit.opens_group).then(|| owner.clone()),
    })
}

/// Whether `client` may have a message of `topic`.
pub(super) fn may_receive(ctx: &Context, client: &Client, topic: &TopicName) -> bool {
    ctx.policy().receive(&client.principal(), topic).is_ok()
}

/// Where a PUBLISH of `client` to `topic` goes; `None` if it may not publish there, which is reported to the host.
pub(super) fn may_publish(
    ctx: &Context,
    client: &Client,
    topic: &TopicName,
) -> Option<Destination> {
    let Ok(permit) = ctx.policy().publish(&client.principal(), topic) else {
        client.report_denied(ctx, Action::Publish, topic.as_str());
        return None;
    };
    Some(permit.destination)
}
