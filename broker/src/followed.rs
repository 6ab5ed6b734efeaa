//! What other servers that share the database have saved of retained messages.

use std::sync::Arc;

use crate::{Broker, RetainedChange, RetainedMessage};

impl Broker {
    /// Takes over what was saved, by other servers or this one, in the order of commits. Publishes nothing. What has changed here
    /// and is not saved yet stays, as it is saved later.
    pub fn apply_retained(&self, changes: Vec<RetainedChange>) {
        self.count_dropped(self.retained().apply(changes));
    }

    /// The same with all that is saved.
    pub fn apply_all_retained(&self, kept: Vec<RetainedMessage>) {
        self.count_dropped(self.retained().apply_all(kept));
    }

    /// Some topics, `limit` at most, of which it is to be read what is saved: for [`Broker::settle_retained`].
    pub fn doubtful_retained(&self, limit: usize) -> Vec<Arc<str>> {
        self.retained().doubtful(limit)
    }

    /// Whether all is to be read anew, for [`Broker::apply_all_retained`]. It is said once.
    pub fn all_retained_doubtful(&self) -> bool {
        self.retained().is_doubtful()
    }

    /// Of `topics`, `kept` is saved, and nothing else.
    pub fn settle_retained(&self, topics: &[Arc<str>], kept: Vec<RetainedMessage>) {
        self.count_dropped(self.retained().settle(topics, kept));
    }

    fn count_dropped(&self, dropped: u64) {
        if dropped > 0 {
            tracing::error!(
                dropped,
                "too many retained messages of other servers; skipped"
            );
            self.metrics().shared_dropped.add(dropped);
        }
    }
}
