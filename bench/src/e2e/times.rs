//! When each message was due, answered and heard of.

use parking_lot::Mutex;

/// When messages were due and came, by their numbers; nanoseconds of [`now`](crate::clock::now).
pub(super) struct Times {
    pub(super) first_due: u64,
    pub(super) step: u64,
    /// By server; 0: it has not come.
    pub(super) came: Vec<Mutex<Vec<u64>>>,
    /// The same of the 202.
    pub(super) answered: Mutex<Vec<u64>>,
    pub(super) again: Mutex<u64>,
}

impl Times {
    /// When the message with this number is due.
    pub(super) fn due(&self, number: u64) -> u64 {
        self.first_due + number * self.step
    }

    /// How many have come everywhere.
    pub(super) fn count(&self) -> u64 {
        let came = |came: &Mutex<Vec<u64>>| came.lock().iter().filter(|came| **came > 0).count();
        self.came.iter().map(came).min().unwrap_or(0) as u64
    }

    /// How long after they were due those have come to the last server that have, in milliseconds.
    pub(super) fn took(&self) -> Vec<f64> {
        let came = self.came.last().map(|came| came.lock().clone());
        let came = (0..).zip(came.unwrap_or_default());
        came.filter(|(_, came)| *came > 0)
            .map(|(number, came)| came.saturating_sub(self.due(number)) as f64 / 1e6)
            .collect()
    }

    /// How long after its 202 each came there.
    pub(super) fn after_202(&self) -> Vec<f64> {
        let came = self.came.last().map(|came| came.lock().clone());
        let (came, answered) = (came.unwrap_or_default(), self.answered.lock());
        let both = came.iter().zip(answered.iter());
        both.filter(|(came, answered)| **came > 0 && **answered > 0)
            .map(|(came, answered)| came.saturating_sub(*answered) as f64 / 1e6)
            .collect()
    }

    /// How long after each has come to the first of the servers, which is the one that has finished it, it came to the others.
    pub(super) fn to_others(&self) -> Vec<f64> {
        let all: Vec<Vec<u64>> = self.came.iter().map(|came| came.lock().clone()).collect();
        let mut took = vec![];
        for number in 0..all.first().map_or(0, Vec::len) {
            let mut came: Vec<u64> = all.iter().map(|came| came[number]).collect();
            came.sort_unstable();
            let Some((&first, others)) = came.split_first() else {
                continue;
            };
            // It has come everywhere.
            if first > 0 {
                took.extend(others.iter().map(|came| (came - first) as f64 / 1e6));
            }
        }
        took
    }
}
