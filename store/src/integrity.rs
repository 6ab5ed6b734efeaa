//! Whether a large database file is whole. To read all of it takes too long for a start, so it is read while it is used.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::location::DatabaseFile;
use crate::owned_task::OwnedTask;
use crate::{StoreError, dialect};

/// A check under way, or what came of it.
#[derive(Debug)]
pub(crate) struct Check {
    shared: Arc<Shared>,
    task: OwnedTask,
}

#[derive(Debug, Default)]
struct Shared {
    /// The first damage that was found, and of which file.
    damage: OnceLock<(PathBuf, String)>,
    /// The check is to end.
    stop: Arc<AtomicBool>,
}

impl Check {
    /// Of a file that was checked before, or of what a server keeps.
    pub(crate) fn done() -> Self {
        Self {
            shared: Arc::default(),
            task: OwnedTask::default(),
        }
    }

    /// Starts the check of `file`.
    pub(crate) fn start(file: DatabaseFile) -> Self {
        let shared = Arc::<Shared>::default();
        let task = OwnedTask::spawn(check(file, Arc::clone(&shared)));
        Self { shared, task }
    }

    /// The damage, if there is any as far as is known.
    pub(crate) fn damage(&self) -> Option<StoreError> {
        let (path, reason) = self.shared.damage.get()?.clone();
        Some(StoreError::Corrupt { path, reason })
    }

    /// Ends the check and waits for that. Only the first call waits.
    pub(crate) async fn close(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.task.join("the check of the database").await;
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

async fn check(file: DatabaseFile, shared: Arc<Shared>) {
    let stop = Arc::clone(&shared.stop);
    let reason = match dialect::find_damage_gently(file.url(), stop).await {
        Ok(Some(reason)) => reason,
        Err(error) if dialect::says_damaged(&error) => dialect::reason(&error),
        Ok(None) => return tracing::debug!("the database is whole"),
        Err(_) if shared.stop.load(Ordering::Relaxed) => return,
        Err(error) => {
            return tracing::warn!(%error, "the database could not be checked for damage; the next start tries again");
        }
    };
    tracing::error!(
        file = %file.path().display(),
        reason,
        "the database is damaged: stop the server, keep a copy of the file, and restore a backup; it is not \
         ready until then"
    );
    let _ = shared.damage.set((file.path().to_owned(), reason));
}
