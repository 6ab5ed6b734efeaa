//! What all operations on accounts share.

use std::{fmt, sync::Arc};

use herald_store::{AuditEntry, Store};
use parking_lot::Mutex;

use super::{passwords::Passwords, throttle::Throttle};

/// Checks passwords and tokens, and creates accounts. A clone is the same: there is one in a process, as it holds the
/// counters of failed sign-ins.
#[derive(Clone)]
pub struct Accounts {
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) passwords: Passwords,
    pub(super) throttle: Throttle,
    /// The last password hash of the seeded account that was looked at, and whether its password was the seeded one.
    pub(super) seeded: Mutex<Option<(String, bool)>>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// Accounts kept in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let shared = Shared {
            passwords: Passwords::new(),
            throttle: Throttle::default(),
            seeded: Mutex::default(),
        };
        Self {
            store,
            shared: Arc::new(shared),
        }
    }

    /// The same, for one change that is recorded as `entry`.
    #[must_use]
    pub fn audited(&self, entry: AuditEntry) -> Self {
        Self {
            store: self.store.audited(entry),
            shared: Arc::clone(&self.shared),
        }
    }
}
