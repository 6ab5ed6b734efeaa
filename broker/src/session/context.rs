//! What all sessions share.

use std::sync::Arc;

use herald_acl::Policy;
use parking_lot::RwLock;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bus::{Bus, Copies},
    host::{Host, Standing},
    limits::Limits,
    metrics::Metrics,
    progress::Progress,
    registry::Registry,
    sys::Sys,
    user_bytes::UsersBytes,
};

/// One broker's.
pub(crate) struct Context {
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) registry: Registry,
    pub(crate) user_bytes: UsersBytes,
    pub(crate) bus: Bus,
    pub(crate) sys: Sys,
    pub(crate) progress: Progress,
    pub(crate) host: Host,
    pub(crate) standing: Arc<dyn Standing>,
    /// Counts every task of the broker.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Nobody is let in any more: other servers take the clients.
    pub(crate) draining: CancellationToken,
    /// A task that is to run until the broker stops has panicked.
    pub(crate) crashed: CancellationToken,
}

impl Context {
    /// The policy in force now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.read().clone()
    }

    /// Live copies may be wanted that were not, or not any more: the other servers are told.
    pub(crate) fn copies_changed(&self) {
        if let Some(neighbours) = self.bus.neighbourhood() {
            neighbours.want(|| Copies {
                progress: self.progress.is_followed(),
                notifications: self.registry.is_observed(),
            });
        }
    }
}
