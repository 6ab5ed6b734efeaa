//! Counters of what the broker did and, above all, what it dropped.

use std::sync::atomic::{AtomicU64, Ordering};

/// Monotonic counters since start.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Sessions that got a successful CONNACK.
    pub connects: Counter,
    /// CONNECTs refused, for whatever reason.
    pub connects_refused: Counter,
    /// SUBSCRIBE filters refused by the ACL.
    pub subscribes_denied: Counter,
    /// PUBLISHes from clients.
    pub publishes_received: Counter,
    /// PUBLISHes to clients, repeats included.
    pub publishes_sent: Counter,
    /// PUBLISHes refused by the ACL, refused as a send, or over the rate.
    pub publishes_denied: Counter,
    /// Notifications put on the wire, repeats included.
    pub notifications_sent: Counter,
    /// Shared messages dropped because a session read too slowly or was away for too long.
    pub shared_dropped: Counter,
    /// Times that the router of shared topics had to be started again.
    pub router_restarts: Counter,
}

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
