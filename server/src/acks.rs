//! Acknowledgements, gathered and written in batches.

use std::{collections::HashMap, sync::Arc, time::Duration};

use herald_store::{Acknowledged, Seq, Store, StoreError, Timestamp, UserId};
use parking_lot::Mutex;
use tokio::{
    sync::{Notify, RwLock, RwLockReadGuard},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// How long an acknowledgement may wait for others.
const GATHER: Duration = Duration::from_millis(20);

/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(1);

/// How many are written at once, so that no other write waits long.
const AT_ONCE: usize = 1024;

/// Whose cursor it is: the user's, or that of one of the user's client ids.
type Cursor = (UserId, Option<Arc<str>>);

/// What was acknowledged and is not written yet: one number a cursor, so bounded by the sessions there are. Losing it in a
/// crash costs a repeat.
#[derive(Default)]
pub(crate) struct Acks {
    pending: Mutex<HashMap<Cursor, Seq>>,
    some: Notify,
    /// Whoever writes what is noted has it alone; those who move a cursor back share it.
    writing: RwLock<()>,
}

impl Acks {
    /// Notes that `user` acknowledged everything up to `seq`, as `client_id` if that has a cursor of its own.
    pub(crate) fn note(&self, user: UserId, client_id: Option<Arc<str>>, seq: Seq) {
        {
            let mut pending = self.pending.lock();
            let mut note = |cursor| {
                let highest = pending.entry(cursor).or_insert(seq);
                *highest = seq.max(*highest);
            };
            if client_id.is_some() {
                note((user.clone(), client_id));
            }
            note((user, None));
        }
        self.some.notify_one();
    }

    /// What is noted for the cursor of `user`, or of one of the user's client ids.
    pub(crate) fn noted(&self, user: &UserId, client_id: Option<&Arc<str>>) -> Seq {
        let cursor = (user.clone(), client_id.cloned());
        self.pending
            .lock()
            .get(&cursor)
            .copied()
            .unwrap_or_default()
    }

    /// Forgets what is noted for the cursor of a client id. Nothing that was noted before is written while the answer is
    /// held: who holds it can move that cursor back for good.
    pub(crate) async fn forget(
        &self,
        user: &UserId,
        client_id: &Arc<str>,
    ) -> RwLockReadGuard<'_, ()> {
        let held = self.writing.read().await;
        let cursor = (user.clone(), Some(client_id.clone()));
        self.pending.lock().remove(&cursor);
        held
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

    /// Writes what is noted by now, without waiting for more.
    pub(crate) async fn flush(&self, store: &Store) -> Result<(), StoreError> {
        self.write(store).await
    }

    async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let cursors: Vec<Cursor> = self.pending.lock().keys().cloned().collect();
        for cursors in cursors.chunks(AT_ONCE) {
            let _alone = self.writing.write().await;
            let batch = self.batch(cursors);
            store.acknowledge(&batch, Timestamp::now()).await?;
            // Only now, so that whoever asks finds each number here or in the database.
            let mut pending = self.pending.lock();
            for written in batch {
                let cursor = (written.user, written.client_id);
                if pending.get(&cursor) == Some(&written.up_to) {
                    pending.remove(&cursor);
                }
            }
        }
        Ok(())
    }

    /// What is noted for these now.
    fn batch(&self, cursors: &[Cursor]) -> Vec<Acknowledged> {
        let pending = self.pending.lock();
        let noted = cursors.iter().filter_map(|cursor| {
            let (user, client_id) = cursor.clone();
            pending.get(cursor).map(|up_to| Acknowledged {
                user,
                client_id,
                up_to: *up_to,
            })
        });
        noted.collect()
    }
}
