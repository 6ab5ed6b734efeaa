//! How much one client may ask for: two token buckets, one of PUBLISHes and one of everything else.

use std::time::Duration;

use tokio::time::Instant;

/// What a client may ask for in a second apart from its PUBLISHes. A SUBSCRIBE counts its filters; acknowledgements of what
/// was sent to the client count nothing.
const CONTROL_PER_S: u32 = 1000;

/// As much as a second gives may come at once.
const BURST: Duration = Duration::from_secs(1);

/// What a client has asked for of late.
#[derive(Debug)]
pub(super) struct Rate {
    publishes: Bucket,
    control: Bucket,
}

impl Rate {
    /// Full buckets, with so many PUBLISHes a second; 0 for any number.
    pub(super) fn new(publishes_per_s: u32, now: Instant) -> Self {
        Self {
            publishes: Bucket::new(publishes_per_s, now),
            control: Bucket::new(CONTROL_PER_S, now),
        }
    }

    /// A PUBLISH came.
    pub(super) fn published(&mut self, now: Instant) {
        self.publishes.take(1, now);
    }

    /// Something else came that costs as much as `cost` small packets. It may be more than there is: then it is owed.
    pub(super) fn asked(&mut self, cost: u32, now: Instant) {
        self.control.take(cost, now);
    }

    /// When the next packet may be looked at, if not at `now`.
    pub(super) fn wait(&self, now: Instant) -> Option<Instant> {
        self.publishes.wait(now).max(self.control.wait(now))
    }
}

/// A token bucket that holds what one second gives, kept as the time at which it is full again: so that it needs no
/// arithmetic of fractions, and nothing depends on when it was looked at.
#[derive(Debug)]
struct Bucket {
    /// 0 for any number.
    per_s: u32,
    full_at: Instant,
}

impl Bucket {
    fn new(per_s: u32, now: Instant) -> Self {
        Self {
            per_s,
            full_at: now,
        }
    }

    /// How long it takes to get `n`.
    fn time_of(&self, n: u32) -> Duration {
        (BURST * n).checked_div(self.per_s).unwrap_or_default()
    }

    fn take(&mut self, n: u32, now: Instant) {
        self.full_at = self.full_at.max(now) + self.time_of(n);
    }

    fn wait(&self, now: Instant) -> Option<Instant> {
        // What one more would leave to be filled.
        let missing = (self.full_at + self.time_of(1)).duration_since(now);
        let too_much = missing.saturating_sub(BURST);
        (!too_much.is_zero()).then(|| now + too_much)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many PUBLISHes may come at `now`.
    fn burst(rate: &mut Rate, now: Instant) -> usize {
        let mut count = 0;
        while rate.wait(now).is_none() {
            rate.published(now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_second_gives_as_many_as_the_rate_and_no_more() {
        let now = Instant::now();
        let mut rate = Rate::new(5, now);
        assert_eq!(burst(&mut rate, now), 5);
        let next = rate.wait(now).unwrap();
        assert_eq!(burst(&mut rate, next - Duration::from_nanos(1)), 0);
        assert_eq!(
            burst(&mut rate, next),
            1,
            "at exactly the time that was said"
        );
        assert_eq!(burst(&mut rate, next + Duration::from_secs(60)), 5);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let now = Instant::now();
        let mut rate = Rate::new(0, now);
        for _ in 0..100_000 {
            rate.published(now);
        }
        assert!(rate.wait(now).is_none());
    }

    #[test]
    fn what_costs_more_than_there_is_is_owed() {
        let now = Instant::now();
        let mut rate = Rate::new(0, now);
        rate.asked(3 * CONTROL_PER_S, now);
        let next = rate.wait(now).unwrap();
        assert_eq!(next.duration_since(now), 2 * BURST + BURST / CONTROL_PER_S);
        assert!(rate.wait(next).is_none());
    }
}
