//! What names a session, a subscription and a group.

use std::sync::atomic::{AtomicU64, Ordering};

use herald_acl::{TopicFilter, Username};
use smallvec::SmallVec;

/// Names a session within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(u64);

impl SessionId {
    /// No session: the broker itself.
    pub(crate) const BROKER: Self = Self(0);

    /// A number never used before.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The number.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// The session with this [number](Self::number), if there is one.
    pub(crate) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Names a subscription within this process. It is not the client's identifier (MQTT 5 section 3.8.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionKey(u64);

impl SubscriptionKey {
    /// A number never used before.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The subscriptions that a message comes for. Most are one.
pub(crate) type SubscriptionKeys = SmallVec<[SubscriptionKey; 2]>;

/// Names a group. The same `$share/{name}/{filter}` of two users is two groups, unless a rule opens it: what one user takes
/// must not be missing to another.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupId {
    /// `None`: of all whom a rule lets into it by its name.
    pub(crate) owner: Option<Username>,
    /// `$share/{name}/{filter}`.
    pub(crate) filter: TopicFilter,
    /// The `{filter}` of that.
    pub(crate) shared: TopicFilter,
}

impl GroupId {
    /// Bytes that it takes to name it, about.
    pub(crate) fn name_bytes(&self) -> usize {
        64 + self.filter.as_str().len()
    }
}
