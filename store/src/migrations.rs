//! Brings the tables to this version.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Connection, SqlSafeStr};

use crate::dialect::{self, Dialect, postgres};

/// Version, name and text of each migration. A text never changes once it was released.
const MIGRATIONS: [(i64, &str, &str); 19] = [
    (
        1,
        "initial",
        include_str!("../../migrations/sqlite/0001_initial.sql"),
    ),
    (
        2,
        "retained",
        include_str!("../../migrations/sqlite/0002_retained.sql"),
    ),
    (
        3,
        "acl_rules",
        include_str!("../../migrations/sqlite/0003_acl_rules.sql"),
    ),
    (
        4,
        "rights_changes",
        include_str!("../../migrations/sqlite/0004_rights_changes.sql"),
    ),
    (
        5,
        "cursors",
        include_str!("../../migrations/sqlite/0005_cursors.sql"),
    ),
    (
        6,
        "queue",
        include_str!("../../migrations/sqlite/0006_queue.sql"),
    ),
    (
        7,
        "access",
        include_str!("../../migrations/sqlite/0007_access.sql"),
    ),
    (
        8,
        "own_delays",
        include_str!("../../migrations/sqlite/0008_own_delays.sql"),
    ),
    (
        9,
        "stored_once",
        include_str!("../../migrations/sqlite/0009_stored_once.sql"),
    ),
    (
        10,
        "outages",
        include_str!("../../migrations/sqlite/0010_outages.sql"),
    ),
    (
        11,
        "list_indexes",
        include_str!("../../migrations/sqlite/0011_list_indexes.sql"),
    ),
    (
        12,
        "inbox_epoch",
        include_str!("../../migrations/sqlite/0012_inbox_epoch.sql"),
    ),
    (
        13,
        "stored_bytes",
        include_str!("../../migrations/sqlite/0013_stored_bytes.sql"),
    ),
    (
        14,
        "log_mark",
        include_str!("../../migrations/sqlite/0014_log_mark.sql"),
    ),
    (
        15,
        "message_counts",
        include_str!("../../migrations/sqlite/0015_message_counts.sql"),
    ),
    (
        16,
        "user_queues",
        include_str!("../../migrations/sqlite/0016_user_queues.sql"),
    ),
    (
        17,
        "inboxes",
        include_str!("../../migrations/sqlite/0017_inboxes.sql"),
    ),
    (
        18,
        "counters",
        include_str!("../../migrations/sqlite/0018_counters.sql"),
    ),
    (
        19,
        "setting_names",
        include_str!("../../migrations/sqlite/0019_setting_names.sql"),
    ),
];

/// The same for PostgreSQL, whose tables began with all that those of SQLite had become.
const POSTGRES: [(i64, &str, &str); 1] = [(
    1,
    "initial",
    include_str!("../../migrations/postgres/0001_initial.sql"),
)];

/// Runs those migrations that have not run yet, all in one transaction, so that two processes that
/// start together do not meet, and an older version is still whole if one of them fails.
pub(crate) async fn run(conn: &mut AnyConnection, dialect: Dialect) -> Result<(), MigrateError> {
    match dialect {
        Dialect::Sqlite => run_some(conn, &MIGRATIONS, dialect::BEGIN_WRITE).await,
        Dialect::Postgres => run_some(conn, &POSTGRES, postgres::BEGIN_MIGRATIONS).await,
        Dialect::MySql => Err(MigrateError::Execute(sqlx::Error::Configuration(
            "there are no tables for MySQL".into(),
        ))),
    }
}

async fn run_some(
    conn: &mut AnyConnection,
    migrations: &[(i64, &'static str, &'static str)],
    begin: &'static str,
) -> Result<(), MigrateError> {
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let mut tx = conn.begin_with(begin).await?;
    // The lock of the migrator would end before the transaction does.
    Migrator::with_migrations(migrations.iter().map(migration).collect())
        .set_locking(false)
        .run_direct(None, &mut *tx, false)
        .await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod schemas;
