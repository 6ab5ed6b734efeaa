//! How much each user or address may do: a token bucket for each.
//!
//! The crate `governor` does not do here: the number of its keys is not bounded, and those who wait are not served in turn.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::Mutex as Queue,
    time::{Instant, sleep},
};

/// How often buckets that are full again are thrown away, and the time in which any bucket fills.
const MINUTE: Duration = Duration::from_secs(60);

/// Buckets that are kept. When there are more, the fullest tenth is forgotten: their owners have done least.
const CAPACITY: usize = 100_000;

/// The buckets of the keys that were used within the last two minutes.
#[derive(Debug)]
pub(crate) struct RateLimit<K> {
    per_minute: u32,
    buckets: Mutex<Buckets<K>>,
}

#[derive(Debug)]
struct Buckets<K> {
    of: HashMap<K, Bucket>,
    swept: Instant,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    /// Those who wait, first come, first served.
    queue: Arc<Queue<()>>,
}

impl<K: Clone + Eq + Hash> RateLimit<K> {
    /// Full buckets of as many a minute; 0 for any number.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            buckets: Mutex::new(Buckets {
                of: HashMap::new(),
                swept: Instant::now(),
            }),
        }
    }

    /// How much a minute gives; 0 for any amount.
    pub(crate) fn per_minute(&self) -> u32 {
        self.per_minute
    }

    /// Takes `amount` out of the bucket of `key`, or returns how long to wait for it. At most what a minute gives is taken.
    pub(crate) fn take(&self, key: &K, amount: u32) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        let amount = f64::from(amount.min(self.per_minute));
        self.with_bucket(key, |bucket| {
            if bucket.tokens >= amount {
                bucket.tokens -= amount;
                return Ok(());
            }
            let missing = (amount - bucket.tokens) / f64::from(self.per_minute);
            Err(MINUTE.mul_f64(missing))
        })
    }

    /// Waits until `amount` can be taken out of the bucket of `key`. The callers bound how many wait.
    pub(crate) async fn wait(&self, key: &K, amount: u32) {
        if self.per_minute == 0 {
            return;
        }
        let queue = self.queue(key);
        let _first = queue.lock().await;
        while let Err(wait) = self.take(key, amount) {
            // Rounding must not make it a busy wait.
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// Where those of `key` wait, first come, first served.
    pub(crate) fn queue(&self, key: &K) -> Arc<Queue<()>> {
        self.with_bucket(key, |bucket| Arc::clone(&bucket.queue))
    }

    fn with_bucket<T>(&self, key: &K, then: impl FnOnce(&mut Bucket) -> T) -> T {
        let now = Instant::now();
        let full = f64::from(self.per_minute);
        let mut buckets = self.buckets.lock();
        if now.duration_since(buckets.swept) >= MINUTE {
            buckets.swept = now;
            buckets.of.retain(|_, bucket| {
                bucket.fill(now, full);
                bucket.tokens < full || bucket.has_queue()
            });
            buckets.of.shrink_to_fit();
        }
        if buckets.of.len() >= CAPACITY && !buckets.of.contains_key(key) {
            buckets.make_room();
        }
        let bucket = buckets.of.entry(key.clone()).or_insert_with(|| Bucket {
            tokens: full,
            filled: now,
            queue: Arc::default(),
        });
        bucket.fill(now, full);
        then(bucket)
    }
}

impl<K> Buckets<K> {
    fn make_room(&mut self) {
        let mut tokens: Vec<f64> = self.of.values().map(|bucket| bucket.tokens).collect();
        let tenth = tokens.len() / 10;
        let (_, &mut full, _) = tokens.select_nth_unstable_by(tenth, |a, b| b.total_cmp(a));
        let mut left = tenth;
        self.of.retain(|_, bucket| {
            let goes = left > 0 && bucket.tokens >= full && !bucket.has_queue();
            left -= usize::from(goes);
            !goes
        });
    }
}

impl Bucket {
    /// Whether somebody waits.
    fn has_queue(&self) -> bool {
        Arc::strong_count(&self.queue) > 1
    }

    fn fill(&mut self, now: Instant, full: f64) {
        let fresh = now.duration_since(self.filled).as_secs_f64() / MINUTE.as_secs_f64() * full;
        self.tokens = (self.tokens + fresh).min(full);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use herald_store::UserId;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_gives_as_many_as_the_rate_and_each_user_has_their_own() {
        let rate = RateLimit::new(60);
        let (alice, bob) = (UserId::new(), UserId::new());
        assert_eq!((0..99).filter(|_| rate.take(&alice, 1).is_ok()).count(), 60);
        assert_eq!(rate.take(&alice, 1), Err(Duration::from_secs(1)));
        assert_eq!(rate.take(&bob, 1), Ok(()));
        advance(Duration::from_secs(2)).await;
        assert_eq!((0..99).filter(|_| rate.take(&alice, 1).is_ok()).count(), 2);
        advance(MINUTE * 10).await;
        assert_eq!((0..99).filter(|_| rate.take(&alice, 1).is_ok()).count(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_in_turn() {
        let rate = Arc::new(RateLimit::new(60));
        let alice = UserId::new();
        while rate.take(&alice, 1).is_ok() {}
        let since = Instant::now();
        let waits = (0..5).map(async |_| {
            rate.wait(&alice, 1).await;
            since.elapsed().as_millis() / 100
        });
        let waited = futures_util::future::join_all(waits).await;
        assert_eq!(waited, [10, 20, 30, 40, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_full_again_is_forgotten() {
        let rate = RateLimit::new(60);
        for _ in 0..100 {
            assert!(rate.take(&UserId::new(), 1).is_ok());
        }
        advance(MINUTE).await;
        assert!(rate.take(&UserId::new(), 1).is_ok());
        assert_eq!(rate.buckets.lock().of.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_those_who_do_most_are_remembered() {
        let rate = RateLimit::new(60);
        let busy = u64::MAX;
        while rate.take(&busy, 1).is_ok() {}
        let waits = rate.queue(&0);
        for key in 0..250_000 {
            assert!(rate.take(&key, 1).is_ok());
        }
        assert!(rate.buckets.lock().of.len() <= CAPACITY);
        assert!(rate.take(&busy, 1).is_err());
        assert!(Arc::ptr_eq(&waits, &rate.queue(&0)));
    }

    #[tokio::test]
    async fn no_rate_is_no_limit() {
        let rate = RateLimit::new(0);
        let alice = UserId::new();
        assert!((0..100_000).all(|_| rate.take(&alice, 1).is_ok()));
        assert!(rate.wait(&alice, 1).now_or_never().is_some());
    }
}
