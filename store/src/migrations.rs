//! Brings the tables to this version.

use sqlx::migrate::{Migrate as _, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, Connection, Row as _, SqlSafeStr};

use crate::bulk;
use crate::dialect::{self, Dialect, mysql, postgres};
use crate::statement::Statement;

/// Version, name and text of each migration. A text never changes once it was released. The name of one that only adds begins with
/// `add_`: servers of the version before go on with it, and start on it.
const MIGRATIONS: [(i64, &str, &str); 22] = [
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
    (
        20,
        "nodes",
        include_str!("../../migrations/sqlite/0020_nodes.sql"),
    ),
    (
        21,
        "mqtt_sessions",
        include_str!("../../migrations/sqlite/0021_mqtt_sessions.sql"),
    ),
    (
        22,
        "retained_revisions",
        include_str!("../../migrations/sqlite/0022_retained_revisions.sql"),
    ),
];

/// The same for PostgreSQL, whose tables began with all that those of SQLite had become.
const POSTGRES: [(i64, &str, &str); 1] = [(
    1,
    "initial",
    include_str!("../../migrations/postgres/0001_initial.sql"),
)];

/// The same for MariaDB and MySQL. A text may be run again that was not run to its end: see there.
const MYSQL: [(i64, &str, &str); 1] = [(
    1,
    "initial",
    include_str!("../../migrations/mysql/0001_initial.sql"),
)];

/// How texts are compared, by bytes and to the last space: what the migrations have, and what MySQL calls it.
const MARIADB_COLLATION: &str = "utf8mb4_nopad_bin";
const MYSQL_COLLATION: &str = "utf8mb4_0900_bin";

/// What the migrations that have run are listed in, and the last of them.
pub(crate) const TABLE: &str = "_sqlx_migrations";
pub(crate) const NEWEST: &str =
    "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations WHERE success = TRUE";

/// The last migration that there is.
pub(crate) fn current(dialect: Dialect) -> i64 {
    let newest = |migrations: &[(i64, &str, &str)]| migrations.last().map_or(0, |last| last.0);
    match dialect {
        Dialect::Sqlite => newest(&MIGRATIONS),
        Dialect::Postgres => newest(&POSTGRES),
        Dialect::MySql => newest(&MYSQL),
    }
}

/// Runs those migrations that have not run yet; but on MariaDB and MySQL all in one transaction, so that two processes that
/// start together do not meet, and an older version is still whole if one of them fails.
pub(crate) async fn run(conn: &mut AnyConnection, dialect: Dialect) -> Result<(), MigrateError> {
    match dialect {
        Dialect::Sqlite => run_some(conn, dialect, &MIGRATIONS, dialect::BEGIN_WRITE).await,
        Dialect::Postgres => run_some(conn, dialect, &POSTGRES, postgres::BEGIN_MIGRATIONS).await,
        Dialect::MySql => run_unbound(conn).await,
    }
}

/// Those of a newer version that have run in this database of a server.
pub(crate) struct Newer {
    /// The first of them.
    pub(crate) first: i64,
    /// The first that does more than add, so that this version cannot go on with what it made.
    pub(crate) changing: Option<i64>,
}

