//! Times, and what most of them do not exceed.

use std::{fmt, time::Duration};

/// Times of one kind, in milliseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// Adds one.
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    /// Adds those of another.
    pub(crate) fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// What `share` of them do not exceed, in milliseconds; 0 if there are none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = (sorted.len() as f64 * share).ceil() as usize;
        sorted.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
    }

    /// The longest, in milliseconds.
    pub(crate) fn longest(&self) -> f64 {
        self.percentile(1.0)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| self.percentile(share));
        f.pad(&format!("{p50:.1} / {p95:.1} / {p99:.1}"))
    }
}

#[test]
fn percentiles_are_those_of_all_times() {
    let mut times = Times::default();
    for ms in (1..=100).rev() {
        times.add(Duration::from_millis(ms));
    }
    assert_eq!(times.to_string(), "50.0 / 95.0 / 99.0");
    assert_eq!((times.count(), times.longest()), (100, 100.0));
    assert_eq!(Times::default().longest(), 0.0);
}
