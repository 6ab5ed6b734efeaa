//! Counters that say what the broker did and, above all, what it dropped.

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
    /// PUBLISHes refused by the ACL, or refused as a send.
    pub publishes_denied: Counter,
    /// Notifications put on the wire, repeats included.
    pub notifications_sent: Counter,
    /// Shared messages dropped because a session read too slowly.
    pub shared_dropped: Counter,
    /// Routers of shared topics that died or hung, and were replaced.
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
