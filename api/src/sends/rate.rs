//! How much each user sends: a token bucket for each, however they send.

use std::{collections::HashMap, sync::Arc, time::Duration};

use herald_store::UserId;
use parking_lot::Mutex;
use tokio::{
    sync::Mutex as Line,
    time::{Instant, sleep},
};

/// How often buckets that are full again are thrown away, and the time in which any bucket fills.
const MINUTE: Duration = Duration::from_secs(60);

/// The buckets of those who have sent within the last two minutes.
#[derive(Debug)]
pub(super) struct Rate {
    per_minute: u32,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    of: HashMap<UserId, Bucket>,
    swept: Instant,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
    /// Those who wait, first come, first served.
    line: Arc<Line<()>>,
}

impl Rate {
    /// Full buckets of as many sends a minute; 0 for any number.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_minute,
            buckets: Mutex::new(Buckets {
                of: HashMap::new(),
                swept: Instant::now(),
            }),
        }
    }

    /// Takes one send of `user` out, or says how long there will be none.
    pub(super) fn take(&self, user: &UserId) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        self.with_bucket(user, |bucket| {
            if bucket.tokens >= 1.0 {
                bucket.tokens -= 1.0;
                return Ok(());
            }
            let missing = (1.0 - bucket.tokens) / f64::from(self.per_minute);
            Err(MINUTE.mul_f64(missing))
        })
    }

    /// Waits until one send of `user` can be taken out. Who waits is bounded by the sessions and what each may have under
    /// way.
    pub(super) async fn wait(&self, user: &UserId) {
        if self.per_minute == 0 {
            return;
        }
        let line = self.line(user);
        let _place = line.lock().await;
        while let Err(wait) = self.take(user) {
            // Rounding must not make it a busy wait.
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// The line of those of `user` who wait.
    pub(super) fn line(&self, user: &UserId) -> Arc<Line<()>> {
        self.with_bucket(user, |bucket| Arc::clone(&bucket.line))
    }

    fn with_bucket<T>(&self, user: &UserId, then: impl FnOnce(&mut Bucket) -> T) -> T {
        let now = Instant::now();
        let full = f64::from(self.per_minute);
        let mut buckets = self.buckets.lock();
        if now.duration_since(buckets.swept) >= MINUTE {
            buckets.swept = now;
            buckets.of.retain(|_, bucket| {
                bucket.fill(now, full);
                bucket.tokens < full || Arc::strong_count(&bucket.line) > 1
            });
            buckets.of.shrink_to_fit();
        }
        let bucket = buckets.of.entry(user.clone()).or_insert_with(|| Bucket {
            tokens: full,
            filled: now,
            line: Arc::default(),
        });
        bucket.fill(now, full);
        then(bucket)
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant, full: f64) {
        let fresh = now.duration_since(self.filled).as_secs_f64() / MINUTE.as_secs_f64() * full;
        self.tokens = (self.tokens + fresh).min(full);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_gives_as_many_as_the_rate_and_each_user_has_their_own() {
        let rate = Rate::new(60);
        let (alice, bob) = (UserId::new(), UserId::new());
        assert_eq!((0..99).filter(|_| rate.take(&alice).is_ok()).count(), 60);
        assert_eq!(rate.take(&alice), Err(Duration::from_secs(1)));
        assert_eq!(rate.take(&bob), Ok(()));
        advance(Duration::from_secs(2)).await;
        assert_eq!((0..99).filter(|_| rate.take(&alice).is_ok()).count(), 2);
        advance(MINUTE * 10).await;
        assert_eq!((0..99).filter(|_| rate.take(&alice).is_ok()).count(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_served_in_turn() {
        let rate = Arc::new(Rate::new(60));
        let alice = UserId::new();
        while rate.take(&alice).is_ok() {}
        let since = Instant::now();
        let waits = (0..5).map(async |_| {
            rate.wait(&alice).await;
            since.elapsed().as_millis() / 100
        });
        let waited = futures_util::future::join_all(waits).await;
        assert_eq!(waited, [10, 20, 30, 40, 50]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_is_full_again_is_forgotten() {
        let rate = Rate::new(60);
        for _ in 0..100 {
            assert!(rate.take(&UserId::new()).is_ok());
        }
        advance(MINUTE).await;
        assert!(rate.take(&UserId::new()).is_ok());
        assert_eq!(rate.buckets.lock().of.len(), 1);
    }

    #[tokio::test]
    async fn no_rate_is_no_limit() {
        let rate = Rate::new(0);
        let alice = UserId::new();
        assert!((0..100_000).all(|_| rate.take(&alice).is_ok()));
        assert!(rate.wait(&alice).now_or_never().is_some());
    }
}
