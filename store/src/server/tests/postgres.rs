//! What only PostgreSQL has.

use std::time::Duration;

use herald_test_databases::{DatabaseKind, TestDatabase};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tokio::time::timeout;

use super::{id, number, text};
use crate::StoreError;
use crate::location::Location;
use crate::open::prepare;

/// How long any of it may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A new database, and where it is; `None` if PostgreSQL is not tested.
async fn database() -> Option<(TestDatabase, Location)> {
    super::database(DatabaseKind::Postgres).await
}

#[tokio::test]
async fn connections_have_what_they_need_whatever_the_database_says() {
    let Some((database, location)) = database().await else {
        return;
    };
    let mut admin = location.connect_writer().await.unwrap();
    for setting in [
        "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'",
        "idle_session_timeout = '60s'",
    ] {
        let name = database.url().rsplit('/').next().unwrap();
        let text = format!("ALTER DATABASE \"{name}\" SET {setting}");
        admin.execute(AssertSqlSafe(text)).await.unwrap();
    }
    let mut writer = location.connect_writer().await.unwrap();
    let mut reader = location.connect_reader().await.unwrap();
    for (conn, setting, value) in [
        (&mut writer, "SHOW synchronous_commit", "on"),
        (&mut reader, "SHOW default_transaction_read_only", "on"),
    ] {
        assert_eq!(text(conn, setting).await, value, "{setting}");
    }
    for conn in [&mut writer, &mut reader] {
        assert_eq!(
            text(conn, "SHOW transaction_isolation").await,
            "read committed"
        );
        assert_eq!(text(conn, "SHOW application_name").await, "herald");
        assert_eq!(text(conn, "SHOW idle_session_timeout").await, "0");
        for limit in [
            "SHOW statement_timeout",
            "SHOW lock_timeout",
            "SHOW idle_in_transaction_session_timeout",
        ] {
            assert_ne!(text(conn, limit).await, "0", "{limit}");
        }
    }
    let written = reader.execute("CREATE TABLE other (id BIGINT)").await;
    let error: StoreError = written.unwrap_err().into();
    assert!(
        matches!(error, StoreError::Unreachable { .. }),
        "as of a standby: {error:?}"
    );
}

/// Whatever is set for the user: those of others end.
#[tokio::test]
async fn idle_connections_are_not_ended() {
    let Some((database, location)) = database().await else {
        return;
    };
    let mut writer = location.connect_writer().await.unwrap();
    let name = database.url().rsplit('/').next().unwrap();
    let short =
        format!("ALTER ROLE CURRENT_USER IN DATABASE \"{name}\" SET idle_session_timeout = '1s'");
    writer.execute(AssertSqlSafe(short)).await.unwrap();
    let mut ours = vec![
        location.connect_writer().await.unwrap(),
        location.connect_reader().await.unwrap(),
    ];
    let Location::Server(server) = &location else {
        unreachable!("it is a server");
    };
    let dialect = location.dialect();
    for settings in [dialect.reader(), dialect.lists(), dialect.migrator()] {
        ours.push(server.connect_with(settings).await.unwrap());
    }
    let mut other = AnyConnection::connect(database.url()).await.unwrap();
    let pid = id(&mut other, DatabaseKind::Postgres).await;
    gone(&mut writer, pid).await;
    for conn in &mut ours {
        assert_eq!(number(conn, "SELECT CAST(1 AS BIGINT)").await, 1);
    }
}

#[tokio::test]
async fn a_statement_that_lasts_and_a_lock_that_is_kept_end() {
    let Some((_database, location)) = database().await else {
        return;
    };
    let (mut conn, _) = prepare(&location).await.unwrap();
    let mut other = location.connect_writer().await.unwrap();
    conn.execute("SET statement_timeout = 500").await.unwrap();
    let error: StoreError = conn
        .execute("SELECT pg_sleep(600)")
        .await
        .unwrap_err()
        .into();
    assert!(matches!(error, StoreError::TooSlow), "{error:?}");
    conn.execute("SET statement_timeout = 0; SET lock_timeout = 20")
        .await
        .unwrap();
    other
        .execute("BEGIN; LOCK TABLE settings IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let error: StoreError = conn
        .execute("SELECT * FROM settings")
        .await
        .unwrap_err()
        .into();
    assert!(matches!(error, StoreError::Locked), "{error:?}");
    assert!(error.is_transient());
}

/// Adds a user with messages.
const MESSAGES: &str = "INSERT INTO users (id, username, role, password_hash, created_at) VALUES ('u', 'ann', 'user', '', 0);
    INSERT INTO inboxes (user_id) VALUES ('u');
    INSERT INTO messages (id, user_id, body, status, created_at, run_at) VALUES
        ('a', 'u', '', 'queued', 0, 0), ('b', 'u', '', 'queued', 0, 0), ('c', 'u', '', 'queued', 0, 0)";

/// Waits until the server has ended the connection `pid`.
async fn gone(conn: &mut AnyConnection, pid: i64) {
    let ended = async {
        loop {
            let there: i64 =
                sqlx::query_scalar("SELECT COUNT(*) FROM pg_stat_activity WHERE pid = $1")
                    .bind(pid)
                    .fetch_one(&mut *conn)
                    .await
                    .unwrap();
            if there == 0 {
                return;
            }
        }
    };
    timeout(LIMIT, ended).await.unwrap();
}

const QUEUED: &str =
    "SELECT CAST(SUM(count) AS BIGINT) FROM message_counts WHERE status = 'queued'";

#[tokio::test]
async fn connections_count_messages_without_waiting_for_each_other() {
    let Some((_database, location)) = database().await else {
        return;
    };
    let (mut conn, _) = prepare(&location).await.unwrap();
    let mut other = location.connect_writer().await.unwrap();
    conn.execute(MESSAGES).await.unwrap();
    conn.execute("BEGIN; UPDATE messages SET status = 'processing' WHERE id = 'a'; UPDATE inboxes SET last_seq = 1")
        .await
        .unwrap();
    other.execute("SET lock_timeout = 100").await.unwrap();
    other
        .execute(
            "DELETE FROM messages WHERE id = 'b'; UPDATE messages SET lease = 'x' WHERE id = 'c'",
        )
        .await
        .unwrap();
    assert_eq!(number(&mut other, QUEUED).await, 2);
    conn.execute("COMMIT").await.unwrap();
    assert_eq!(number(&mut other, QUEUED).await, 1);
    other
        .execute("UPDATE inboxes SET last_seq = 2, acked_seq = 1")
        .await
        .unwrap();
    other
        .execute("UPDATE inboxes SET acked_seq = 2")
        .await
        .unwrap();
    assert_eq!(
        number(&mut other, "SELECT changes FROM inbox_epoch").await,
        2
    );
    // A start adds up what those that are gone have counted.
    let pid = id(&mut conn, DatabaseKind::Postgres).await;
    conn.close().await.unwrap();
    gone(&mut other, pid).await;
    let counted_by_gone = "SELECT COUNT(*) FROM message_counts WHERE backend <> 0
        AND backend NOT IN (SELECT pid FROM pg_stat_activity)";
    let (mut again, _) = prepare(&location).await.unwrap();
    assert_eq!(number(&mut again, counted_by_gone).await, 0);
    assert_eq!(number(&mut again, QUEUED).await, 1);
    assert_eq!(
        number(&mut again, "SELECT changes FROM inbox_epoch").await,
        2
    );
    again.execute("DELETE FROM users").await.unwrap();
    assert_eq!(number(&mut again, QUEUED).await, 0);
}
