//! Whether leases that have run out are taken back in line with other writes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long those are passed over that others have locked, after one was waited for in vain.
const REST: Duration = Duration::from_secs(5);

/// Whether leases that have run out are taken back in line with other writes. Who writes all the time is passed over otherwise,
/// but what others have locked for long would hold up the messages of all at each claim.
#[derive(Debug, Default)]
pub(crate) struct InLine(Mutex<Option<Instant>>);

impl InLine {
    pub(super) fn is_worth_it(&self) -> bool {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_none_or(|until| until <= Instant::now())
    }

    pub(super) fn was_in_vain(&self) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + REST);
    }
}
