//! What cannot be copied, and where nothing is copied to: said in a sentence, and left as it is.

use herald_store::{Refusal, StoreError, TransferError};
use herald_test_databases::{DatabaseKind, TestDatabase};
use rstest::rstest;

use crate::common::{copy, dump, empty, execute, file, file_with, migrated, open, texts};
use crate::contents::ALL_KINDS;

/// Fails, and makes no target.
async fn refused(from: &TestDatabase) -> TransferError {
    let to = file().await;
    let error = copy(from, &to).await.unwrap_err();
    let path = to.url().strip_prefix("sqlite://").unwrap();
    assert!(!std::path::Path::new(path).exists());
    error
}

#[tokio::test]
async fn a_source_that_is_none_is_refused() {
    let error = refused(&file().await).await;
    assert!(matches!(error, TransferError::Missing { .. }), "{error:?}");
    let other = file().await;
    execute(&other, "CREATE TABLE users (id TEXT)").await;
    let error = refused(&other).await;
    assert!(
        matches!(error, TransferError::NotHeralds { .. }),
        "{error:?}"
    );
    let garbage = file().await;
    let path = garbage.url().strip_prefix("sqlite://").unwrap();
    std::fs::write(path, "no database\n".repeat(1000)).unwrap();
    let error = refused(&garbage).await;
    let is_none = matches!(error, TransferError::Store(StoreError::NotADatabase { .. }));
    assert!(is_none, "{error:?}");
}

#[rstest]
#[tokio::test]
async fn a_source_of_another_version_is_refused(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
) {
    let Some(newer) = migrated(kind).await else {
        return;
    };
    execute(
        &newer,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', true, '', 0)",
    )
    .await;
    let error = refused(&newer).await;
    assert!(
        matches!(error, TransferError::Newer { found: 9999, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("with that version"), "{error}");
    // As of a version that had not all migrations.
    let older = migrated(kind).await.unwrap();
    execute(&older, "UPDATE _sqlx_migrations SET version = -version").await;
    let error = refused(&older).await;
    assert!(matches!(error, TransferError::Older { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("start a server of this version"), "{text}");
}

#[tokio::test]
async fn a_database_is_not_copied_to_itself() {
    let one = file_with(ALL_KINDS).await;
    let before = dump(&one).await;
    let error = copy(&one, &one).await.unwrap_err();
    assert!(matches!(error, TransferError::Same { .. }), "{error:?}");
    assert_eq!(dump(&one).await, before);
}

#[rstest]
#[tokio::test]
async fn a_target_that_is_not_empty_is_left_as_it_is(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
    #[values(
        ("CREATE TABLE orders (id BIGINT)", "tables that are not Herald's"),
        ("CREATE TABLE users (id BIGINT)", "tables that are not Herald's"),
    )]
    (other, what): (&'static str, &str),
) {
    let Some(to) = empty(kind).await else {
        return;
    };
    let from = file_with(ALL_KINDS).await;
    execute(&to, other).await;
    let error = copy(&from, &to).await.unwrap_err();
    assert!(error.to_string().contains(what), "{error}");
    // Nothing was made there.
    execute(&to, "CREATE TABLE _sqlx_migrations (id BIGINT)").await;
}

#[rstest]
#[tokio::test]
async fn a_target_with_data_is_left_as_it_is(
    #[values(DatabaseKind::Sqlite, DatabaseKind::Postgres, DatabaseKind::MariaDb)]
    kind: DatabaseKind,
    #[values(
        ("CREATE TABLE orders (id BIGINT)", "a table orders"),
        ("INSERT INTO users (id, username, role, password_hash, created_at) VALUES ('1', 'a', 'user', 'x', 1)", "in the table users"),
        ("INSERT INTO audit (id, at, action, count) VALUES ('1', 1, 'x', 1)", "in the table audit"),
        ("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1", "another version"),
    )]
    (other, what): (&'static str, &str),
) {
    let Some(to) = migrated(kind).await else {
        return;
    };
    let from = file_with(ALL_KINDS).await;
    execute(&to, other).await;
    let error = copy(&from, &to).await.unwrap_err();
    assert!(matches!(error, TransferError::NotEmpty { .. }), "{error:?}");
    assert!(error.to_string().contains(what), "{error}");
    let marks = "SELECT value FROM settings WHERE name = 'transfer'";
    assert!(texts(&to, marks.into()).await.is_empty());
}

#[rstest]
#[tokio::test]
async fn a_database_that_a_server_has_open_is_refused(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    let Some(database) = migrated(kind).await else {
        return;
    };
    let store = open(&database).await.unwrap();
    for (from, to) in [
        (&database, &file().await),
        (&file_with(ALL_KINDS).await, &database),
    ] {
        let error = copy(from, to).await.unwrap_err();
        assert!(matches!(error, TransferError::InUse { .. }), "{error:?}");
    }
    assert!(store.list_users(None, 1).await.is_ok());
    store.close().await;
}

#[tokio::test]
async fn a_text_that_the_target_cannot_hold_is_named() {
    let Some(to) = empty(DatabaseKind::Postgres).await else {
        return;
    };
    let from = file_with(
        "INSERT INTO audit (id, at, action, detail, count) VALUES ('17', 1, 'x', 'a' || char(0), 1)",
    )
    .await;
    let error = copy(&from, &to).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("the row 17 of audit has a NUL"), "{text}");
    copy(&from, &file().await).await.unwrap();
}

#[tokio::test]
async fn a_row_that_the_target_does_not_take_is_named() {
    let Some(to) = empty(DatabaseKind::MariaDb).await else {
        return;
    };
    // A file takes a name of any length; this one stands among many.
    let from = file_with(
        "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 699)
         INSERT INTO settings (name, value) SELECT printf('%04d', n), 's3cret' FROM n;
         INSERT INTO settings (name, value) VALUES ('0350' || printf('%.300c', 'x'), 's3cret')",
    )
    .await;
    let error = copy(&from, &to).await.unwrap_err();
    let text = error.to_string();
    let row = format!("the row 0350{}... of settings", "x".repeat(96));
    assert!(text.contains(&row), "{text}");
    assert!(text.contains("too long"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[rstest]
#[tokio::test]
async fn a_database_of_a_server_is_not_copied_to_itself(
    #[values(DatabaseKind::Postgres, DatabaseKind::MariaDb)] kind: DatabaseKind,
) {
    // Also one that is as new.
    let Some(one) = migrated(kind).await else {
        return;
    };
    let error = copy(&one, &one).await.unwrap_err();
    assert!(matches!(error, TransferError::Same { .. }), "{error:?}");
}

#[tokio::test]
async fn a_source_that_compares_texts_in_another_way_is_refused() {
    let Some(from) = migrated(DatabaseKind::MariaDb).await else {
        return;
    };
    execute(
        &from,
        "ALTER TABLE settings CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    )
    .await;
    let error = refused(&from).await;
    let is_refused = matches!(
        &error,
        TransferError::Store(StoreError::Refused {
            refusal: Refusal::Collation { .. },
            ..
        })
    );
    assert!(is_refused, "{error:?}");
}
