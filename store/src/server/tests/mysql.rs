//! What only MariaDB and MySQL have.

use herald_test_databases::DatabaseKind;
use rstest::rstest;
use sqlx::{AssertSqlSafe, Executor as _};

use super::{database, number, tables, text};
use crate::StoreError;
use crate::open::prepare;

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
    let before = tables(&mut conn, kind).await;
    let (mut conn, _) = prepare(&location).await.unwrap();
    assert_eq!(tables(&mut conn, kind).await, before + 2);
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
async fn connections_have_what_they_need(
    #[values(DatabaseKind::MariaDb, DatabaseKind::MySql)] kind: DatabaseKind,
) {
    let Some((_database, location)) = database(kind).await else {
        return;
    };
    let mut writer = location.connect_writer().await.unwrap();
    let mut reader = location.connect_reader().await.unwrap();
    for (conn, lock) in [(&mut writer, "1"), (&mut reader, "2")] {
        for (setting, value) in [
            ("CAST(@@innodb_lock_wait_timeout AS CHAR)", lock),
            ("CAST(@@lock_wait_timeout AS CHAR)", lock),
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
            let select = AssertSqlSafe(format!("SELECT {setting}"));
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
        conn.execute(AssertSqlSafe(lock)).await.unwrap();
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
