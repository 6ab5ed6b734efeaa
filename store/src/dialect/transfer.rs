//! What copying all of a database is written in.

use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::{Dialect, mysql, postgres, reason};

/// How many rows are deleted at once.
const PIECE: u32 = 5000;

impl Dialect {
    /// Settings of a connection that reads or writes all of a database; `None` if it needs none.
    pub(crate) fn transfer_settings(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(postgres::TRANSFER),
            Self::MySql => Some(mysql::TRANSFER),
        }
    }

    /// Starts a transaction that only reads, and sees the database as it is now for as long as it lasts.
    pub(crate) fn begin_snapshot(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::MySql => {
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
                START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            }
        }
    }

    /// The names of the tables of the database, but for those of an extension.
    pub(crate) fn tables(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
            Self::Postgres => {
                "SELECT CAST(c.relname AS TEXT) FROM pg_class c
                WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) AND c.relkind IN ('r', 'p')
                AND NOT EXISTS (SELECT 1 FROM pg_depend d
                    WHERE d.classid = CAST('pg_class' AS regclass) AND d.objid = c.oid AND d.deptype = 'e')"
            }
            Self::MySql => {
                "SELECT CAST(table_name AS CHAR) FROM information_schema.tables
                WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
            }
        }
    }

    /// How many connections of servers the database has, as far as this user can see. A file has a lock instead.
    pub(crate) fn other_servers(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(
                "SELECT COUNT(*) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'herald' AND pid <> pg_backend_pid()",
            ),
            Self::MySql => Some(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()",
            ),
        }
    }

    /// What changes with each write of a server or a command of ours, and on a server with most others, as a text. Of a file, what
    /// changes with each write of another connection; it means something to the same connection alone.
    pub(crate) fn writes(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT CAST(data_version AS TEXT) FROM pragma_data_version",
            // The first is of each transaction of ours.
            Self::Postgres => {
                "SELECT CONCAT_WS(' ',
                    (SELECT CONCAT_WS('/', COUNT(*), SUM(number), MAX(at)) FROM last_commits),
                    (SELECT STRING_AGG(CONCAT_WS('/', status, messages, attempts), ' ' ORDER BY status)
                        FROM (SELECT status, COUNT(*) AS messages, SUM(attempts) AS attempts FROM messages GROUP BY status) AS sums),
                    (SELECT SUM(acked_seq) FROM inboxes), (SELECT CONCAT_WS('/', SUM(seq), MAX(updated_at)) FROM cursors))"
            }
            Self::MySql => {
                "SELECT CAST(CONCAT_WS(' ',
                    (SELECT CONCAT_WS('/', COUNT(*), SUM(number), MAX(at)) FROM last_commits),
                    (SELECT GROUP_CONCAT(CONCAT_WS('/', status, messages, attempts) ORDER BY status SEPARATOR ' ')
                        FROM (SELECT status, COUNT(*) AS messages, SUM(attempts) AS attempts FROM messages GROUP BY status) AS sums),
                    (SELECT SUM(acked_seq) FROM inboxes), (SELECT CONCAT_WS('/', SUM(seq), MAX(updated_at)) FROM cursors))
                    AS CHAR)"
            }
        }
    }

    /// Takes the right to copy to this database for as long as the connection lasts: 1, or 0 if another has it. The number is
    /// any, for all versions of Herald.
    pub(crate) fn try_lock_transfer(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(
                "SELECT CAST(CAST(pg_try_advisory_lock(5216694956355245936) AS INT) AS BIGINT)",
            ),
            Self::MySql => Some(
                "SELECT CAST(COALESCE(GET_LOCK(CONCAT('herald copy ', MD5(DATABASE())), 0), 0) AS SIGNED)",
            ),
        }
    }

    /// What leaves nothing in `tables`, nor in what is counted, at once; `None` if that takes the longer the more there is.
    pub(crate) fn truncate(self, tables: &[&str]) -> Option<String> {
        // Triggers do not run.
        (self == Self::Postgres).then(|| {
            format!(
                "TRUNCATE message_counts, inbox_changes, {}",
                tables.join(", ")
            )
        })
    }

    /// What deletes some rows of a table, those that `only` has, by their primary key.
    pub(crate) fn delete_some(self, table: &str, key: &[&str], only: Option<&str>) -> String {
        let only = only.map(|only| format!(" WHERE {only}"));
        let only = only.unwrap_or_default();
        match self {
            Self::MySql => format!("DELETE FROM {table}{only} LIMIT {PIECE}"),
            Self::Sqlite | Self::Postgres => {
                let key = key.join(", ");
                format!(
                    "DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table}{only} LIMIT {PIECE})"
                )
            }
        }
    }

    /// What leaves nothing in what is counted, where there are no messages any more.
    pub(crate) fn clear_sums(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &["UPDATE message_counts SET count = 0"],
            Self::Postgres | Self::MySql => {
                &["DELETE FROM message_counts", "DELETE FROM inbox_changes"]
            }
        }
    }

    /// What counts the messages that are there, where no trigger has.
    pub(crate) fn count_messages(self) -> Option<&'static str> {
        match self {
            Self::Sqlite | Self::Postgres => None,
            Self::MySql => Some(
                "INSERT INTO message_counts (status, backend, count)
                SELECT status, 0, COUNT(*) FROM messages GROUP BY status",
            ),
        }
    }

    /// What sets the epoch of inboxes and how often they have changed, the first by one parameter and the last by another.
    pub(crate) fn set_inbox_progress(self) -> [String; 2] {
        match self {
            Self::Sqlite => [
                "UPDATE inbox_epoch SET epoch = $1 WHERE id = 1".into(),
                "UPDATE inbox_epoch SET changes = $1 WHERE id = 1".into(),
            ],
            Self::Postgres | Self::MySql => {
                let again = self.on_conflict(&["backend"], &["changes"]);
                [
                    "UPDATE epochs SET epoch = $1 WHERE id = 1".into(),
                    format!("INSERT INTO inbox_changes (backend, changes) VALUES (0, $1) {again}"),
                ]
            }
        }
    }
}

/// Why a database does not take a row, without the values that its message may quote: they may be secrets.
pub(crate) fn row_refusal(error: &sqlx::Error) -> String {
    let database = error.as_database_error();
    if let Some(error) = database.and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>()) {
        let number = error.number();
        return match number {
            1062 | 1169 | 1586 => format!("another row has the same key (error {number})"),
            1264 | 1292 | 1366 | 1406 | 3988 => {
                format!("a value is too long, or no text or number for its column (error {number})")
            }
            _ => format!("error {number} of the database"),
        };
    }
    if let Some(error) = database.and_then(|error| error.try_downcast_ref::<PgDatabaseError>()) {
        // What is said of constraints and of limits names columns alone.
        return match error.code() {
            code if code.starts_with("23") || code.starts_with("54") => error.message().into(),
            code => format!("error {code} of the database"),
        };
    }
    reason(error)
}
