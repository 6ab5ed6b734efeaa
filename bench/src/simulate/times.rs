//! How long things take, and how much is done at once.

/// Microseconds.
pub(super) const MILLISECOND: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000_000;

/// How long the database takes for a statement, and for a row of a look, and of notifications.
pub(super) const ANSWER: u64 = MILLISECOND;
pub(super) const LOOK_ROW: u64 = 2;
pub(super) const NOTIFICATION_ROW: u64 = 20;

/// Users of one statement of a look; how many sessions are told after it at once, and the pause before the next: as the server does.
pub(super) const USERS: usize = 1024;
pub(super) const TOLD: usize = 64;
pub(super) const PAUSE: u64 = 10 * MILLISECOND;

/// The leases of nodes, and when something is tried again.
pub(super) const BEAT: u64 = SECOND;
pub(super) const LEASE: u64 = 5 * SECOND;
pub(super) const AGAIN: u64 = 250 * MILLISECOND;

/// How long clients of a node that is gone take to come to another.
pub(super) const COME_BACK: u64 = 15 * SECOND;
