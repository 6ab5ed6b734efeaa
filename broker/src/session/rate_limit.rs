//! How much one client may ask for: two token buckets, one for PUBLISHes and one for everything else.
//!
//! The crate `governor` does not do here: the cost of a packet is known only once it has been read, so a bucket must go into debt
//! beyond its burst, and be looked at without taking a token.

use std::time::Duration;

use tokio::time::Instant;

/// Packets a second other than PUBLISHes. A SUBSCRIBE costs its filters; acknowledgements of what the client was sent cost
/// nothing.
const CONTROL_PER_S: u32 = 1000;

/// What a bucket gets in this time may come at once.
const BURST: Duration = Duration::from_secs(1);

/// The rate limit of one client.
#[derive(Debug)]
pub(super) struct RateLimit {
    publishes: Bucket,
    control: Bucket,
}

impl RateLimit {
    /// Full buckets, with `publishes_per_s` PUBLISHes a second; 0 for any number.
    pub(super) fn new(publishes_per_s: u32, now: Instant) -> Self {
        Self {
            publishes: Bucket::new(publishes_per_s, now),
            control: Bucket::new(CONTROL_PER_S, now),
        }
    }

    /// Counts a PUBLISH.
    pub(super) fn count_publish(&mut self, now: Instant) {
        self.publishes.take(1, now);
    }

    /// Counts a packet that costs as much as `cost` small ones. What the bucket does not have is owed.
    pub(super) fn count_control(&mut self, cost: u32, now: Instant) {
        self.control.take(cost, now);
    }

    /// When the next packet may be read, if not at `now`.
    pub(super) fn blocked_until(&self, now: Instant) -> Option<Instant> {
        let publishes = self.publishes.empty_until(now);
        publishes.max(self.control.empty_until(now))
    }
}

/// A token bucket, stored as the time at which it is full again: this needs no fractions, and the result does not depend on
/// how often it is asked.
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

    /// How long the bucket takes to get `n` tokens.
    fn time_for(&self, n: u32) -> Duration {
        (BURST * n).checked_div(self.per_s).unwrap_or_default()
    }

    fn take(&mut self, n: u32, now: Instant) {
        self.full_at = self.full_at.max(now) + self.time_for(n);
    }

    /// When there is a token again, if there is none at `now`.
    fn empty_until(&self, now: Instant) -> Option<Instant> {
        // The time to fill the bucket once another token is taken.
        let missing = (self.full_at + self.time_for(1)).duration_since(now);
        let too_much = missing.saturating_sub(BURST);
        (!too_much.is_zero()).then(|| now + too_much)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many PUBLISHes may come at `now`.
    fn burst(limit: &mut RateLimit, now: Instant) -> usize {
        let mut count = 0;
        while limit.blocked_until(now).is_none() {
            limit.count_publish(now);
            count += 1;
        }
        count
    }

    #[test]
    fn a_second_gives_as_many_as_the_rate_and_no_more() {
        let now = Instant::now();
        let mut limit = RateLimit::new(5, now);
        assert_eq!(burst(&mut limit, now), 5);
        let next = limit.blocked_until(now).unwrap();
        assert_eq!(burst(&mut limit, next - Duration::from_nanos(1)), 0);
        assert_eq!(
            burst(&mut limit, next),
            1,
            "at exactly the time that was said"
        );
        assert_eq!(burst(&mut limit, next + Duration::from_secs(60)), 5);
    }

    #[test]
    fn no_rate_is_no_limit() {
        let now = Instant::now();
        let mut limit = RateLimit::new(0, now);
        for _ in 0..100_000 {
            limit.count_publish(now);
        }
        assert!(limit.blocked_until(now).is_none());
    }

    #[test]
    fn what_costs_more_than_there_is_is_owed() {
        let now = Instant::now();
        let mut limit = RateLimit::new(0, now);
        limit.count_control(3 * CONTROL_PER_S, now);
        let next = limit.blocked_until(now).unwrap();
        assert_eq!(next.duration_since(now), 2 * BURST + BURST / CONTROL_PER_S);
        assert!(limit.blocked_until(next).is_none());
    }
}
