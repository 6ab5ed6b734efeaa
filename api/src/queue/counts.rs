//! How many messages there are, counted once for all who ask.

use std::{sync::Arc, time::Duration};

use herald_store::{StatusCounts, Store, StoreError, Timestamp};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::background::Background;

/// How long a count holds, at least.
const FRESH: Duration = Duration::from_secs(1);

/// A count holds so many times as long as it took, so that counting takes a tenth of the time at most.
const SHARE: u32 = 9;

/// How long a request waits for a new count if there is an older one.
const PATIENCE: Duration = Duration::from_millis(200);

/// What was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted {
    pub(crate) counts: StatusCounts,
    pub(crate) oldest_due: Option<Timestamp>,
    /// When.
    pub(crate) at: Timestamp,
}

/// The last count.
#[derive(Default)]
pub(crate) struct Counts {
    last: Mutex<Option<Last>>,
    /// Held by the one who counts.
    counting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Copy)]
struct Last {
    counted: Counted,
    holds_until: Instant,
}

impl Counts {
    /// The numbers as they were a moment ago.
    pub(crate) async fn latest(
        self: &Arc<Self>,
        store: &Store,
        background: &Background,
    ) -> Result<Counted, StoreError> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let (this, store) = (Arc::clone(self), store.clone());
        // In a task of its own, so that one who stops waiting leaves the answer to the others.
        let counting = background.spawn(async move { this.count(&store).await });
        let counted = async { counting.await.unwrap_or(Err(StoreError::Panicked)) };
        let before = self.last.lock().map(|last| last.counted);
        match before {
            None => counted.await,
            Some(before) => timeout(PATIENCE, counted).await.unwrap_or(Ok(before)),
        }
    }

    fn fresh(&self) -> Option<Counted> {
        let last = (*self.last.lock())?;
        (Instant::now() < last.holds_until).then_some(last.counted)
    }

    async fn count(&self, store: &Store) -> Result<Counted, StoreError> {
        let _counting = self.counting.lock().await;
        // Another may have counted meanwhile.
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let since = Instant::now();
        let counted = Counted {
            at: Timestamp::now(),
            counts: store.counts().await?,
            oldest_due: store.oldest_due().await?,
        };
        let holds_until = Instant::now() + FRESH.max(since.elapsed() * SHARE);
        *self.last.lock() = Some(Last {
            counted,
            holds_until,
        });
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use herald_store::StoreOptions;
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn all_who_ask_within_a_second_share_a_count() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options).await.unwrap();
        let counts = Arc::new(Counts::default());
        let background = Background::new(TaskTracker::new());
        let asked = (0..20).map(|_| counts.latest(&store, &background));
        let asked = futures_util::future::join_all(asked).await;
        let first = asked[0].as_ref().unwrap().at;
        assert!(asked.iter().all(|a| a.as_ref().unwrap().at == first));
        store.close().await;
        // It still holds.
        assert_eq!(counts.latest(&store, &background).await.unwrap().at, first);
    }
}
