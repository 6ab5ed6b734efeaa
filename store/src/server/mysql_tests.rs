//! Databases on a MariaDB or MySQL server: made, opened by several at once, and their connections.

use futures_util::future::try_join_all;
use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;
use sqlx::{AnyConnection, Executor as _, Row as _};

use super::*;
use crate::location::Location;
use crate::open::prepare;

/// A new database, and where it is; `None` if it is not tested.
async fn database(kind: DatabaseKind) -> Option<(TestDatabase, Location)> {
    let database = TestDatabase::empty(kind).await?;
    let location = Location::parse(database.url().into()).unwrap();
    Some((database, location))
}

async fn text(conn: &mut AnyConnection, text: &'static str) -> String {
    sqlx::query_scalar(text).fetch_one(conn).await.unwrap()
}

async fn number(conn: &mut AnyConnection, text: &'static str) -> i64 {
    sqlx::query_scalar(text).fetch_one(conn).await.unwrap()
}

const TABLES: &str =
    "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()";

#[rstest]
#[tokio::test]
async fn servers_that_start_at_once_make_the_tables_once(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let opened = try_join_all((0..8).map(|_| prepare(&location))).await;
    let (mut conn, _) = opened.unwrap().pop().unwrap();
    let rules = number(&mut conn, "SELECT COUNT(*) FROM acl_rules").await;
    assert_eq!(rules, 8);
}

#[rstest]
#[tokio::test]
async fn a_newer_database_is_left_alone(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let (mut conn, _) = prepare(&location).await.unwrap();
    let later =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'later', true, '', 0)";
    conn.execute(later).await.unwrap();
    let error = prepare(&location).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { version: 9999, .. }),
        "{error:?}"
    );
}

/// As a crash leaves it: some tables are there, and what is in them stays.
#[rstest]
#[tokio::test]
async fn a_migration_that_was_not_run_to_its_end_is_run_again(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let (mut conn, _) = prepare(&location).await.unwrap();
    let epoch = text(&mut conn, "SELECT epoch FROM inbox_epoch").await;
    conn.execute(
        "DROP VIEW inbox_epoch; DROP TABLE cursors; UPDATE _sqlx_migrations SET success = FALSE",
    )
    .await
    .unwrap();
    let tables = number(&mut conn, TABLES).await;
    let (mut conn, _) = prepare(&location).await.unwrap();
    assert_eq!(number(&mut conn, TABLES).await, tables + 2);
    assert_eq!(
        text(&mut conn, "SELECT epoch FROM inbox_epoch").await,
        epoch
    );
    assert_eq!(number(&mut conn, "SELECT COUNT(*) FROM acl_rules").await, 8);
    let unfinished = "SELECT COUNT(*) FROM _sqlx_migrations WHERE success = FALSE";
    assert_eq!(number(&mut conn, unfinished).await, 0);
}

#[rstest]
#[tokio::test]
async fn a_table_of_somebody_else_is_left_alone(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut conn = location.connect_writer().await.unwrap();
    let other = "CREATE TABLE cursors (other BIGINT)";
    conn.execute(other).await.unwrap();
    for _ in 0..2 {
        let error = prepare(&location).await.unwrap_err();
        assert!(matches!(error, StoreError::Migrate(_)), "{error:?}");
        assert!(error.to_string().contains("table cursors"), "{error}");
    }
    assert_eq!(number(&mut conn, TABLES).await, 1);
    conn.execute("DROP TABLE cursors").await.unwrap();
    prepare(&location).await.unwrap();
}

