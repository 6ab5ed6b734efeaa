//! What several servers on one database count together.

use std::time::{Duration, Instant};

use herald_store::{SignInCount, SignInKey, Store, StoreError, Timestamp};

use super::{Attempt, RIGHT, Throttle, Window, make_room};

impl Throttle {
    /// Learns what all servers have counted for `attempt`. They may be as much over the limits together as each of them computes
    /// hashes at once.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read.
    pub(crate) async fn learn(&self, attempt: &Attempt, store: &Store) -> Result<(), StoreError> {
        let failed = attempt.keys().map(|key| key.shared());
        let keys: Vec<_> = failed.chain(attempt.shared_when_right()).collect();
        let read_at = Timestamp::now();
        let counts = store.sign_in_counts(&keys, read_at).await?;
        if !counts.is_empty() {
            self.take(attempt, &counts, Instant::now(), read_at);
        }
        Ok(())
    }

    /// Tells the other servers of a failure, which is recorded here.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be written.
    pub(crate) async fn tell_failure(attempt: &Attempt, store: &Store) -> Result<(), StoreError> {
        let keys = attempt.keys().map(|key| key.shared()).collect();
        store.count_failed_sign_in(keys, Timestamp::now()).await
    }

    /// Tells the other servers that the password was right.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be written.
    pub(crate) async fn tell_success(attempt: &Attempt, store: &Store) -> Result<(), StoreError> {
        let Some(key) = attempt.shared_when_right() else {
            return Ok(());
        };
        let until = Timestamp::now() + RIGHT;
        store.note_right_sign_in(key, until).await
    }

    /// What was counted in the database at `read_at`, which is `now`.
    pub(super) fn take(
        &self,
        attempt: &Attempt,
        counts: &[SignInCount],
        now: Instant,
        read_at: Timestamp,
    ) {
        let find = |key: &SignInKey| {
            let count = counts.iter().find(|count| count.key == *key)?;
            let left = count.ends_at.as_millis() - read_at.as_millis();
            let left = Duration::from_millis(u64::try_from(left).ok()?);
            Some((count.failures, now + left))
        };
        let mut failures = self.failures.lock();
        for key in attempt.keys() {
            let Some((count, ends)) = find(&key.shared()) else {
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
        let right = attempt.shared_when_right().and_then(|key| find(&key));
        if let (Some((_, until)), Some(pair)) = (right, attempt.on())
            && failures.right.get(&pair).is_none_or(|own| *own < until)
        {
            failures.right_until(pair, until, now);
        }
    }
}
