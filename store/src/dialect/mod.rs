//! What differs among databases.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, AssertSqlSafe, ConnectOptions, Connection, Executor, SqliteConnection};
use tokio::time::Instant;

use crate::StoreError;

mod fault;
mod foreign_log;
mod lists;
pub(crate) mod mysql;
pub(crate) mod postgres;
mod settings;
mod text;
mod transfer;

pub(crate) use fault::{Fault, fault, is_locked, reason, says_damaged};
pub(crate) use foreign_log::{is_foreign, renew as renew_log_mark};
pub(crate) use lists::{ListPool, Param};
pub(crate) use text::{PRIMARY, push_with_question_marks};
pub(crate) use transfer::row_refusal;

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB and MySQL.
    MySql,
}

impl Dialect {
    /// What the address of a database says; `None` if it is of no database that Herald knows.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        let (scheme, _) = url.split_once(':')?;
        match scheme {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            _ => None,
        }
    }
}

/// Starts a transaction that writes. A transaction that first reads and then wants to write fails
/// when another process wrote in between; this one waits for the lock at its start instead.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// What says to which file the log belongs.
pub(crate) const MARK_LOG: &str = "UPDATE log_mark SET mark = mark + 1";

/// What begins a transaction that survives a power failure once it is committed if it is `durable`; otherwise a power failure may
/// undo it, unless a durable one is committed after it. In one text, as it costs as much to hand over one statement as several.
pub(crate) fn begin_write(dialect: Dialect, durable: bool) -> &'static str {
    match (dialect, durable) {
        (Dialect::Sqlite, true) => {
            "PRAGMA synchronous = FULL; BEGIN IMMEDIATE; UPDATE log_mark SET mark = mark + 1"
        }
        (Dialect::Sqlite, false) => {
            "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; UPDATE log_mark SET mark = mark + 1"
        }
        (Dialect::Postgres, false) => "BEGIN; SET LOCAL synchronous_commit = off",
        (Dialect::Postgres | Dialect::MySql, _) => "BEGIN",
    }
}

/// Settings of the connection that writes. FULL makes a commit durable, not just consistent. A new file, and a copy that is
/// made by VACUUM, can be shrunk by steps; a file that is there keeps what it has.
const WRITER_PRAGMAS: &str = "PRAGMA busy_timeout = 5000;
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA journal_size_limit = 67108864";

/// Lets reads and writes go on beside each other. The file keeps this setting.
const WRITE_AHEAD_LOG: &str = "PRAGMA journal_mode = WAL";

/// Writes what is in the log to the database and cuts the log, if all who read it are done soon.
pub(crate) const START_LOG_OVER: &str = "PRAGMA busy_timeout = 250;
    PRAGMA wal_checkpoint(TRUNCATE);
    PRAGMA busy_timeout = 5000";

/// How many pages the file has, how many of them are free, and whether they can be given back.
pub(crate) const PAGES: &str = "SELECT page_size, page_count, freelist_count, auto_vacuum
    FROM pragma_page_size, pragma_page_count, pragma_freelist_count, pragma_auto_vacuum";

/// The `auto_vacuum` of a file that can be shrunk by steps.
pub(crate) const INCREMENTAL: i64 = 2;

/// How long [`WRITE_AHEAD_LOG`] is tried, and how often.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
const LOG_RETRY: Duration = Duration::from_millis(20);

/// Settings of the connections that read.
const READER_PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON";

/// How much the check of a file in use does before it rests, in steps of SQLite (cells and instructions), and for how long
/// at most.
const STEPS_BEFORE_REST: i32 = 5_000;
const LONGEST_REST: Duration = Duration::from_millis(50);

/// The file that the address of a database names.
pub(crate) fn file_of(url: &str) -> Result<PathBuf, StoreError> {
    let wrong = |reason: String| StoreError::Url { reason };
    if !url.starts_with("sqlite://") {
        return Err(wrong("the database address is not one of SQLite".into()));
    }
    let url = sqlx::any::AnyConnectOptions::from_str(url)
        // Not what the parser says: it may quote a password.
        .map_err(|_| wrong("the database address is not a URL".into()))?
        .database_url;
    let options = SqliteConnectOptions::from_url(&url)
        .map_err(|_| wrong("the database address is wrong".into()))?;
    let file = options.get_filename().to_owned();
    if file.as_os_str().is_empty() || url.query().is_some_and(|q| q.contains("mode=memory")) {
        return Err(wrong("the database address names no file".into()));
    }
    Ok(file)
}

/// Makes a new connection the one that writes.
pub(crate) async fn set_up_writer(conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
    conn.execute(WRITER_PRAGMAS).await?;
    // When several processes open a new database at once, this does not wait for the lock as other
    // statements do.
    let deadline = Instant::now() + LOG_PATIENCE;
    loop {
        match conn.execute(WRITE_AHEAD_LOG).await {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                tokio::time::sleep(LOG_RETRY).await;
            }
            set => return set.map(drop),
        }
    }
}

