//! Which other servers there are, and what becomes of those that are gone.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use herald_broker::Broker;
use herald_store::{NodeChannel, NodeId, Store, StoreError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Standing, lost_wills::LostWills};

/// How often it is looked for other servers.
const EVERY: Duration = Duration::from_secs(1);

/// How many looks it takes until it is looked for the sessions of those that are gone, which count for nothing meanwhile.
const SESSIONS_EVERY: u32 = 30;

/// Tells the channels which servers stand, and inherits from those whose lease has ended, as long as this one stands, until
/// stopped.
pub(crate) async fn inherit_from_others(
    store: Store,
    broker: Broker,
    channels: Vec<NodeChannel>,
    standing: Arc<Standing>,
    stop: CancellationToken,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut wills) = (0_u32, LostWills::default());
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if !standing.stands() {
            continue;
        }
        match inherit(&store, &channels).await {
            Ok(nodes) => wills.publish(&store, &broker, &standing, nodes).await,
            Err(error) => {
                tracing::debug!(%error, "servers that are gone could not be looked for");
            }
        }
        if looks.is_multiple_of(SESSIONS_EVERY)
            && let Err(error) = store.forget_lost_sessions().await
        {
            tracing::debug!(%error, "sessions of servers that are gone could not be forgotten");
        }
        looks = looks.wrapping_add(1);
    }
}

/// Returns which servers stand.
async fn inherit(store: &Store, channels: &[NodeChannel]) -> Result<BTreeSet<NodeId>, StoreError> {
    let nodes = store.nodes().await?;
    let (standing, gone): (Vec<_>, Vec<_>) = nodes.into_iter().partition(|node| node.stands);
    for channel in channels {
        channel.know(standing.iter().map(|node| node.id.clone()));
    }
    for node in gone {
        if let Some(messages) = store.inherit(&node.id).await? {
            tracing::warn!(
                node = %node.id,
                name = node.name,
                messages,
                "a server is gone; what it was processing is processed again"
            );
        }
    }
    Ok(standing.into_iter().map(|node| node.id).collect())
}