#[rstest]
#[tokio::test]
async fn connections_have_what_they_need(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut writer = location.connect_writer().await.unwrap();
    let mut reader = location.connect_reader().await.unwrap();
    for conn in [&mut writer, &mut reader] {
        for (setting, value) in [
            ("CAST(@@innodb_lock_wait_timeout AS CHAR)", "2"),
            ("CAST(@@lock_wait_timeout AS CHAR)", "2"),
            ("CAST(@@autocommit + 0 AS CHAR)", "1"),
            ("@@time_zone", "+00:00"),
            (
                "/*M! @@tx_isolation */ /*!80017 @@transaction_isolation */",
                "READ-COMMITTED",
            ),
            // By bytes, and to the last space.
            (
                "CASE WHEN 'a' = 'a ' OR 'a' = 'A' THEN 'equal' ELSE 'not' END",
                "not",
            ),
        ] {
            let select = sqlx::AssertSqlSafe(format!("SELECT {setting}"));
            let found: String = sqlx::query_scalar(select)
                .fetch_one(&mut *conn)
                .await
                .unwrap();
            assert_eq!(found, value, "{setting}");
        }
    }
    let written = reader.execute("CREATE TABLE other (id BIGINT)").await;
    let error: StoreError = written.unwrap_err().into();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
}

#[rstest]
#[tokio::test]
async fn a_lock_that_is_kept_ends_and_a_deadlock_is_a_conflict(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let (mut conn, _) = prepare(&location).await.unwrap();
    let mut other = location.connect_writer().await.unwrap();
    conn.execute("INSERT INTO settings (name, value) VALUES ('a', ''), ('b', '')")
        .await
        .unwrap();
    for (conn, name) in [(&mut conn, "a"), (&mut other, "b")] {
        let lock = format!("BEGIN; UPDATE settings SET value = 'x' WHERE name = '{name}'");
        conn.execute(sqlx::AssertSqlSafe(lock)).await.unwrap();
    }
    conn.execute("SET innodb_lock_wait_timeout = 1")
        .await
        .unwrap();
    let update_b = "UPDATE settings SET value = 'y' WHERE name = 'b'";
    let error: StoreError = conn.execute(update_b).await.unwrap_err().into();
    assert!(matches!(error, StoreError::Locked), "{error:?}");
    assert!(error.is_transient());
    conn.execute("SET innodb_lock_wait_timeout = 50")
        .await
        .unwrap();
    let (one, two) = tokio::join!(
        conn.execute(update_b),
        other.execute("UPDATE settings SET value = 'z' WHERE name = 'a'"),
    );
    let error: StoreError = one.and(two).unwrap_err().into();
    assert!(matches!(error, StoreError::Conflict), "{error:?}");
}

#[rstest]
#[tokio::test]
async fn a_connection_that_the_server_ended_is_a_passing_fault(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut conn = location.connect_writer().await.unwrap();
    let mut other = location.connect_writer().await.unwrap();
    let id = number(&mut conn, "SELECT CAST(CONNECTION_ID() AS SIGNED)").await;
    let kill = sqlx::AssertSqlSafe(format!("KILL {id}"));
    other.execute(kill).await.unwrap();
    let error: StoreError = conn.execute("SELECT 1").await.unwrap_err().into();
    assert!(error.is_transient(), "{error:?}");
}

/// MySQL ends SLEEP without an error.
#[tokio::test]
async fn a_list_ends_and_its_connection_goes_on() {
    let Some((_database, location)) = database(DatabaseKind::MariaDb).await else {
        return;
    };
    let lists = location.connect_lists(1).await.unwrap();
    let limit = "SELECT CAST(@@max_statement_time AS CHAR)".to_owned();
    let limit = lists.first(limit, &[], |row| Ok(row.try_get::<String, _>(0)?));
    assert_eq!(limit.await.unwrap().unwrap(), "2.000000");
    let set = "SET max_statement_time = 0.02".to_owned();
    lists.first(set, &[], |_| Ok(())).await.unwrap();
    // The only connection.
    let slow = "SELECT SLEEP(600)".to_owned();
    let stopped = lists.first(slow, &[], |_| Ok(())).await;
    assert!(matches!(stopped, Err(StoreError::TooSlow)), "{stopped:?}");
    let one = lists.first("SELECT 1 AS one".into(), &[], |_| Ok(())).await;
    assert_eq!(one.unwrap(), Some(()));
    lists.close().await;
}
