//! Acknowledgements, gathered and written in batches.

use std::{collections::HashMap, sync::Arc, time::Duration};

use herald_store::{Seq, Store, StoreError, Timestamp, UserId};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

/// How long an acknowledgement may wait for others.
const GATHER: Duration = Duration::from_millis(20);

/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// What was acknowledged and is not written yet: one number a user, so bounded by the users there are. Losing it in a
/// crash costs a repeat.
#[derive(Default)]
pub(crate) struct Acks {
    pending: Mutex<HashMap<UserId, Seq>>,
    some: Notify,
}

impl Acks {
    /// Notes that `user` acknowledged everything up to `seq`.
    pub(crate) fn note(&self, user: UserId, seq: Seq) {
        {
            let mut pending = self.pending.lock();
            let highest = pending.entry(user).or_insert(seq);
            *highest = seq.max(*highest);
        }
        self.some.notify_one();
    }

    /// What is noted for `user`.
    pub(crate) fn noted(&self, user: &UserId) -> Option<Seq> {
        self.pending.lock().get(user).copied()
    }

    /// Writes what is noted, in batches, until stopped; then writes the rest.
    pub(crate) async fn run(self: Arc<Self>, store: Store, stop: CancellationToken) {
        while stop
            .run_until_cancelled(async {
                self.some.notified().await;
                sleep(GATHER).await;
            })
            .await
            .is_some()
        {
            if let Err(e) = self.write(&store).await {
                tracing::error!(error = %e, "acknowledgements could not be written; they will be tried again");
                stop.run_until_cancelled(sleep(PAUSE)).await;
                self.some.notify_one();
            }
        }
        if let Err(e) = self.write(&store).await {
            tracing::error!(error = %e, "the last acknowledgements could not be written; those notifications come again");
        }
    }

    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let batch: Vec<(UserId, Seq)> = {
            let pending = self.pending.lock();
            pending.iter().map(|(u, s)| (u.clone(), *s)).collect()
        };
        store.acknowledge(&batch, Timestamp::now()).await?;
        // Only now, so that whoever asks finds each number here or in the database.
        let mut pending = self.pending.lock();
        for (user, written) in batch {
            if pending.get(&user) == Some(&written) {
                pending.remove(&user);
            }
        }
        Ok(())
    }
}
