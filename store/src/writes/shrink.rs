//! Giving the room of what was deleted back to the disk, in steps that no other write has to wait for.

use std::time::{Duration, Instant};

use sqlx::Row as _;
use tokio::time::sleep;

use crate::adaptive_batch::AdaptiveBatch;
use crate::dialect::Dialect;
use crate::statement::Statement;
use crate::writer::{Operation, Transaction};
use crate::{Store, StoreError, dialect};

/// Fewer free pages than this are left for what comes next.
const LEAST: i64 = 1024;

/// So many of them are left when the others are given back.
const LEFT: i64 = 256;

/// A file of which less than this part is free is left alone.
const PART: i64 = 8;

/// How long a step waits for a moment when nobody waits to write, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// What came of [`Store::shrink`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shrunk {
    /// How many bytes the file gave back. It is shorter once they are checkpointed.
    pub bytes: u64,
    /// Much of the file is free, and it cannot be given back: a version before made the file. A copy of it can.
    pub is_fixed: bool,
}

/// The pages of the file.
struct Pages {
    bytes: i64,
    all: i64,
    free: i64,
    can_shrink: bool,
}

impl Store {
    /// Gives free pages of the file back to the disk, if there are many. Does so in small steps with rests between them, and
    /// only while nobody else waits to write: so it may stop early, and go on with the next call. Other databases than SQLite
    /// see to that by themselves.
    ///
    /// # Errors
    ///
    /// A [`StoreError`] if the database cannot be read or written.
    pub async fn shrink(&self) -> Result<Shrunk, StoreError> {
        let mut shrunk = Shrunk::default();
        if self.readers().dialect() != Dialect::Sqlite {
            return Ok(shrunk);
        }
        let mut pages = self.pages().await?;
        if pages.free < LEAST || pages.free < pages.all / PART {
            return Ok(shrunk);
        }
        if !pages.can_shrink {
            shrunk.is_fixed = true;
            return Ok(shrunk);
        }
        let mut batch = AdaptiveBatch::default();
        while pages.free > LEFT && self.is_quiet().await {
            let wanted = (pages.free - LEFT).min(batch.rows() as i64);
            let took = self.write(GiveBack(wanted)).await?;
            batch.rest(took).await;
            let before = pages.free;
            pages = self.pages().await?;
            let given = (before - pages.free).max(0);
            shrunk.bytes += (given * pages.bytes).unsigned_abs();
        }
        Ok(shrunk)
    }

    /// Waits a limited time until no write waits. Returns whether none does.
    async fn is_quiet(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_writer_idle() {
            if Instant::now() > deadline {
                return false;
            }
            sleep(LOOK).await;
        }
        true
    }

    async fn pages(&self) -> Result<Pages, StoreError> {
        let row = self
            .readers()
            .fetch_one(Statement::new(dialect::PAGES))
            .await?;
        Ok(Pages {
            bytes: row.try_get("page_size")?,
            all: row.try_get("page_count")?,
            free: row.try_get("freelist_count")?,
            can_shrink: row.try_get::<i64, _>("auto_vacuum")? == dialect::INCREMENTAL,
        })
    }
}

/// At most so many pages.
struct GiveBack(i64);

impl Operation for GiveBack {
    /// How long it took.
    type Output = Duration;

    /// Pages that a crash brings back are still free.
    const DURABLE: bool = false;

    async fn run(&self, tx: &mut Transaction<'_>) -> Result<Duration, StoreError> {
        let started = Instant::now();
        let text = format!("PRAGMA incremental_vacuum({})", self.0);
        tx.execute(Statement::made(text).once()).await?;
        Ok(started.elapsed())
    }
}
