//! What several servers on one database count together.

use std::time::{Duration, Instant};

use herald_store::{SignInCount, SignInKey, Store, StoreError, Timestamp};
use tokio::time::timeout;

use super::{Attempt, RIGHT, Right, Throttle, WINDOW, Window, make_room};

/// How long each waits until it may ask the database.
const LEARN: Duration = Duration::from_secs(2);

/// How long a sign-in waits until other servers can know what came of it. It is written nevertheless.
const TELL: Duration = Duration::from_secs(1);

impl Throttle {
    /// Learns what all servers have counted for `attempt`. They may be as much over the limits together as each of them computes
    /// hashes at once. `false`: too many want to know as much.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub(crate) async fn learn(&self, attempt: &Attempt, store: &Store) -> Result<bool, StoreError> {
        let Ok(_turn) = timeout(LEARN, self.learning.acquire()).await else {
            return Ok(false);
        };
        let failed = attempt.keys().map(|key| key.shared());
        let keys: Vec<_> = failed.chain(attempt.shared_when_right()).collect();
        let read_at = Timestamp::now();
        let counts = store.sign_in_counts(&keys, read_at).await?;
        if !counts.is_empty() {
            self.take(attempt, &counts, Instant::now(), read_at);
        }
        Ok(true)
    }

    /// Tells the other servers of a failure, which is recorded here.
    pub(crate) async fn tell_failure(attempt: &Attempt, store: &Store) {
        let keys = attempt.keys().map(|key| key.shared()).collect();
        told(store.count_failed_sign_in(keys, Timestamp::now())).await;
    }

    /// Tells the other servers that the password was right at `now`.
    pub(crate) async fn tell_success(&self, attempt: &Attempt, now: Instant, store: &Store) {
        let Some(key) = attempt.shared_when_right() else {
            return;
        };
        let until = Timestamp::now() + RIGHT;
        if told(store.note_right_sign_in(key, until)).await {
            self.success_told(attempt, now);
        }
    }

    /// What was counted in the database at `read_at`, which is `now`.
    pub(super) fn take(
        &self,
        attempt: &Attempt,
        counts: &[SignInCount],
        now: Instant,
        read_at: Timestamp,
    ) {
        let find = |key: &SignInKey, longest: Duration| {
            let count = counts.iter().find(|count| count.key == *key)?;
            let left = count.ends_at.as_millis() - read_at.as_millis();
            let left = Duration::from_millis(u64::try_from(left).ok()?);
            Some((count.failures, now + left.min(longest)))
        };
        let mut failures = self.failures.lock();
        for key in attempt.keys() {
            let Some((count, ends)) = find(&key.shared(), WINDOW) else {
                continue;
            };
            let own = failures.windows.get(&key);
            // What could not be told counts here nonetheless.
            if own.is_some_and(|own| own.ends > now && own.failures > count) {
                continue;
            }
            make_room(&mut failures.windows, &key, now, |window| window.ends);
            let window = Window {
                failures: count,
                ends,
            };
            failures.windows.insert(key, window);
        }
        let right = attempt.shared_when_right();
        let right = right.and_then(|key| find(&key, RIGHT));
        if let (Some((_, until)), Some(pair)) = (right, attempt.on()) {
            let own = failures.right.get(&pair).map(|own| own.until);
            let until_here = own.map_or(until, |own| own.max(until));
            let right = Right {
                until: until_here,
                told_until: Some(until),
            };
            failures.right(pair, right, now);
        }
    }
}

/// Whether it is written by now.
async fn told(write: impl Future<Output = Result<(), StoreError>>) -> bool {
    match timeout(TELL, write).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a sign-in counts on this server only");
            false
        }
        Err(_) => false,
    }
}
