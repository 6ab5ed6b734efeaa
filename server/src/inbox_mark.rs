//! How far the inboxes are known to have come, in a file of the data directory: a database in which they have not come so
//! far is an older one, restored.
//!
//! The file is written after what it records is durable, so it is never ahead of the database that was there. It may be a
//! second behind: a backup that is not older than that is taken for the database itself, and has all that clients saw
//! until then.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use herald_store::{InboxProgress, Store};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::data_dir;

/// How often it is written, while inboxes grow.
const EVERY: Duration = Duration::from_secs(1);

/// The content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    epoch: String,
    changes: i64,
}

impl From<InboxProgress> for Known {
    fn from(progress: InboxProgress) -> Self {
        Self {
            epoch: progress.epoch.to_string(),
            changes: progress.changes,
        }
    }
}

/// The file, and what it says.
pub(crate) struct InboxMark {
    path: PathBuf,
    known: Known,
}

impl InboxMark {
    /// Compares the file with `store`, which begins a new epoch if it is an older database or another one, and writes it.
    pub(crate) async fn settle(data_dir: &Path, store: &Store) -> anyhow::Result<Self> {
        let path = path(data_dir);
        let here = Known::from(store.inbox_progress().await?);
        let is_older = match read(&path)? {
            Some(known) => known.epoch != here.epoch || known.changes > here.changes,
            None => false,
        };
        if is_older {
            let epoch = store.begin_epoch().await?;
            tracing::warn!(
                %epoch,
                "the database is older than the one that was here, or another one: as a restored backup, it begins a new epoch \
                 of inboxes, and clients read them from the start"
            );
        }
        let known = store.inbox_progress().await?.into();
        write(&path, &known)?;
        Ok(Self { path, known })
    }

    /// Writes the file while inboxes grow, and once more at the end.
    pub(crate) async fn run(mut self, store: Store, stop: CancellationToken) {
        while stop.run_until_cancelled(sleep(EVERY)).await.is_some() {
            self.follow(&store).await;
        }
        self.follow(&store).await;
    }

    async fn follow(&mut self, store: &Store) {
        let known = match store.inbox_progress().await {
            Ok(progress) => Known::from(progress),
            // Who writes says more of that.
            Err(error) => return tracing::debug!(%error, "the inbox mark was not written"),
        };
        if known == self.known {
            return;
        }
        match write(&self.path, &known) {
            Ok(()) => self.known = known,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the inbox mark was not written"
                );
            }
        }
    }
}

/// Notes how far the inboxes of a restored database have come, before a server has it.
pub(crate) fn note(data_dir: &Path, progress: InboxProgress) -> anyhow::Result<()> {
    write(&path(data_dir), &progress.into())
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("inbox-mark.json")
}

/// What the file says; `None` if there is none, or one that says nothing.
fn read(path: &Path) -> anyhow::Result<Option<Known>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
    };
    let known = serde_json::from_str(&text).ok();
    if known.is_none() {
        tracing::warn!(file = %path.display(), "the inbox mark cannot be read; it is written anew");
    }
    Ok(known)
}

fn write(path: &Path, known: &Known) -> anyhow::Result<()> {
    data_dir::write(path, &serde_json::to_string(known)?, false)
}
