//! Keeps the write-ahead log short.
//!
//! SQLite starts it over by itself only at a moment when nobody reads it, and under many short reads there may be none. So
//! the writer, which alone makes it longer, stops for a moment: reads that begin then do not need the log.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, Executor as _};

use crate::dialect;
use crate::open_files::beside;

/// How long the file may be, in bytes: more than what SQLite leaves of it.
const LONGEST: u64 = 128 * 1024 * 1024;

/// How often it is looked at, and how long it is left alone after a try that failed, as a read lasts.
const LOOK: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(10);

/// How often a transaction counts up the mark of the file. SQLite may start the log over at any time: what was written since
/// without one does not say to which file it belongs.
const MARK: Duration = Duration::from_millis(100);

/// The log of a database.
pub(super) struct Log {
    /// `None` on a server, which keeps its log itself.
    file: Option<PathBuf>,
    longest: u64,
    look_at: Instant,
    mark_at: Instant,
}

impl Log {
    pub(super) fn of(database: Option<&Path>) -> Self {
        Self {
            file: database.map(|database| beside(database, "-wal")),
            longest: LONGEST,
            look_at: Instant::now(),
            mark_at: Instant::now(),
        }
    }

    /// Whether the transaction that begins now is to mark to which file the log belongs.
    pub(super) fn is_to_be_marked(&mut self) -> bool {
        let now = Instant::now();
        let is_due = self.file.is_some() && now >= self.mark_at;
        if is_due {
            self.mark_at = now + MARK;
        }
        is_due
    }

    /// Starts the log over if it is long, for which others wait a quarter of a second at most.
    pub(super) async fn keep_short(&mut self, conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
        if Instant::now() < self.look_at {
            return Ok(());
        }
        self.look_at = Instant::now() + LOOK;
        if self.is_short() {
            return Ok(());
        }
        conn.execute(dialect::START_LOG_OVER).await?;
        if !self.is_short() {
            self.look_at = Instant::now() + REST;
            tracing::debug!("the log of the database is long, and somebody still reads it");
        }
        Ok(())
    }

    fn is_short(&self) -> bool {
        let Some(file) = &self.file else {
            return true;
        };
        // A missing log is short.
        std::fs::metadata(file).map_or(0, |log| log.len()) <= self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;
    use crate::location::Location;
    use crate::open::prepare;

    #[tokio::test]
    async fn a_long_log_starts_over_as_soon_as_who_reads_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = Location::parse(options.url).unwrap();
        let (mut conn, _) = prepare(&location).await.unwrap();
        let mut reader = location.connect_reader().await.unwrap();
        let mut log = Log::of(location.file());
        log.longest = 0;
        conn.execute("INSERT INTO settings (name, value) VALUES ('a', '')")
            .await
            .unwrap();
        reader
            .execute("BEGIN; SELECT * FROM settings")
            .await
            .unwrap();
        conn.execute("INSERT INTO settings (name, value) VALUES ('b', '')")
            .await
            .unwrap();
        log.look_at = Instant::now();
        log.keep_short(&mut conn).await.unwrap();
        assert!(!log.is_short(), "what is read stays");
        // Writes go on, and with the patience that they had.
        conn.execute("INSERT INTO settings (name, value) VALUES ('c', '')")
            .await
            .unwrap();
        let patience: i64 = sqlx::query_scalar("PRAGMA busy_timeout")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(patience, 5000);
        reader.execute("COMMIT").await.unwrap();
        log.keep_short(&mut conn).await.unwrap();
        assert!(!log.is_short(), "not so soon after it came to nothing");
        log.look_at = Instant::now();
        log.keep_short(&mut conn).await.unwrap();
        assert!(log.is_short());
    }
}