/// Prepares a new connection to a server by `settings`.
pub(crate) async fn set_up(
    conn: &mut AnyConnection,
    settings: &'static str,
) -> Result<(), sqlx::Error> {
    conn.execute(settings).await.map(drop)
}

/// The time of the database, in milliseconds.
pub(crate) async fn read_now(
    conn: &mut AnyConnection,
    dialect: Dialect,
) -> Result<i64, sqlx::Error> {
    let text = format!("SELECT {}", dialect.now_millis());
    sqlx::query_scalar(AssertSqlSafe(text))
        .fetch_one(conn)
        .await
}

/// Makes a new connection one that only reads.
pub(crate) async fn set_up_reader(conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
    conn.execute(READER_PRAGMAS).await.map(drop)
}

/// The first damage of the database file, if it has any. Reads all of it.
pub(crate) async fn find_damage(conn: &mut AnyConnection) -> Result<Option<String>, sqlx::Error> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(conn)
        .await?;
    Ok((found != "ok").then_some(found))
}

/// As [`find_damage`], for a file that is in use, on a connection of its own: rests as long as it works. Fails early once
/// it is to `stop`.
pub(crate) async fn find_damage_gently(
    url: &str,
    stop: Arc<AtomicBool>,
) -> Result<Option<String>, sqlx::Error> {
    let url = sqlx::any::AnyConnectOptions::from_str(url)?.database_url;
    let options = SqliteConnectOptions::from_url(&url)?;
    let mut conn = SqliteConnection::connect_with(&options).await?;
    conn.execute(READER_PRAGMAS).await?;
    let mut worked = std::time::Instant::now();
    // Called by a thread that does nothing but this check.
    let go_on = move || {
        std::thread::sleep(worked.elapsed().min(LONGEST_REST));
        worked = std::time::Instant::now();
        !stop.load(Ordering::Relaxed)
    };
    conn.lock_handle()
        .await?
        .set_progress_handler(STEPS_BEFORE_REST, go_on);
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut conn)
        .await?;
    conn.close().await?;
    Ok((found != "ok").then_some(found))
}

/// Writes nothing, but fails where a write would. A file that may only be read opens without an
/// error, and BEGIN IMMEDIATE finds nothing wrong with it.
pub(crate) async fn try_to_write(conn: &mut AnyConnection) -> Result<(), sqlx::Error> {
    conn.execute("DELETE FROM settings WHERE name IS NULL")
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::{DatabaseFile, Location};
    use crate::open::prepare;
    use crate::{Store, StoreOptions};

    async fn empty_database() -> (tempfile::TempDir, AnyConnection) {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = Location::parse(options.url).unwrap();
        let conn = prepare(&location).await;
        (dir, conn.unwrap().0)
    }

    #[tokio::test]
    async fn a_commit_of_the_writer_is_durable() {
        let (_dir, mut conn) = empty_database().await;
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        assert_eq!(mode, "wal");
        let full = 2;
        for (pragma, value) in [
            ("PRAGMA synchronous", full),
            ("PRAGMA foreign_keys", 1),
            ("PRAGMA busy_timeout", 5000),
        ] {
            let set: i64 = sqlx::query_scalar(pragma)
                .fetch_one(&mut conn)
                .await
                .unwrap();
            assert_eq!(set, value, "{pragma}");
        }
    }

    #[tokio::test]
    async fn a_lock_that_another_process_keeps_is_known() {
        let (dir, mut conn) = empty_database().await;
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let location = DatabaseFile::parse(&options.url).unwrap();
        let mut other = location.connect_writer().await.unwrap();
        conn.execute("PRAGMA busy_timeout = 0").await.unwrap();
        other.execute(BEGIN_WRITE).await.unwrap();
        let error = conn.execute(BEGIN_WRITE).await.unwrap_err();
        assert!(matches!(error.into(), StoreError::Locked));
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions::sqlite(&dir.path().join("herald.db"));
        let store = Store::open(options).await.unwrap();
        let deleted = sqlx::query("DELETE FROM users")
            .execute(store.readers().pool())
            .await;
        assert!(deleted.is_err());
    }

    #[test]
    fn the_file_of_an_address_is_found() {
        let cases = [
            (
                "sqlite:///var/lib/herald/herald.db",
                "/var/lib/herald/herald.db",
            ),
            ("sqlite:///a%20b/c%3Fd.db?mode=rw", "/a b/c?d.db"),
            ("sqlite://./data/herald.db", "./data/herald.db"),
        ];
        for (url, file) in cases {
            assert_eq!(file_of(url).unwrap(), PathBuf::from(file), "{url}");
        }
    }

    #[test]
    fn an_address_without_a_file_is_refused() {
        for url in [
            "",
            "herald.db",
            "postgres://localhost/herald",
            "sqlite::memory:",
            "sqlite://",
            "sqlite:///x.db?mode=memory",
            "sqlite:///x.db?mode=nonsense",
        ] {
            assert!(matches!(file_of(url), Err(StoreError::Url { .. })), "{url}");
        }
    }
}
