//! When each message was due, answered and heard of.

use parking_lot::Mutex;

/// When messages were due and came, by their numbers; nanoseconds of [`now`](crate::clock::now).
pub(super) struct Times {
    pub(super) first_due: u64,
    pub(super) step: u64,
    /// 0: it has not come.
    pub(super) came: Mutex<Vec<u64>>,
    /// The same of the 202.
    pub(super) answered: Mutex<Vec<u64>>,
    pub(super) again: Mutex<u64>,
}

impl Times {
    /// When the message with this number is due.
    pub(super) fn due(&self, number: u64) -> u64 {
        self.first_due + number * self.step
    }

    /// How many have come.
    pub(super) fn count(&self) -> u64 {
        self.came.lock().iter().filter(|came| **came > 0).count() as u64
    }

    /// How long after its 202 each came, in milliseconds.
    pub(super) fn after_202(&self) -> Vec<f64> {
        let (came, answered) = (self.came.lock(), self.answered.lock());
        let both = came.iter().zip(answered.iter());
        both.filter(|(came, answered)| **came > 0 && **answered > 0)
            .map(|(came, answered)| came.saturating_sub(*answered) as f64 / 1e6)
            .collect()
    }
}