/// What a newer version did to this database of a server, if it did anything.
pub(crate) async fn newer(
    conn: &mut AnyConnection,
    dialect: Dialect,
) -> Result<Option<Newer>, sqlx::Error> {
    /// What PostgreSQL, and what MariaDB and MySQL say of a table that is not there.
    const NO_TABLE: [&str; 2] = ["42P01", "42S02"];
    // The name is in the database: nothing else of them is known here.
    let later = "SELECT MIN(version), MIN(CASE WHEN LEFT(description, 4) = 'add_' THEN NULL ELSE version END)
        FROM _sqlx_migrations WHERE version > $1";
    let later = Statement::new(later).bind(current(dialect));
    match later.query(dialect)?.fetch_one(conn).await {
        Ok(row) => {
            let (first, changing) = (row.try_get::<Option<i64>, _>(0)?, row.try_get(1)?);
            Ok(first.map(|first| Newer { first, changing }))
        }
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| NO_TABLE.contains(&&*code)) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Asks again, now that nobody else migrates, and passes over what only adds.
async fn pass_over_additions(
    migrator: &mut Migrator,
    conn: &mut AnyConnection,
    dialect: Dialect,
) -> Result<(), MigrateError> {
    conn.ensure_migrations_table(TABLE).await?;
    match newer(conn, dialect).await?.and_then(|newer| newer.changing) {
        Some(version) => Err(MigrateError::VersionMissing(version)),
        None => {
            migrator.set_ignore_missing(true);
            Ok(())
        }
    }
}

async fn run_some(
    conn: &mut AnyConnection,
    dialect: Dialect,
    migrations: &[(i64, &'static str, &'static str)],
    begin: &'static str,
) -> Result<(), MigrateError> {
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql = sql.into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    };
    let mut tx = conn.begin_with(begin).await?;
    let mut migrator = Migrator::with_migrations(migrations.iter().map(migration).collect());
    // A file has one server.
    if dialect != Dialect::Sqlite {
        pass_over_additions(&mut migrator, &mut tx, dialect).await?;
    }
    // The lock of the migrator would end before the transaction does.
    migrator
        .set_locking(false)
        .run_direct(None, &mut *tx, false)
        .await?;
    tx.commit().await?;
    Ok(())
}

/// Runs those of MariaDB and MySQL, in no transaction: each statement that changes a table ends one. What began and did not end
/// is run again.
async fn run_unbound(conn: &mut AnyConnection) -> Result<(), MigrateError> {
    let locked: i64 = sqlx::query_scalar(mysql::LOCK_MIGRATIONS)
        .fetch_one(&mut *conn)
        .await?;
    if locked != 1 {
        let reason = "another server migrates the database, and takes too long";
        return Err(MigrateError::Execute(sqlx::Error::Io(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            reason,
        ))));
    }
    let version: String = sqlx::query_scalar("SELECT VERSION()")
        .fetch_one(&mut *conn)
        .await?;
    let is_mysql = !version.contains("MariaDB");
    let migration = |&(version, name, sql): &(i64, &'static str, &'static str)| {
        let text = match is_mysql {
            true => bulk::statement(sql.replace(MARIADB_COLLATION, MYSQL_COLLATION)),
            false => sql.into_sql_str(),
        };
        Migration::new(version, name.into(), MigrationType::Simple, text, true)
    };
    refuse_other_tables(conn).await?;
    let mut migrator = Migrator::with_migrations(MYSQL.iter().map(migration).collect());
    pass_over_additions(&mut migrator, conn, Dialect::MySql).await?;
    let forget = "DELETE FROM _sqlx_migrations WHERE success = FALSE AND version <= $1";
    let forget = Statement::new(forget).bind(current(Dialect::MySql));
    forget.query(Dialect::MySql)?.execute(&mut *conn).await?;
    migrator
        .set_locking(false)
        .run_direct(None, &mut *conn, false)
        .await?;
    sqlx::query(mysql::UNLOCK_MIGRATIONS)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// A table of somebody else would be taken for one that an earlier try made. Herald's own tables are made after that of its
/// migrations.
async fn refuse_other_tables(conn: &mut AnyConnection) -> Result<(), MigrateError> {
    let tables = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(conn).await?;
    if tables.iter().any(|table| table == TABLE) {
        return Ok(());
    }
    let made = MYSQL.iter().flat_map(|(_, _, sql)| {
        let behind = sql.split("CREATE TABLE IF NOT EXISTS ").skip(1);
        behind.filter_map(|text| text.split_whitespace().next())
    });
    for table in made {
        if tables.iter().any(|other| other == table) {
            let reason = format!(
                "the database has a table {table} that is not Herald's; create a database for Herald alone"
            );
            return Err(MigrateError::Execute(sqlx::Error::Configuration(
                reason.into(),
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod schemas;
