//! What is in front of several servers.

use std::env;

use crate::balancer::Balancer;

/// The variable that says how many servers each server is that has a database which can be shared. Without it each is one.
const NODES: &str = "HERALD_E2E_NODES";

/// How many servers a server is to be.
pub(super) fn nodes() -> usize {
    let nodes = env::var(NODES).ok();
    nodes.map_or(1, |nodes| nodes.parse().expect("a number"))
}

/// Spreads the connections to each of their addresses.
pub(super) struct Front {
    pub(super) http: Balancer,
    pub(super) tls: Balancer,
    pub(super) tcp: Balancer,
}

impl Front {
    /// Nothing goes anywhere yet.
    pub(super) async fn start() -> Self {
        Self {
            http: Balancer::start().await,
            tls: Balancer::start().await,
            tcp: Balancer::start().await,
        }
    }
}
